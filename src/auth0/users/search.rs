//! The search for users who hold a role, page by page.
//!
//! Owns the query, and the form of a page and of an exported user. A search may show a state from some seconds ago (Auth0 docs,
//! list-and-search-users): its result names users, and decides nothing. Must never take an entry that is no user for the end of
//! the list.

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{Profile, RESERVED, Reader};
use crate::auth0::error::{CallError, LaterWhy, Outcome};
use crate::auth0::profile_text;
use crate::auth0::reply::Reply;
use rolekeeper_domain::discovery::Position;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::rule::Shown;

/// Fields that are requested: those of a decision about roles, the linked ids, and those of the conditions.
pub(in crate::auth0) const FIELDS: [&str; 6] = [
    "user_id",
    "created_at",
    "app_metadata",
    "identities",
    "blocked",
    "email_verified",
];

/// Dates as Auth0 writes them.
const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const MICROS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A page of a search.
#[derive(Debug)]
pub struct HolderPage {
    /// The users in the order of their creation; `None` for an entry that cannot be read.
    pub accounts: Vec<Option<Account>>,
    /// Number of users that the query finds, as far as Auth0 says it.
    pub total: Option<u64>,
}

/// A user in a page of a search, or in an export.
#[derive(Debug)]
pub struct Account {
    /// The user id.
    pub user: UserId<'static>,
    /// The requested fields of the profile.
    pub profile: Profile,
    /// The members that conditions use.
    pub shown: Shown,
}

#[derive(Deserialize)]
struct Envelope {
    users: Vec<Box<RawValue>>,
    total: Option<u64>,
}

impl Account {
    /// Parses one user.
    pub(in crate::auth0) fn parse(body: &[u8]) -> Option<Self> {
        let (json, repaired) = profile_text::object(body).ok()?;
        let user = UserId::parse(json.get("user_id")?.as_str()?.to_owned()).ok()?;
        let shown = Shown::of(&json);
        let profile = Profile {
            json,
            date: None,
            whole: false,
            repaired,
            doubtful: false,
        };
        Some(Self { user, profile, shown })
    }

    /// Returns the ids that are shown as linked to the user; none where the entry does not say.
    #[must_use]
    pub fn linked(&self) -> Option<Vec<UserId<'static>>> {
        self.profile.identities()
    }

    /// Whether the user is shown with `app_metadata`.
    #[must_use]
    pub fn shows_app_metadata(&self) -> bool {
        !self.profile.lacks_app_metadata()
    }
}

impl Reader {
    /// Searches for users who hold the role, in the order of their creation, from this position on.
    pub async fn holders(&self, role: &str, position: &Position, per_page: u32) -> Reply<HolderPage> {
        let terms = utf8_percent_encode(&query(role, position), RESERVED).to_string();
        let page = position.page(per_page);
        let fields = FIELDS.join("%2C");
        let path = format!(
            "users?q={terms}&search_engine=v3&sort=created_at%3A1&per_page={per_page}&page={page}&include_totals=true\
             &fields={fields}&include_fields=true"
        );
        let reply = self.0.call(Method::GET, &path, None).await;
        reply.map_result(|result| {
            parse(&result?).ok_or_else(|| CallError::Later {
                why: LaterWhy::BadAnswer,
                outcome: Outcome::NotSent,
                detail: "a result of a search that is not a list of users".to_owned(),
            })
        })
    }
}

/// Quotes a text of the search language.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn query(role: &str, position: &Position) -> String {
    let role = format!("app_metadata.roles:{}", quoted(role));
    match position {
        Position::Begin => role,
        Position::From(from) => format!("{role} AND created_at:[{} TO *]", text(*from)),
        Position::At { at, .. } => format!("{role} AND created_at:[{at} TO {at}]", at = text(*at)),
        Position::After(after) => format!("{role} AND created_at:{{{} TO *]", text(*after)),
    }
}

fn text(at: OffsetDateTime) -> String {
    let whole_millis = at.microsecond().is_multiple_of(1_000);
    let format = if whole_millis { MILLIS } else { MICROS };
    at.to_offset(time::UtcOffset::UTC)
        .format(format)
        .unwrap_or_default()
}

fn parse(body: &[u8]) -> Option<HolderPage> {
    let page: Envelope = serde_json::from_slice(body).ok()?;
    let accounts = page
        .users
        .iter()
        .map(|user| Account::parse(user.get().as_bytes()));
    Some(HolderPage {
        accounts: accounts.collect(),
        total: page.total,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_query_names_the_role_and_the_users_that_are_left() {
        let at = datetime!(2026-01-31 23:59:59.5 UTC);
        for (position, range) in [
            (Position::Begin, ""),
            (
                Position::From(at),
                " AND created_at:[2026-01-31T23:59:59.500Z TO *]",
            ),
            (
                Position::At { at, seen: 100 },
                " AND created_at:[2026-01-31T23:59:59.500Z TO 2026-01-31T23:59:59.500Z]",
            ),
            (
                Position::After(at + time::Duration::MICROSECOND),
                " AND created_at:{2026-01-31T23:59:59.500001Z TO *]",
            ),
        ] {
            let role = r#"app_metadata.roles:"a \"b\" \\c""#;
            assert_eq!(query("a \"b\" \\c", &position), format!("{role}{range}"));
        }
    }

    #[test]
    fn an_entry_that_is_no_user_affects_only_itself() {
        let body =
            br#"{"start":0,"total":4,"users":[{"user_id":"auth0|a","created_at":"2026-01-01T00:00:00.000Z",
            "app_metadata":{"roles":["dj"],"odd":"\ud800"},"blocked":true,
            "identities":[{"provider":"auth0","user_id":"a"},{"provider":"github","user_id":7}]},
            {"user_id":7},3,{"user_id":"auth0|b","identities":{"provider":"github","user_id":"8"}}]}"#;
        let page = parse(body).unwrap();
        let ids: Vec<_> = page
            .accounts
            .iter()
            .map(|account| account.as_ref().map(|account| account.user.as_str()))
            .collect();
        assert_eq!(ids, [Some("auth0|a"), None, None, Some("auth0|b")]);
        let account = page.accounts[0].as_ref().unwrap();
        assert!(account.profile.roles().has("dj") && account.shown.blocked && account.shows_app_metadata());
        assert_eq!(account.linked(), Some(vec![UserId::parse("github|7").unwrap()]));
        let other = page.accounts[3].as_ref().unwrap();
        assert!(!other.shows_app_metadata() && other.linked().is_none());
        assert_eq!(page.total, Some(4));
        for bad in ["[]", "{}", "", "{\"users\":{}}"] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn fuzz_pages_of_a_search() {
        rolekeeper_fuzz::fuzz("searches", |body| {
            let Some(page) = parse(body) else { return };
            for account in page.accounts.into_iter().flatten() {
                assert!(UserId::parse(account.user.as_str()).is_ok());
                let linked = account.linked().unwrap_or_default();
                assert!(!linked.contains(&account.user), "{linked:?}");
                let _ = (account.profile.roles(), account.shows_app_metadata());
            }
        });
    }
}
