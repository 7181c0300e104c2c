//! Reads the records from a file of log records.
//!
//! Owns the formats: those of Auth0's log streams (array, `{"logs":[…]}`, one record per line, one record, one
//! `CloudEvent`) and collections of samples, whose elements contain the record in a member `record`. Must never
//! drop an element: an element that is not a record is sent too, and must become a dead letter.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// The records of a file, in the form in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFile {
    /// One JSON text per record.
    pub records: Vec<String>,
}

impl LogFile {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = Self::parse(&text).with_context(|| format!("{}", path.display()))?;
        anyhow::ensure!(
            !file.records.is_empty(),
            "{}: the file has no record",
            path.display()
        );
        Ok(file)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let mut records = Vec::new();
        if let Ok(whole) = serde_json::from_str(text) {
            unfold(whole, &mut records);
        } else {
            for (number, line) in text.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let value = serde_json::from_str(line);
                unfold(
                    value.with_context(|| {
                        format!(
                            "neither JSON as a whole nor one JSON text per line: line {}",
                            number + 1
                        )
                    })?,
                    &mut records,
                );
            }
        }
        let records = records.iter().map(Value::to_string).collect();
        Ok(Self { records })
    }
}

/// Splits arrays, batches and samples.
fn unfold(value: Value, records: &mut Vec<Value>) {
    match value {
        Value::Array(elements) => elements.into_iter().for_each(|element| unfold(element, records)),
        Value::Object(mut object) if !object.contains_key("type") && !object.contains_key("data") => {
            let inside = ["record", "logs"].into_iter().find(|name| {
                let inner = object.get(*name);
                inner.is_some_and(|inner| inner.is_object() || inner.is_array())
            });
            match inside.and_then(|name| object.remove(name)) {
                Some(inner) => unfold(inner, records),
                None => records.push(Value::Object(object)),
            }
        }
        other => records.push(other),
    }
}

/// Returns the key of a record: its id where it has one, else its whole content.
#[must_use]
pub fn key(record: &[u8]) -> String {
    let Ok(record) = serde_json::from_slice::<Value>(record) else {
        return String::from_utf8_lossy(record).into_owned();
    };
    let text = |value: &Value| value.as_str().filter(|id| !id.is_empty()).map(str::to_owned);
    let cloud_event = || text(&record["id"]).filter(|_| record.get("specversion").is_some());
    text(&record["data"]["log_id"])
        .or_else(|| text(&record["log_id"]))
        .or_else(|| text(&record["_id"]))
        .or_else(cloud_event)
        .unwrap_or_else(|| record.to_string())
}

/// Returns the user whose login or sign-up the record reports.
#[must_use]
pub fn newcomer(record: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).ok()?;
    let inner = if record["data"].is_object() {
        &record["data"]
    } else {
        &record
    };
    let told = matches!(inner["type"].as_str(), Some("s" | "ss"));
    let user = inner["user_id"]
        .as_str()
        .filter(|user| told && !user.is_empty())?;
    Some(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_its_records() {
        let one = r#"{"log_id":"1","type":"s"}"#;
        let two = r#"{"data":{"log_id":"2","type":"ss"},"log_id":"2"}"#;
        let event = r#"{"data":{"object":{}},"id":"evt_3","specversion":"1.0","type":"user.updated"}"#;
        let table = [
            (format!("[{one},{two}]"), vec![one, two]),
            (format!("{{\"logs\":[{one},{two}]}}"), vec![one, two]),
            (format!("{one}\n\n{two}\n"), vec![one, two]),
            (two.to_owned(), vec![two]),
            (event.to_owned(), vec![event]),
            (
                format!("[{{\"path\":\"a\",\"record\":{one}}},{{\"record\":[{two}]}}]"),
                vec![one, two],
            ),
            ("[7]".to_owned(), vec!["7"]),
            ("[]".to_owned(), vec![]),
        ];
        for (text, expected) in table {
            assert_eq!(LogFile::parse(&text).unwrap().records, expected, "{text}");
        }
        assert!(LogFile::parse("{\n").is_err());
        assert_eq!(
            [one, two, event].map(|text| key(text.as_bytes())),
            ["1", "2", "evt_3"]
        );
    }
}
