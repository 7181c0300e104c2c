//! Jobs that export all users of the tenant (Auth0 docs, bulk-user-exports).
//!
//! Owns the three steps: create a job, read its state, read its file. Creating one needs the scope `read:users`, reading one
//! `read:users` or `create:users`. Must never send our token to the address of the file, which is another server, nor wait for hours
//! for a file that drips.

use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::client::Client;
use super::error::{CallError, LaterWhy, Outcome};
use super::export_lines::{Line, Lines};
use super::reply::{Reply, Write};
use super::users::{Account, FIELDS, RESERVED};

/// Time in which the request for a job is sent.
const SENT_WITHIN: Duration = Duration::from_mins(1);
/// Longest wait for the next part of a file.
const PART_WITHIN: Duration = Duration::from_mins(1);
/// Time of waiting for parts over which the speed of a file is measured.
const MEASURED_OVER: Duration = Duration::from_secs(30);
/// Least bytes a second: an export of a million users, of about 100 MB, would take a day.
const LEAST_SPEED: u64 = 1_024;

/// Exports users; needs the scope `read:users`.
#[derive(Clone)]
pub struct Exporter(Client);

/// State of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Auth0 works on it; with the share that is done, in percent, if Auth0 says it.
    Working(Option<f64>),
    /// The file can be read here, for a minute.
    Done {
        /// Address of the file.
        location: String,
    },
    /// It failed, or Auth0 no longer knows it.
    Lost(String),
}

/// The file of an export, read line by line.
pub struct ExportFile {
    response: reqwest::Response,
    lines: Lines,
    ended: bool,
    /// Compressed bytes of the file, if the server says it.
    pub size: Option<u64>,
    /// Compressed bytes that have arrived.
    pub arrived: u64,
    speed: Speed,
}

/// How fast a file arrives. The time in which its lines are used is no part of it.
#[derive(Default)]
struct Speed {
    waited: Duration,
    arrived: u64,
}

impl Exporter {
    /// Returns an exporter that uses `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// Creates a job for all users; returns its id.
    pub async fn create(&self) -> Reply<String> {
        let fields: Vec<Value> = FIELDS.iter().map(|name| json!({"name": name})).collect();
        let body = json!({"format": "json", "fields": fields});
        let write = Write {
            body: &body,
            until: Instant::now() + SENT_WITHIN,
        };
        let reply = self.0.call(Method::POST, "jobs/users-exports", Some(write)).await;
        reply.map_result(|result| {
            let job: Value = serde_json::from_slice(&result?).unwrap_or_default();
            let id = job.get("id").and_then(Value::as_str);
            id.map(str::to_owned).ok_or_else(|| odd("a job without an id"))
        })
    }

    /// Reads the state of a job.
    pub async fn job(&self, id: &str) -> Reply<Job> {
        let path = format!("jobs/{}", utf8_percent_encode(id, RESERVED));
        let reply = self.0.call(Method::GET, &path, None).await;
        reply.map_result(|result| match result {
            Err(CallError::Later {
                why: LaterWhy::NotFound,
                ..
            }) => Ok(Job::Lost("Auth0 no longer knows the job".to_owned())),
            other => state(&other?),
        })
    }

    /// Opens the file of a completed job.
    ///
    /// # Errors
    /// The address cannot be used, or its server does not return the file.
    pub async fn open(&self, location: &str) -> Result<ExportFile, CallError> {
        let response = self.0.download(location, PART_WITHIN).await?;
        Ok(ExportFile {
            size: response.content_length(),
            response,
            lines: Lines::new(),
            ended: false,
            arrived: 0,
            speed: Speed::default(),
        })
    }
}

impl ExportFile {
    /// Returns the next user; the inner `None` for a line that is no user, the outer one at the end of the file.
    ///
    /// # Errors
    /// The file is damaged, or the connection to its server ended.
    pub async fn next(&mut self) -> Result<Option<Option<Account>>, CallError> {
        let user = |line: Line| line.and_then(|line| Account::parse(&line));
        loop {
            if let Some(line) = self.lines.next().map_err(interrupted)? {
                return Ok(Some(user(line)));
            }
            if self.ended {
                return Ok(self.lines.end().map_err(interrupted)?.map(user));
            }
            let asked = Instant::now();
            let part = timeout(PART_WITHIN, self.response.chunk()).await;
            let part = part.map_err(|_| late("no part of the file arrived in time".to_owned()))?;
            match part.map_err(|error| interrupted(error.without_url().to_string()))? {
                Some(part) => {
                    let bytes = part.len() as u64;
                    self.arrived += bytes;
                    self.lines.feed(part);
                    if !self.speed.suffices(asked.elapsed(), bytes) {
                        return Err(late(format!(
                            "the file arrives at less than {LEAST_SPEED} bytes a second"
                        )));
                    }
                }
                None => self.ended = true,
            }
        }
    }
}

impl Speed {
    /// Notes a part of the file that was waited for. Returns false if too little arrived over the measured time.
    fn suffices(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.arrived += bytes;
        if self.waited < MEASURED_OVER {
            return true;
        }
        let Self { waited, arrived } = std::mem::take(self);
        arrived as f64 >= LEAST_SPEED as f64 * waited.as_secs_f64()
    }
}

fn state(body: &[u8]) -> Result<Job, CallError> {
    let job: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| job.get(name).and_then(Value::as_str);
    match (text("status"), text("location")) {
        (Some("pending" | "processing"), _) => {
            Ok(Job::Working(job.get("percentage_done").and_then(Value::as_f64)))
        }
        (Some("completed"), Some(location)) => Ok(Job::Done {
            location: location.to_owned(),
        }),
        (Some(failed @ ("failed" | "completed" | "expired")), _) => {
            Ok(Job::Lost(format!("the job is {failed} and has no file")))
        }
        _ => Err(odd("a job of an unknown state")),
    }
}

fn odd(what: &str) -> CallError {
    CallError::Later {
        why: LaterWhy::BadAnswer,
        outcome: Outcome::NotSent,
        detail: what.to_owned(),
    }
}

fn interrupted(detail: String) -> CallError {
    CallError::Later {
        why: LaterWhy::Network,
        outcome: Outcome::NotSent,
        detail,
    }
}

fn late(detail: String) -> CallError {
    CallError::Later {
        why: LaterWhy::Timeout,
        outcome: Outcome::NotSent,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_measured_over_the_time_of_waiting() {
        let second = Duration::from_secs(1);
        let parts = |waited: Duration, bytes| {
            let mut speed = Speed::default();
            (0..90).all(|_| speed.suffices(waited, bytes))
        };
        for (waited, bytes, suffices) in [
            (second, 1, false),
            (second, LEAST_SPEED - 1, false),
            (second, LEAST_SPEED, true),
            // parts that were there already
            (Duration::ZERO, 1, true),
            (PART_WITHIN, 50_000, false),
            (PART_WITHIN, 70_000, true),
        ] {
            assert_eq!(parts(waited, bytes), suffices, "{waited:?} {bytes}");
        }
    }

    #[test]
    fn a_job_is_done_only_with_an_address() {
        let of = |job: &Value| state(job.to_string().as_bytes()).ok();
        for (job, expected) in [
            (json!({"status": "pending"}), Some(Job::Working(None))),
            (
                json!({"status": "processing", "percentage_done": 40}),
                Some(Job::Working(Some(40.0))),
            ),
            (
                json!({"status": "completed", "location": "https://a/b"}),
                Some(Job::Done {
                    location: "https://a/b".to_owned(),
                }),
            ),
            (
                json!({"status": "completed"}),
                Some(Job::Lost("the job is completed and has no file".to_owned())),
            ),
            (
                json!({"status": "failed"}),
                Some(Job::Lost("the job is failed and has no file".to_owned())),
            ),
            (json!({"status": "new"}), None),
            (json!([]), None),
        ] {
            assert_eq!(of(&job), expected, "{job}");
        }
    }
}
