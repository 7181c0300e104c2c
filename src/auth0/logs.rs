//! The tenant's log, read page by page.
//!
//! Owns the format of a page, and the read of one record by its id. Must never change a byte of a record, nor judge a record:
//! the code that stores records does.
//!
//! `GET /api/v2/logs` has two modes (Auth0 docs, retrieve-log-events-using-mgmt-api): the records after a given one, in the
//! order of ids, without limit; and a search in the order of dates, of which only the first record is requested here. The
//! page's `Link: rel="next"` contains only the id of its last record, which the caller already has.

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::client::Client;
use super::error::{CallError, LaterWhy, Outcome};
use super::reply::Reply;
use super::users::{RESERVED, is_dots};
use rolekeeper_domain::date;

/// Most records in a page.
pub const MAX_TAKE: u32 = 100;

/// Reads the tenant's log; needs the scope `read:logs` or `read:logs_users`.
#[derive(Clone)]
pub struct LogReader(Client);

/// Records in the order of their ids.
pub type Page = Vec<Record>;

/// A record, of which two fields are parsed here.
#[derive(Debug)]
pub struct Record {
    /// Its id; the next page begins after it.
    pub log_id: String,
    /// Its date; none if missing or not valid.
    pub date: Option<OffsetDateTime>,
    /// The whole record as it was sent.
    pub json: Box<RawValue>,
}

/// The parsed fields. Each of the two ids may be missing or null.
#[derive(Deserialize)]
struct Fields {
    log_id: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
    date: Option<String>,
}

impl LogReader {
    /// Returns a reader that uses `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// Returns up to `take` records after the one with this id.
    pub async fn after(&self, log_id: &str, take: u32) -> Reply<Page> {
        let from = utf8_percent_encode(log_id, RESERVED);
        self.page(&format!("logs?from={from}&take={take}")).await
    }

    /// Returns the newest record by date; none in an empty log.
    pub async fn newest(&self) -> Reply<Page> {
        self.page("logs?sort=date%3A-1&per_page=1&page=0").await
    }

    /// Returns the oldest record that the tenant still keeps; none in an empty log.
    pub async fn oldest(&self) -> Reply<Page> {
        self.page("logs?sort=date%3A1&per_page=1&page=0").await
    }

    /// Returns the record with this id, as it was sent; none when the tenant's log does not hold it (no longer, or not yet).
    pub async fn one(&self, log_id: &str) -> Reply<Option<Vec<u8>>> {
        if is_dots(log_id) {
            return Reply::<()>::from(CallError::Gone { at: None }).map_result(|_| Ok(None));
        }
        let path = format!("logs/{}", utf8_percent_encode(log_id, RESERVED));
        let reply = self.0.call(Method::GET, &path, None).await;
        reply.map_result(|result| match result {
            Err(CallError::Later {
                why: LaterWhy::NotFound,
                ..
            }) => Ok(None),
            other => other.map(Some),
        })
    }

    async fn page(&self, path: &str) -> Reply<Page> {
        let reply = self.0.call(Method::GET, path, None).await;
        reply.map_result(|result| {
            parse(&result?).map_err(|detail| CallError::Later {
                why: LaterWhy::BadAnswer,
                outcome: Outcome::NotSent,
                detail,
            })
        })
    }
}

fn parse(body: &[u8]) -> Result<Page, String> {
    let records: Vec<Box<RawValue>> =
        serde_json::from_slice(body).map_err(|_| "a page of the log that is not a list".to_owned())?;
    let read = |json: Box<RawValue>| {
        let fields: Option<Fields> = serde_json::from_str(json.get()).ok();
        let date = fields.as_ref().and_then(|fields| fields.date.as_deref());
        let date = date.and_then(date::of_text);
        let log_id = fields.and_then(|fields| fields.log_id.or(fields.id));
        let log_id = log_id.ok_or_else(|| "a record of the log without an id".to_owned())?;
        Ok(Record { log_id, date, json })
    };
    records.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_either_id_and_kept_as_it_is() {
        let body =
            br#"[{"_id":"a","log_id":null,"date":"2026-11-24T10:00:00.000Z", "x":1},{"log_id":"b","_id":"c"}]"#;
        let page = parse(body).unwrap();
        let ids: Vec<_> = page.iter().map(|record| record.log_id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(
            page[0]
                .json
                .get()
                .ends_with(r#""date":"2026-11-24T10:00:00.000Z", "x":1}"#)
        );
        assert_eq!((page[0].date.unwrap().hour(), page[1].date), (10, None));
        for bad in ["{}", "[1]", "[{}]", "", "[{\"log_id\":7}]"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn fuzz_pages_of_the_log() {
        rolekeeper_fuzz::fuzz("log_pages", |body| {
            let page = match parse(body) {
                Ok(page) => page,
                Err(why) => return assert!(!why.contains(char::is_control), "{why}"),
            };
            for record in page {
                let json = record.json.get();
                assert!(
                    String::from_utf8_lossy(body).contains(json),
                    "byte for byte: {json}"
                );
                assert!(json.contains("_id"), "it has an id: {json}");
            }
        });
    }
}
