//! Computes the local copy of users from records, one statement at a time; shares no code with the worker.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Values of a log stream that masks or hashes.
pub(crate) const MASKED: [&str; 3] = ["m***@example.com", "********", "99e9d85137db46ef"];

/// The content of one record, worked out by hand: user, the fields that a record may change with their date, last
/// login.
#[derive(Default)]
pub(crate) struct Statement {
    user: String,
    fields: Vec<(String, Value)>,
    fields_at: i64,
    login: Option<i64>,
}

#[expect(clippy::disallowed_methods, reason = "the oracle's own reading")]
pub(crate) fn micros(date: &Value) -> Option<i64> {
    let date = OffsetDateTime::parse(date.as_str()?, &Rfc3339).ok()?;
    i64::try_from(date.unix_timestamp_nanos() / 1_000).ok()
}

pub(crate) fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text.is_empty() || MASKED.contains(&text.as_str()) => None,
        Value::Null => None,
        other => Some(other.clone()),
    }
}

pub(crate) fn statement(record: &Value) -> Option<Statement> {
    if record.get("specversion").is_some() {
        let object = &record["data"]["object"];
        let mut said = Statement {
            user: object["user_id"].as_str()?.to_owned(),
            ..Statement::default()
        };
        if record["type"] != "user.deleted" {
            whole(&mut said, object);
        }
        return Some(said);
    }
    let data = if record.get("type").is_none() {
        &record["data"]
    } else {
        record
    };
    let date = micros(&data["date"])?;
    let mut said = Statement {
        fields_at: date,
        ..Statement::default()
    };
    match data["type"].as_str()? {
        kind @ ("s" | "ss") => {
            data["user_id"]
                .as_str()
                .filter(|id| !id.is_empty())?
                .clone_into(&mut said.user);
            said.login = Some(date).filter(|_| kind == "s");
            let came_as = &data["user_name"];
            if came_as.as_str().is_some_and(|name| name.contains('@')) {
                said.fields = plain_ones(&[("email", came_as)]);
            }
            if kind == "ss" {
                said.fields.extend(three(&data["details"]["body"]));
            }
        }
        "sdu" => {
            let id = data["description"].as_str()?.strip_prefix("user_id: ")?;
            said.user = format!("{}|{id}", data["strategy"].as_str()?);
        }
        "sapi" => management_write(&mut said, &data["details"])?,
        _ => return None,
    }
    Some(said)
}

pub(crate) fn plain_ones(told: &[(&str, &Value)]) -> Vec<(String, Value)> {
    let plain = told
        .iter()
        .map(|(name, value)| Some(((*name).to_owned(), plain(value)?)));
    plain.flatten().collect()
}

/// The fields of a user that a record may change.
pub(crate) fn three(user: &Value) -> Vec<(String, Value)> {
    plain_ones(&["email", "name", "picture"].map(|name| (name, &user[name])))
}

/// A user created, deleted or patched; none for any other resource.
pub(crate) fn management_write(said: &mut Statement, details: &Value) -> Option<()> {
    let (request, answer) = (&details["request"], &details["response"]["body"]);
    let id = request["path"].as_str()?.strip_prefix("/api/v2/users")?;
    let id = id.trim_start_matches('/').replace("%7C", "|");
    match (request["method"].as_str()?, id.as_str()) {
        ("post", "") => {
            answer["user_id"].as_str()?.clone_into(&mut said.user);
            whole(said, answer);
        }
        ("delete", id) if !id.contains('/') => id.clone_into(&mut said.user),
        ("patch", id) => {
            id.clone_into(&mut said.user);
            said.fields = three(&request["body"]);
        }
        _ => return None,
    }
    Some(())
}

pub(crate) fn whole(said: &mut Statement, user: &Value) {
    said.fields_at = micros(&user["updated_at"]).expect("updated_at");
    said.fields = three(user);
}

/// The newest of some dated values. Two with one date must be equal, or the samples cannot decide which is right.
pub(crate) fn newest<T: PartialEq + std::fmt::Debug>(
    values: impl Iterator<Item = (i64, T)>,
) -> Option<(i64, T)> {
    let mut newest: Option<(i64, T)> = None;
    for (at, value) in values {
        match &newest {
            Some((known, other)) if *known == at => assert_eq!(*other, value, "two values of one date"),
            Some((known, _)) if *known > at => {}
            _ => newest = Some((at, value)),
        }
    }
    newest
}

/// The expected table.
pub(crate) fn expected(records: &[Value]) -> Vec<Value> {
    let mut by_user: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for said in records.iter().filter_map(statement) {
        by_user.entry(said.user.clone()).or_default().push(said);
    }
    let row = |(user, said): (&String, &Vec<Statement>)| {
        let mut fields = serde_json::Map::new();
        for name in ["email", "name", "picture"] {
            let values = said.iter().flat_map(|said| {
                said.fields
                    .iter()
                    .filter(|(of, _)| of == name)
                    .map(|(_, value)| (said.fields_at, value.clone()))
            });
            if let Some((at, value)) = newest(values) {
                fields.insert(name.to_owned(), json!({"at": at, "value": value}));
            }
        }
        let last_login_at = said.iter().filter_map(|said| said.login).max();
        json!({"user_id": user, "fields": fields, "profile": null, "last_login_at": last_login_at, "gone_at": null})
    };
    by_user.iter().map(row).collect()
}
