//! The search language of `GET /api/v2/users` (Auth0 docs, user-search-query-syntax), as far as it is used.
//!
//! Owns the parts that are supported: terms `field:"text"` or `field:text` and ranges `field:[from TO until]` of dates, `{` and
//! `}` for an excluded bound and `*` for none, joined by ` AND `. A path ignores arrays, so `app_metadata.roles:"x"` finds an
//! entry of an array. Everything else is refused: a search must never find users by a condition that it does not know. Our
//! choices: the texts of refusals; a date without a time is its midnight; a term is the whole value and not one word of it.

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

use super::errors::ApiError;
use super::merge::Object;

/// Fields with a date.
const DATES: [&str; 3] = ["created_at", "updated_at", "last_login"];

/// A parsed query: all terms must hold.
pub(super) struct Query(Vec<(String, Term)>);

#[derive(Debug, PartialEq)]
enum Term {
    Is(String),
    Between(Bound, Bound),
}

/// A bound of a range, and whether it belongs to the range; `None` for no bound.
type Bound = Option<(OffsetDateTime, bool)>;

impl Query {
    /// Parses the value of `q`; an empty one finds every user.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut terms = vec![];
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (field, value) = rest.split_once(':').ok_or_else(refused)?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if field.is_empty() || !field.chars().all(is_name) {
                return Err(refused());
            }
            let (term, after) = term(field, value)?;
            terms.push((field.to_owned(), term));
            rest = match after.trim_start() {
                "" => "",
                more => more.strip_prefix("AND ").ok_or_else(refused)?.trim_start(),
            };
        }
        Ok(Self(terms))
    }

    /// Whether it finds the user.
    pub(super) fn finds(&self, user: &Object) -> bool {
        self.0.iter().all(|(field, term)| {
            let (first, path) = field.split_once('.').unwrap_or((field, ""));
            user.get(first).is_some_and(|value| has(value, path, term))
        })
    }
}

/// Parses one value; returns the text after it.
fn term<'q>(field: &str, value: &'q str) -> Result<(Term, &'q str), ApiError> {
    if let Some(quoted) = value.strip_prefix('"') {
        let (text, after) = unquoted(quoted)?;
        return Ok((Term::Is(text), after));
    }
    if value.starts_with(['[', '{']) {
        if !DATES.contains(&field) {
            return Err(refused());
        }
        let end = value.find([']', '}']).ok_or_else(refused)?;
        let (from, until) = value[1..end].split_once(" TO ").ok_or_else(refused)?;
        let from = bound(from, value.starts_with('['))?;
        let until = bound(until, value[end..].starts_with(']'))?;
        return Ok((Term::Between(from, until), &value[end + 1..]));
    }
    let end = value.find(' ').unwrap_or(value.len());
    let word = &value[..end];
    if word.is_empty() || word.contains(['*', '?', '"', '(', ')', '\\']) {
        return Err(refused());
    }
    Ok((Term::Is(word.to_owned()), &value[end..]))
}

/// Reads up to the closing quote; a backslash escapes the character behind it.
fn unquoted(text: &str) -> Result<(String, &str), ApiError> {
    let mut read = String::new();
    let mut all = text.char_indices();
    while let Some((at, c)) = all.next() {
        match c {
            '"' => return Ok((read, &text[at + 1..])),
            '\\' => read.push(all.next().ok_or_else(refused)?.1),
            other => read.push(other),
        }
    }
    Err(refused())
}

fn bound(text: &str, belongs: bool) -> Result<Bound, ApiError> {
    if text == "*" {
        return Ok(None);
    }
    date(text).map(|at| Some((at, belongs))).ok_or_else(refused)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bound of a query, which no database stores"
)]
fn date(text: &str) -> Option<OffsetDateTime> {
    let midnight = || {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        Some(Date::parse(text, format).ok()?.midnight().assume_utc())
    };
    OffsetDateTime::parse(text, &Rfc3339).ok().or_else(midnight)
}

fn has(value: &Value, path: &str, term: &Term) -> bool {
    match value {
        Value::Array(entries) => entries.iter().any(|entry| has(entry, path, term)),
        Value::Object(object) if !path.is_empty() => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            object.get(first).is_some_and(|value| has(value, rest, term))
        }
        Value::String(text) if path.is_empty() => match term {
            Term::Is(wanted) => text == wanted,
            Term::Between(from, until) => date(text).is_some_and(|at| {
                from.is_none_or(|(from, belongs)| at > from || (belongs && at == from))
                    && until.is_none_or(|(until, belongs)| at < until || (belongs && at == until))
            }),
        },
        Value::Bool(flag) if path.is_empty() => *term == Term::Is(flag.to_string()),
        Value::Number(number) if path.is_empty() => *term == Term::Is(number.to_string()),
        _ => false,
    }
}

fn refused() -> ApiError {
    let message = "Invalid query syntax: this tenant supports terms and ranges of dates, joined by AND.";
    ApiError::new(400, Some("invalid_query_string"), message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finds(query: &str) -> Option<bool> {
        let user = json!({
            "user_id": "auth0|ann", "created_at": "2026-01-31T23:59:59.500Z", "blocked": true,
            "app_metadata": {"roles": ["dj", "a \"b\" AND c"], "plan": {"name": "gold"}},
            "identities": [{"provider": "auth0", "user_id": "ann"}, {"provider": "github", "user_id": "7"}],
        });
        let query = Query::parse(query).ok()?;
        Some(query.finds(user.as_object().unwrap()))
    }

    #[test]
    fn terms_and_ranges_find_users() {
        for (query, found) in [
            ("", true),
            ("app_metadata.roles:\"dj\"", true),
            ("app_metadata.roles:dj AND blocked:true", true),
            ("app_metadata.roles:\"a \\\"b\\\" AND c\"", true),
            ("app_metadata.roles:\"d\"", false),
            ("app_metadata.plan.name:\"gold\"", true),
            (
                "identities.user_id:\"7\" AND identities.provider:\"github\"",
                true,
            ),
            ("created_at:[2026-01-01 TO 2026-02-01}", true),
            ("created_at:[2026-01-31T23:59:59.500Z TO *]", true),
            ("created_at:{2026-01-31T23:59:59.500Z TO *]", false),
            ("created_at:[* TO 2026-01-31T23:59:59.500Z]", true),
            ("created_at:[* TO 2026-01-31T23:59:59.500Z}", false),
            ("last_login:[* TO *]", false),
        ] {
            assert_eq!(finds(query), Some(found), "{query}");
        }
    }

    #[test]
    fn a_query_that_is_not_understood_is_refused() {
        for query in [
            "dj",
            "roles:d*",
            "a:\"b",
            "a:b OR c:d",
            "NOT a:b",
            "app_metadata.n:[1 TO 2]",
            "created_at:[x TO *]",
            "created_at:[2026-01-01]",
        ] {
            assert_eq!(finds(query), None, "{query}");
        }
    }
}
