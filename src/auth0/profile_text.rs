//! A profile out of an answer's bytes, member by member where the whole cannot be read.
//!
//! Owns tolerance: a member that is nested too deep, a number beyond all bounds, half a surrogate pair or a stray byte spoils
//! nothing but itself. Must never make a member that cannot be read look like one that is missing.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::error::{looks_like_html, presentable};
use rolekeeper_domain::json_text::replace_lone_surrogates;

/// Objects at Auth0 whose members are read one by one where they cannot be read together.
const OPENED: [&str; 2] = ["app_metadata", "user_metadata"];
/// The member that stands in an object which takes the place of what cannot be read.
const UNREAD: &str = "rolekeeper_could_not_read_this";

/// The object, and whether any text in it was no text and has been replaced. An error says what the bytes are instead.
pub(super) fn object(body: &[u8]) -> Result<(Map<String, Value>, bool), String> {
    let text = String::from_utf8_lossy(body);
    let legible = replace_lone_surrogates(&text);
    let repaired = matches!(text, Cow::Owned(_)) || matches!(legible, Cow::Owned(_));
    let error = match serde_json::from_str::<Value>(&legible) {
        Ok(Value::Object(object)) => return Ok((object, repaired)),
        Ok(_) => return Err("JSON, but no object".to_owned()),
        Err(_) if looks_like_html(body) => return Err("an HTML page".to_owned()),
        Err(error) => error,
    };
    let members = members(&legible, &OPENED);
    let members = members.ok_or_else(|| format!("no JSON: {}", presentable(&error.to_string())))?;
    Ok((members, repaired))
}

/// The members of an object, each that cannot be read marked as such; those of `opened` are read one by one.
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

/// Whether this stands for what could not be read.
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
            ("[1]", "no object"),
            ("<html>", "HTML"),
            ("{\"a\":1", "no JSON"),
            ("", "no JSON"),
        ] {
            assert!(object(body.as_bytes()).unwrap_err().contains(what), "{body}");
        }
    }
}
