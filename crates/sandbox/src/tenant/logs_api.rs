//! `GET /api/v2/logs`: the tenant's log, after a record or by search (Auth0 docs,
//! retrieve-log-events-using-mgmt-api), and `GET /api/v2/logs/{log_id}`: one record (Auth0 docs, get-logs-by-id).
//!
//! Owns the responses. After a record (`from`, `take`) the order is the order of ids and every filter is ignored; an
//! empty page links to itself. By search (`page`, `per_page`, `sort`) the order is the order of dates, and at most 1,000
//! records can be reached. Must never show a record before the time in its id, at which Auth0 has it.
//!
//! These are not documented, so they are our choices: a `from` that the log does not hold is refused with 400, unless the
//! tenant is set to return an empty page; the texts of refusals, also for a missing record; the search language (`q`), which
//! is refused.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::calls::pairs;
use super::errors::ApiError;
use super::merge::Object;
use super::outbox::{Outbox, RetainedRecord};

/// Most records in a page, in both modes.
const MAX_PAGE: usize = 100;
/// Most records that a search reaches.
const MAX_FOUND: usize = 1_000;
/// The accepted scopes; a client needs one of them.
const SCOPES: [&str; 2] = ["read:logs", "read:logs_users"];
/// Fields that a record in this format has even without a value.
const ALWAYS: [&str; 6] = [
    "client_id",
    "connection",
    "user_id",
    "user_name",
    "details",
    "location_info",
];

/// The requested records, and the address of the next page, if there is one.
pub(super) type Reply = (Value, Option<String>);

/// Returns the response to one call; `base` is the tenant's own address with a slash at the end.
pub(super) fn decide(
    outbox: &Outbox,
    query: &str,
    scopes: &[String],
    base: &str,
    now: OffsetDateTime,
) -> Result<Reply, ApiError> {
    if !scopes.iter().any(|scope| SCOPES.contains(&scope.as_str())) {
        return Err(ApiError::insufficient_scope(&SCOPES));
    }
    let query = pairs(query);
    match text(&query, "from") {
        Some(from) => {
            let take = number(&query, "take", 50)?;
            let page = behind(outbox, from, take, now)?;
            let last = page.last().map_or(from, |record| record.log_id.as_str());
            let next = format!("{base}api/v2/logs?from={last}&take={take}");
            Ok((shown(&page), Some(next)))
        }
        None => Ok((search(outbox, &query, now)?, None)),
    }
}

/// Returns the response to the call for one record.
pub(super) fn one(
    outbox: &Outbox,
    log_id: &str,
    scopes: &[String],
    now: OffsetDateTime,
) -> Result<Value, ApiError> {
    if !scopes.iter().any(|scope| SCOPES.contains(&scope.as_str())) {
        return Err(ApiError::insufficient_scope(&SCOPES));
    }
    let kept = outbox
        .kept()
        .find(|record| record.log_id == log_id && record.ingested <= now);
    kept.map(flat)
        .ok_or_else(|| ApiError::new(404, None, "Log not found."))
}

fn behind<'a>(
    outbox: &'a Outbox,
    from: &str,
    take: usize,
    now: OffsetDateTime,
) -> Result<Vec<&'a RetainedRecord>, ApiError> {
    let known = outbox.kept().any(|record| record.log_id == from);
    if !known && outbox.expired_is_refused() {
        let violation = "The log event does not exist";
        return Err(ApiError::query(violation, "from"));
    }
    let mut page: Vec<&RetainedRecord> = outbox
        .kept()
        .filter(|record| known && record.log_id.as_str() > from && record.ingested <= now)
        .collect();
    page.sort_by(|one, other| one.log_id.cmp(&other.log_id));
    page.truncate(take);
    Ok(page)
}

fn search(outbox: &Outbox, query: &Object, now: OffsetDateTime) -> Result<Value, ApiError> {
    if query.contains_key("q") {
        return Err(ApiError::query("This tenant has no search language", "q"));
    }
    let (page, per_page) = (number(query, "page", 0)?, number(query, "per_page", 50)?);
    let start = page.saturating_mul(per_page);
    if start >= MAX_FOUND {
        let violation = format!("Only the first {MAX_FOUND} results can be reached");
        return Err(ApiError::query(&violation, "page"));
    }
    let mut found: Vec<&RetainedRecord> = outbox.kept().filter(|record| record.ingested <= now).collect();
    match text(query, "sort") {
        None | Some("date:-1") => found.sort_by_key(|record| std::cmp::Reverse(record.date())),
        Some("date:1") => found.sort_by_key(|record| record.date()),
        Some(_) => return Err(ApiError::query("Expected date:1 or date:-1", "sort")),
    }
    let total = found.len();
    let found: Vec<&RetainedRecord> = found.into_iter().skip(start).take(per_page).collect();
    let logs = shown(&found);
    if text(query, "include_totals") == Some("true") {
        return Ok(
            json!({"start": start, "limit": per_page, "length": found.len(), "total": total, "logs": logs}),
        );
    }
    Ok(logs)
}

fn text<'a>(query: &'a Object, key: &str) -> Option<&'a str> {
    query.get(key).and_then(Value::as_str)
}

fn number(query: &Object, key: &str, default: usize) -> Result<usize, ApiError> {
    let Some(written) = text(query, key) else {
        return Ok(default);
    };
    let number: usize = written
        .parse()
        .map_err(|_| ApiError::query("Expected type integer but found type string", key))?;
    if key != "page" && !(1..=MAX_PAGE).contains(&number) {
        let violation = format!("Value {number} is not from 1 to {MAX_PAGE}");
        return Err(ApiError::query(&violation, key));
    }
    Ok(number)
}

fn shown(records: &[&RetainedRecord]) -> Value {
    records.iter().map(|kept| flat(kept)).collect()
}

/// Returns a record in the format of these endpoints: flat, with `_id`, and with explicit nulls.
fn flat(kept: &RetainedRecord) -> Value {
    let mut record = kept.record.clone();
    record["_id"] = kept.log_id.as_str().into();
    record["isMobile"] = false.into();
    for field in ALWAYS {
        if record.get(field).is_none() {
            record[field] = Value::Null;
        }
    }
    record
}
