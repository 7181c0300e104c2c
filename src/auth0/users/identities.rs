//! The identities of a profile, and the search for the account that an id is linked to.
//!
//! Owns the form of `identities`. Must never take a list of unknown form for "no identities": that would end every link.

use percent_encoding::utf8_percent_encode;
use reqwest::Method;
use serde_json::Value;

use super::search::quoted;
use super::{NO_USER, Profile, RESERVED, Reader};
use crate::auth0::error::{CallError, LaterWhy, Outcome};
use crate::auth0::reply::Reply;
use rolekeeper_domain::ids::UserId;

/// Most linked ids of one account. A profile has 10 KB, and an identity some hundred bytes.
const MOST: usize = 100;
/// Most accounts in the response to a search; one is expected.
const FOUND: &str = "10";

impl Profile {
    /// Returns the ids that are linked to the user, without the user's own; none where the profile does not say: `identities` is
    /// no list of identities that contains the user's own.
    #[must_use]
    pub fn identities(&self) -> Option<Vec<UserId<'static>>> {
        let user = self.json.get("user_id")?.as_str()?;
        let mut ids = ids(self.json.get("identities")?)?;
        let all = ids.len();
        ids.retain(|id| id.as_str() != user);
        let own = all > ids.len();
        (own && ids.len() <= MOST).then_some(ids)
    }
}

impl Reader {
    /// Searches for the account of a user that does not exist: its response shows the rate limit, which the 404 of a read does
    /// not.
    ///
    /// # Panics
    /// Never: the id is a constant.
    pub async fn find_nobody(&self) -> Reply<Option<UserId<'static>>> {
        let unknown = UserId::parse(NO_USER).expect("a constant that is an id");
        self.find_primary(&unknown).await
    }

    /// Searches for the account to which this id is linked. The search may show a state from some seconds ago (Auth0 docs,
    /// list-and-search-users): only a read of the found account shows whether it is.
    pub async fn find_primary(&self, user: &UserId<'_>) -> Reply<Option<UserId<'static>>> {
        let Some((provider, id)) = user.as_str().split_once('|') else {
            return Reply {
                result: Ok(None),
                ..CallError::Gone { at: None }.into()
            };
        };
        let terms = format!(
            "identities.user_id:{} AND identities.provider:{}",
            quoted(id),
            quoted(provider)
        );
        let terms = utf8_percent_encode(&terms, RESERVED);
        let path = format!(
            "users?q={terms}&search_engine=v3&fields=user_id%2Cidentities&include_fields=true&per_page={FOUND}"
        );
        let reply = self.0.call(Method::GET, &path, None).await;
        reply.map_result(|result| {
            of_page(&result?, user).ok_or_else(|| CallError::Later {
                why: LaterWhy::BadAnswer,
                outcome: Outcome::NotSent,
                detail: "a result of a search that is not a list of users".to_owned(),
            })
        })
    }
}

/// Returns the other account in a page of a search that shows this id among its identities; `None` if it is no page.
#[expect(
    clippy::option_option,
    reason = "no page, and a page without the account, are two results"
)]
fn of_page(body: &[u8], user: &UserId<'_>) -> Option<Option<UserId<'static>>> {
    let page: Vec<Value> = serde_json::from_slice(body).ok()?;
    let primary = page.iter().find_map(|account| {
        let ids = ids(account.get("identities")?)?;
        let shows = ids.iter().any(|id| id.as_str() == user.as_str());
        let id = account.get("user_id")?.as_str()?;
        let other = shows && id != user.as_str();
        other.then(|| UserId::parse(id.to_owned()).ok()).flatten()
    });
    Some(primary)
}

/// Returns the user ids of identities: provider and id; none if one of them has another form.
fn ids(identities: &Value) -> Option<Vec<UserId<'static>>> {
    let id = |identity: &Value| {
        let provider = identity.get("provider")?.as_str()?;
        let id = match identity.get("user_id")? {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        UserId::parse(format!("{provider}|{id}")).ok()
    };
    identities.as_array()?.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(identities: &Value) -> Option<Vec<String>> {
        let json = json!({"user_id": "auth0|ann", "identities": identities});
        let user = UserId::parse("auth0|ann").unwrap();
        let profile = Profile::parse(json.to_string().as_bytes(), &user, true).unwrap();
        let ids = profile.identities()?;
        Some(ids.iter().map(|id| id.as_str().to_owned()).collect())
    }

    #[test]
    fn linked_ids_are_provider_and_id() {
        let own = json!({"provider": "auth0", "user_id": "ann"});
        let two = json!([own, {"provider": "samlp", "user_id": "acme|a@b.c"}, {"provider": "github", "user_id": 7}]);
        assert_eq!(shown(&two).unwrap(), ["samlp|acme|a@b.c", "github|7"]);
        assert_eq!(shown(&json!([own])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_list_of_another_form_says_nothing() {
        let own = json!({"provider": "auth0", "user_id": "ann"});
        for odd in [
            json!({"0": own}),
            json!("auth0|ann"),
            json!(null),
            json!([]),
            json!([{"provider": "auth0", "user_id": "bob"}]),
            json!([own, {"provider": "github"}]),
            json!([own, {"provider": "github", "user_id": null}]),
            json!([own, {"provider": "github", "user_id": "a\u{0}b"}]),
        ] {
            assert_eq!(shown(&odd), None, "{odd}");
        }
    }

    #[test]
    fn a_search_finds_another_account_that_shows_the_id() {
        let user = UserId::parse("github|7").unwrap();
        let account = |id: &str, of: &str| json!({"user_id": id, "identities": [{"provider": "github", "user_id": of}]});
        let page = |accounts: Value| of_page(accounts.to_string().as_bytes(), &user);
        let found = page(json!([account("auth0|bob", "8"), account("auth0|ann", "7")]));
        assert_eq!(found.unwrap().unwrap().as_str(), "auth0|ann");
        assert_eq!(page(json!([account("github|7", "7")])), Some(None));
        assert_eq!(page(json!([])), Some(None));
        assert_eq!(page(json!({"users": []})), None);
    }

    #[test]
    fn fuzz_searches_for_a_primary() {
        let user = UserId::parse("github|7").unwrap();
        rolekeeper_fuzz::fuzz("primaries", |body| {
            if let Some(Some(primary)) = of_page(body, &user) {
                assert_ne!(primary, user);
                assert!(UserId::parse(primary.as_str()).is_ok(), "{primary}");
            }
        });
    }
}
