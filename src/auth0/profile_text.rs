//! Parses a profile from a response's bytes, member by member where the whole cannot be parsed.
//!
//! Owns tolerance: a member that is nested too deep, a number out of range, half a surrogate pair or an invalid byte affects
//! only itself. Must never make a member that cannot be parsed look like a missing one.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::error::{looks_like_html, presentable};
use rolekeeper_domain::json_text::replace_lone_surrogates;

/// Objects of a profile whose members are parsed one by one where the object cannot be parsed as a whole.
const OPENED: [&str; 2] = ["app_metadata", "user_metadata"];
/// Member of the object that replaces a value which cannot be parsed.
const UNREAD: &str = "rolekeeper_could_not_read_this";

/// Returns the object, and whether invalid text in it was replaced. An error names what the bytes are instead.
pub(super) fn object(body: &[u8]) -> Result<(Map<String, Value>, bool), String> {
    let text = String::from_utf8_lossy(body);
    let legible = replace_lone_surrogates(&text);
    let repaired = matches!(text, Cow::Owned(_)) || matches!(legible, Cow::Owned(_));
    let error = match serde_json::from_str::<Value>(&legible) {
        Ok(Value::Object(object)) => return Ok((object, repaired)),
        Ok(_) => return Err("JSON, but not an object".to_owned()),
        Err(_) if looks_like_html(body) => return Err("an HTML page".to_owned()),
        Err(error) => error,
    };
    let members = members(&legible, &OPENED);
    let members = members.ok_or_else(|| format!("not JSON: {}", presentable(&error.to_string())))?;
    Ok((members, repaired))
}

/// Returns the members of an object; a member that cannot be parsed is marked, and members in `opened` are parsed one by one.
fn members(text: &str, opened: &[&str]) -> Option<Map<String, Value>> {
    let raw: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let read = raw.into_iter().map(|(name, raw)| {
        let value = serde_json::from_str(raw.get()).unwrap_or_else(|_| {
            let inner = opened.contains(&name.as_str()).then(|| members(raw.get(), &[]));
            inner.flatten().map_or_else(unread, Value::Object)
        });
        (name, value)
    });
    Some(read.collect())
}

fn unread() -> Value {
    json!({ UNREAD: true })
}

/// Returns whether this value replaces one that could not be parsed.
pub(super) fn is_unread(value: &Value) -> bool {
    value.get(UNREAD).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Map<String, Value> {
        object(text.as_bytes()).unwrap().0
    }

    #[test]
    fn f45_half_a_pair_spoils_no_profile() {
        let (profile, repaired) =
            object(br#"{"nickname":"DJ \ud83d","app_metadata":{"roles":["a"]}}"#).unwrap();
        assert!(repaired);
        assert_eq!(profile["nickname"], "DJ \u{fffd}");
        assert_eq!(profile["app_metadata"]["roles"], json!(["a"]));
        let (profile, repaired) = object(b"{\"nickname\":\"\xe9\"}").unwrap();
        assert_eq!((profile["nickname"].as_str(), repaired), (Some("\u{fffd}"), true));
        assert!(!object(br#"{"a":"\ud83d\ude00"}"#).unwrap().1);
    }

    #[test]
    fn f45_a_member_that_cannot_be_read_spoils_itself_alone() {
        let deep = format!("{}{}", "[".repeat(140), "]".repeat(140));
        for odd in [deep.as_str(), "1e999"] {
            let profile = read(&format!(
                r#"{{"user_id":"a|1","x":{odd},"app_metadata":{{"roles":["a"],"y":{odd}}},"user_metadata":{odd}}}"#
            ));
            assert_eq!(
                (&profile["user_id"], &profile["app_metadata"]["roles"]),
                (&json!("a|1"), &json!(["a"]))
            );
            for unread in [
                &profile["x"],
                &profile["app_metadata"]["y"],
                &profile["user_metadata"],
            ] {
                assert!(is_unread(unread), "{unread}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_said_to_be_so() {
        for (body, what) in [
            ("[1]", "not an object"),
            ("<html>", "HTML"),
            ("{\"a\":1", "not JSON"),
            ("", "not JSON"),
        ] {
            assert!(object(body.as_bytes()).unwrap_err().contains(what), "{body}");
        }
    }
}
