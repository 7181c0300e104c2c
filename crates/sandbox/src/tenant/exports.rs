//! Jobs that export all users: `POST /api/v2/jobs/users-exports`, `GET /api/v2/jobs/{id}`, and the file (Auth0 docs,
//! bulk-user-exports).
//!
//! Owns the jobs, their time and their links. The file is NDJSON, gzip, and lies behind a link that needs no token and is valid
//! for 60 s; each read of a completed job shows a new link, for a day. Our choices: the texts of refusals; the users are those
//! of the moment at which the job was created; `connection_id` and the format `csv` are refused; as at the storage behind
//! Auth0, a link is refused when the request has an `Authorization` as well. Must never change a user, and leaves no log record.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::calls::{FILES, pairs};
use super::change::Users;
use super::errors::ApiError;
use super::merge::Object;
use super::profile::{self, timestamp};

/// Life of a link.
const LINK_LIFE: time::Duration = time::Duration::seconds(60);
/// Life of a job.
const JOB_LIFE: time::Duration = time::Duration::hours(24);
/// Most fields of a job.
const MAX_FIELDS: usize = 30;

const CREATE_SCOPES: [&str; 1] = ["read:users"];
const READ_SCOPES: [&str; 3] = ["create:users", "read:users", "create:passwords_checking_job"];

/// The jobs by id.
#[derive(Debug, Default)]
pub(super) struct Exports(HashMap<String, Job>);

#[derive(Debug)]
struct Job {
    sent: Object,
    created: OffsetDateTime,
    ready: OffsetDateTime,
    /// Signature of its links.
    signature: String,
    /// The file before it is compressed.
    text: String,
}

/// The random part of a new job: its id and the signature of its links.
pub(super) struct New<'a> {
    pub(super) id: &'a str,
    pub(super) signature: &'a str,
    pub(super) takes: Duration,
}

impl Exports {
    /// Creates a job.
    pub(super) fn create(
        &mut self,
        users: &Users,
        body: &[u8],
        scopes: &[String],
        new: &New<'_>,
        now: OffsetDateTime,
    ) -> Result<Value, ApiError> {
        check_scopes(scopes, &CREATE_SCOPES)?;
        let sent = profile::parse(body)?;
        let fields = check(&sent)?;
        let lines = users.values().map(|user| line(user, &fields));
        let job = Job {
            created: now,
            ready: now + new.takes,
            signature: new.signature.to_owned(),
            text: lines.collect(),
            sent,
        };
        let shown = job.shown(new.id, "pending");
        self.0.insert(new.id.to_owned(), job);
        Ok(shown.into())
    }

    /// Returns one job; `base` is the tenant's own address with a slash at the end.
    pub(super) fn read(
        &self,
        id: &str,
        scopes: &[String],
        base: &str,
        now: OffsetDateTime,
    ) -> Result<Value, ApiError> {
        check_scopes(scopes, &READ_SCOPES)?;
        let job = self.0.get(id).filter(|job| now < job.created + JOB_LIFE);
        let job = job.ok_or_else(|| ApiError::new(404, Some("inexistent_job"), "The job does not exist."))?;
        if now < job.ready {
            let mut shown = job.shown(id, "processing");
            let (takes, left) = (job.ready - job.created, job.ready - now);
            let done = 100.0 * (1.0 - left.as_seconds_f64() / takes.as_seconds_f64());
            shown.insert("percentage_done".into(), done.floor().into());
            shown.insert("time_left_seconds".into(), left.whole_seconds().max(1).into());
            return Ok(shown.into());
        }
        let mut shown = job.shown(id, "completed");
        let until = (now + LINK_LIFE).unix_timestamp();
        let files = FILES.trim_start_matches('/');
        let link = format!(
            "{base}{files}{id}.json.gz?expires={until}&signature={}",
            job.signature
        );
        shown.insert("location".into(), link.into());
        shown.insert("percentage_done".into(), 100.into());
        Ok(shown.into())
    }

    /// Returns the text of the file behind a link.
    pub(super) fn file(
        &self,
        path: &str,
        query: &str,
        authorized: bool,
        now: OffsetDateTime,
    ) -> Result<String, ApiError> {
        let denied = || ApiError::new(403, None, "Request has expired");
        if authorized {
            let message = "Only one auth mechanism allowed";
            return Err(ApiError::new(400, None, message));
        }
        let query = pairs(query);
        let text = |key: &str| query.get(key).and_then(Value::as_str).unwrap_or_default();
        let id = path
            .strip_prefix(FILES)
            .and_then(|name| name.strip_suffix(".json.gz"));
        let job = id.and_then(|id| self.0.get(id)).ok_or_else(denied)?;
        let until: i64 = text("expires").parse().map_err(|_| denied())?;
        if text("signature") != job.signature || now.unix_timestamp() > until {
            return Err(denied());
        }
        Ok(job.text.clone())
    }
}

impl Job {
    fn shown(&self, id: &str, status: &str) -> Object {
        let mut shown = Object::new();
        for name in ["format", "limit", "fields"] {
            if let Some(value) = self.sent.get(name) {
                shown.insert(name.into(), value.clone());
            }
        }
        shown.insert("id".into(), id.into());
        shown.insert("type".into(), "users_export".into());
        shown.insert("status".into(), status.into());
        shown.insert("created_at".into(), timestamp(self.created).into());
        shown
    }
}

fn check_scopes(scopes: &[String], any_of: &[&str]) -> Result<(), ApiError> {
    if scopes.iter().any(|scope| any_of.contains(&scope.as_str())) {
        return Ok(());
    }
    Err(ApiError::insufficient_scope(any_of))
}

/// Checks the body; returns each field as named in the profile and in the file. None without fields: all of the profile.
fn check(sent: &Object) -> Result<Vec<(String, String)>, ApiError> {
    if let Some(key) = sent
        .keys()
        .find(|key| !["format", "fields"].contains(&key.as_str()))
    {
        return Err(ApiError::payload(
            &format!("Additional properties not allowed: {key}"),
            None,
        ));
    }
    if sent.get("format").is_some_and(|format| *format != json!("json")) {
        return Err(ApiError::payload("No enum match for: csv", Some("format")));
    }
    let Some(fields) = sent.get("fields") else {
        return Ok(vec![]);
    };
    let wrong = || ApiError::payload("Expected type array of objects with a name", Some("fields"));
    let fields = fields
        .as_array()
        .filter(|fields| (1..=MAX_FIELDS).contains(&fields.len()))
        .ok_or_else(wrong)?;
    let field = |field: &Value| {
        let name = field["name"].as_str().ok_or_else(wrong)?;
        let shown = field["export_as"].as_str().unwrap_or(name);
        Ok((name.to_owned(), shown.to_owned()))
    };
    fields.iter().map(field).collect()
}

fn line(user: &Object, fields: &[(String, String)]) -> String {
    if fields.is_empty() {
        return format!("{}\n", Value::from(user.clone()));
    }
    let shown = fields.iter().filter_map(|(name, shown)| {
        let value = user.get(name)?;
        Some((shown.clone(), value.clone()))
    });
    format!("{}\n", Value::from(shown.collect::<Object>()))
}
