//! The plan file: a header, a line for each user, and an end with their number, one JSON object a line.
//!
//! Owns the format and its version. Must never take a part of a file for the whole: the last line has the number of users and a
//! digest of all lines before.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::serde::rfc3339;

use super::change::UserChanges;
use crate::hash::Hash;
use crate::ids::UserId;

/// The version of the format.
pub const VERSION: u64 = 1;
/// The beginning of the last line.
const END: &str = "{\"end\":";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the format; also marks a plan file.
    pub rolekeeper_plan: u64,
    /// Time at which the plan began, by Postgres' clock.
    #[serde(with = "rfc3339")]
    pub made_at: OffsetDateTime,
    /// Release that made the plan.
    pub release: String,
    /// The tenant that the database belongs to; null before the first start of a worker that reconciles.
    pub tenant: Option<String>,
    /// The rules in force at that time.
    pub in_force: Named,
    /// The proposed rules; null for a plan under the rules in force.
    pub proposed: Option<Proposed>,
    /// The user, for a plan of one user.
    pub user: Option<String>,
    /// The hash of the file, for a plan of the users of an import: to apply it lets their roles change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
}

impl Header {
    /// Time at which the plan began, as the file has it: with the rules it names the plan among the acts.
    #[must_use]
    pub fn made(&self) -> String {
        self.made_at.format(&Rfc3339).unwrap_or_default()
    }
}

/// Rules by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Their version; 0 without one.
    pub version: i64,
    /// SHA-256 of their canonical form, in hex.
    pub fingerprint: String,
}

/// Proposed rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Version of the rules file; 0 without one.
    pub version: i64,
    /// The rules in canonical form.
    pub canonical: String,
}

#[derive(Serialize, Deserialize)]
struct Last {
    end: End,
}

#[derive(Serialize, Deserialize)]
struct End {
    users: u64,
    sha256: String,
}

/// Only the mark of a header.
#[derive(Deserialize)]
struct Marked {
    rolekeeper_plan: Option<u64>,
}

/// Lines in the order of the file: the digest so far, and the number of users.
#[derive(Clone, Debug, Default)]
struct Lines {
    digest: Sha256,
    users: u64,
}

/// Makes the lines of a plan file.
#[derive(Clone, Debug, Default)]
pub struct Writer(Lines);

/// Reads the lines of a plan file in order.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    lines: Lines,
    number: u64,
    last_user: String,
    ended: bool,
}

impl Lines {
    fn add(&mut self, line: &str) {
        self.digest.update(line);
        self.digest.update("\n");
    }

    fn sha256(self) -> String {
        Hash::of(self.digest.finalize().into()).to_string()
    }
}

impl Writer {
    /// The first line.
    #[must_use]
    pub fn header(&mut self, header: &Header) -> String {
        self.line(header)
    }

    /// The line of a user.
    #[must_use]
    pub fn user(&mut self, user: &UserChanges) -> String {
        self.0.users += 1;
        self.line(user)
    }

    /// The last line.
    #[must_use]
    pub fn end(mut self) -> String {
        let end = End {
            users: self.0.users,
            sha256: self.0.clone().sha256(),
        };
        self.line(&Last { end })
    }

    fn line(&mut self, value: &impl Serialize) -> String {
        let line = serde_json::to_string(value).unwrap_or_default();
        self.0.add(&line);
        line
    }
}

impl Reader {
    /// Reads the first line.
    ///
    /// # Errors
    /// The place and the fault.
    pub fn header(&mut self, line: &str) -> Result<Header, String> {
        self.number = 1;
        let marked: Option<Marked> = serde_json::from_str(line).ok();
        match marked.and_then(|marked| marked.rolekeeper_plan) {
            None => {
                return Err(
                    "line 1: not a plan of rolekeeper: expected a JSON object with rolekeeper_plan, as `rolekeeper plan -o` writes it"
                        .to_owned(),
                );
            }
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!(
                    "line 1: rolekeeper_plan: the plan has format {other}, and this release ({}) reads format {VERSION}: make the plan \
                     again",
                    env!("CARGO_PKG_VERSION")
                ));
            }
        }
        self.lines.add(line);
        self.parsed(line)
    }

    /// Reads the next line; `None` for the last one.
    ///
    /// # Errors
    /// The place and the fault.
    pub fn user(&mut self, line: &str) -> Result<Option<UserChanges>, String> {
        self.number += 1;
        let number = self.number;
        if self.ended {
            return Err(format!(
                "line {number}: expected nothing after the end of the plan"
            ));
        }
        if line.starts_with(END) {
            let Last { end } = self.parsed(line)?;
            if end.users != self.lines.users {
                return Err(format!(
                    "line {number}: end.users: the plan had {} users, and the file has {}: lines are missing; make the plan again",
                    end.users, self.lines.users
                ));
            }
            if end.sha256 != self.lines.clone().sha256() {
                return Err(format!(
                    "line {number}: end.sha256: the lines before it were changed; make the plan again"
                ));
            }
            self.ended = true;
            return Ok(None);
        }
        let user: UserChanges = self.parsed(line)?;
        let fault = |field: &str, why: &str| Err(format!("line {number}: {field}: {why}"));
        if let Err(expected) = UserId::parse(user.user.as_str()) {
            return fault("user", expected);
        }
        if user.user <= self.last_user {
            return fault("user", "expected an id after that of the line before");
        }
        if user.changes.is_empty() {
            return fault("changes", "expected at least one");
        }
        self.last_user.clone_from(&user.user);
        self.lines.users += 1;
        self.lines.add(line);
        Ok(Some(user))
    }

    /// Refuses a file that ended before its last line.
    ///
    /// # Errors
    /// The place and the fault.
    pub fn end(&self) -> Result<(), String> {
        if self.ended {
            return Ok(());
        }
        Err(format!(
            "line {}: the file ends here, without the end of the plan: it was cut off; make the plan again",
            self.number
        ))
    }

    fn parsed<T: DeserializeOwned>(&self, line: &str) -> Result<T, String> {
        let mut json = serde_json::Deserializer::from_str(line);
        let parsed = serde_path_to_error::deserialize(&mut json).map_err(|fault| {
            let (path, why) = (fault.path().to_string(), plain(fault.inner()));
            match (fault.inner().is_data(), path.as_str()) {
                (true, ".") => why,
                (true, _) => format!("{path}: {why}"),
                (false, _) => {
                    format!("not JSON ({why}): the file was cut off or changed; make the plan again")
                }
            }
        });
        let whole = parsed.and_then(|value| match json.end() {
            Ok(()) => Ok(value),
            Err(why) => Err(format!("not one JSON object ({})", plain(&why))),
        });
        whole.map_err(|why| format!("line {}: {why}", self.number))
    }
}

/// The parser's message without its own place, which is always line 1.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
