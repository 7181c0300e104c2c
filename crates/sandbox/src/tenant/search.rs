//! `GET /api/v2/users`: a page of users, all or by a search (Auth0 docs, list-and-search-users, view-search-results-by-page).
//!
//! Owns the page: its size, its order and its limit. At most [`super::TenantOptions::search_results`] users can be reached; a
//! page behind them is refused, as seen at a live tenant. Each response shows all writes, unlike at Auth0: a client must not
//! base a decision on a list. Our choices: texts of refusals, and the length of a query from which the response is 414.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::calls::pairs;
use super::change::Users;
use super::errors::ApiError;
use super::merge::Object;
use super::query::Query;

/// Most users in a page.
const MAX_PER_PAGE: usize = 100;
/// Users in a page without `per_page`.
const DEFAULT_PER_PAGE: usize = 50;
/// Longest query, in bytes.
const MAX_QUERY: usize = 4_096;

/// Returns a page; `most` users can be reached by any paging.
pub(super) fn list(users: &Users, query: &str, most: usize) -> Result<Value, ApiError> {
    let query = pairs(query);
    let text = |key: &str| query.get(key).and_then(Value::as_str);
    let (page, per_page) = (
        number(&query, "page", 0)?,
        number(&query, "per_page", DEFAULT_PER_PAGE)?,
    );
    if per_page > MAX_PER_PAGE {
        let violation = format!("Value {per_page} is greater than maximum {MAX_PER_PAGE}");
        return Err(ApiError::query(&violation, "per_page"));
    }
    if text("search_engine").is_some_and(|engine| engine != "v3") {
        return Err(ApiError::query(
            "No enum match for: search_engine",
            "search_engine",
        ));
    }
    let terms = text("q").unwrap_or_default();
    if terms.len() > MAX_QUERY {
        return Err(ApiError::new(414, None, "The query is too long."));
    }
    let start = page.saturating_mul(per_page);
    if start >= most {
        let message = format!("You can only page through the first {most} records.");
        return Err(ApiError::new(400, Some("invalid_paging"), message));
    }
    let terms = Query::parse(terms)?;
    let mut found: Vec<&Object> = users.values().filter(|user| terms.finds(user)).collect();
    if let Some(sort) = text("sort") {
        let (field, descending) = order(sort)?;
        // Users with the same value stay in the order of their ids.
        found.sort_by(|one, other| {
            let order = compared(one.get(field), other.get(field));
            if descending { order.reverse() } else { order }
        });
    }
    let reached = found.iter().take(most).skip(start).take(per_page);
    let shown: Vec<Value> = reached.map(|user| selected(user, &query).into()).collect();
    Ok(if text("include_totals") == Some("true") {
        json!({"start": start, "limit": per_page, "length": shown.len(), "users": shown, "total": found.len()})
    } else {
        shown.into()
    })
}

fn number(query: &Object, key: &str, default: usize) -> Result<usize, ApiError> {
    match query.get(key).and_then(Value::as_str) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::query("Expected type integer but found type string", key)),
    }
}

/// Parses `field:1` or `field:-1`; returns the field, and whether the order is descending.
fn order(sort: &str) -> Result<(&str, bool), ApiError> {
    match sort.split_once(':') {
        Some((field, "1")) if !field.is_empty() => Ok((field, false)),
        Some((field, "-1")) if !field.is_empty() => Ok((field, true)),
        _ => Err(ApiError::query(
            "String does not match pattern: field:1 or field:-1",
            "sort",
        )),
    }
}

/// Compares two values of one field: numbers by value, texts and dates by their characters; a missing one comes first.
fn compared(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match (one.and_then(Value::as_f64), other.and_then(Value::as_f64)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => text(one).cmp(&text(other)),
    }
}

/// Returns the root attributes that `fields` and `include_fields` select.
pub(super) fn selected(user: &Object, query: &Object) -> Object {
    let fields = query.get("fields").and_then(Value::as_str).unwrap_or_default();
    if fields.is_empty() {
        return user.clone();
    }
    let include = query.get("include_fields").and_then(Value::as_str) != Some("false");
    let named = |key: &str| fields.split(',').any(|field| field == key);
    user.iter()
        .filter(|(key, _)| named(key) == include)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}
