//! Questions of a command to Auth0: whether it knows a user.
//!
//! Owns that the tenant asked is the one that the database belongs to. Must never take a failed call for an answer.

use anyhow::{Error, Result, anyhow, bail};

use crate::app;
use crate::auth0::Reader;
use crate::config::Auth0Config;
use crate::flow::presence::{Presence, Questions, presence};
use crate::store::Store;
use rolekeeper_domain::ids::UserId;

/// The tenant that a command asks.
pub(super) enum Tenant {
    /// About one user.
    Once(Reader),
    /// About many.
    Paced(Questions),
}

impl Tenant {
    /// Refuses a tenant that is not the one of the database: it knows none of the users. `many`: the command asks about many users.
    pub(super) async fn of(store: &Store, config: &Auth0Config, many: bool) -> Result<Self> {
        let reader = app::reader(config)?;
        let (asked, bound) = (reader.tenant(), store.tenant().await?);
        if let Some(bound) = bound.filter(|bound| *bound != asked) {
            bail!(
                "AUTH0_DOMAIN or AUTH0_AUDIENCE: they name the tenant {asked}, the database belongs to {bound}"
            );
        }
        if many {
            let reserve = store.limits().await?.reserve();
            return Ok(Self::Paced(Questions::new(reader, config.plan, reserve)));
        }
        Ok(Self::Once(reader))
    }

    /// Returns what the tenant knows of an id.
    pub(super) async fn knows(&self, user: &UserId<'_>) -> Result<Presence> {
        let asked = match self {
            Self::Once(reader) => presence(reader, user).await,
            Self::Paced(questions) => questions.presence(user).await,
        };
        asked.map_err(|why| {
            let user = user.as_str();
            Error::new(why).context(format!(
                "{user}: nothing was done, since Auth0 could not be asked"
            ))
        })
    }
}

/// As [`id`], for a command that removes data wherever the id is named: Auth0's ids have a provider, and a shell takes what follows an
/// unquoted `|` for another command. Some programs write a quote or an invisible character before the id into a file: Auth0 has no user
/// with that id, so the erasure of the right user would seem done.
pub(super) fn whole_id(user: &str) -> Result<UserId<'static>> {
    let id = id(user)?;
    let of_provider = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let whole = id.as_str().split_once('|');
    let is_whole = |(provider, id): (&str, &str)| {
        !provider.is_empty() && provider.bytes().all(of_provider) && !id.is_empty()
    };
    if whole.is_some_and(is_whole) {
        return Ok(id);
    }
    Err(anyhow!(
        "user \"{}\": expected a provider and an id, in quotes: 'auth0|6132829445244d0069782a78'",
        user.escape_debug()
    ))
}

/// Refuses a text that cannot be a user id, before it is used.
pub(super) fn id(user: &str) -> Result<UserId<'static>> {
    UserId::parse(user.to_owned()).map_err(|expected| anyhow!("user \"{}\": {expected}", user.escape_debug()))
}
