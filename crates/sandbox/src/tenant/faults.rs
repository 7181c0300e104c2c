//! Faults on command: what goes wrong, for which calls, once or until cleared.
//!
//! Owns the choice of the fault that a call meets. Faults meant for one call are used up first, oldest
//! first; then the ones held. A call that the rate limit or a bad token turns away meets none.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::calls::Endpoint;

/// Which calls are meant; every condition that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMatch {
    /// Calls of this endpoint.
    pub endpoint: Option<Endpoint>,
    /// Calls that name this user in their path.
    pub user_id: Option<String>,
    /// Calls of this client; at `/oauth/token` by the id it gives.
    pub client: Option<String>,
}

impl CallMatch {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of one endpoint.
    #[must_use]
    pub fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::default()
        }
    }

    /// Narrowed to one user.
    #[must_use]
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// Narrowed to one client.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>) -> Self {
        self.client = Some(id.into());
        self
    }

    fn matches(&self, endpoint: Endpoint, user_id: Option<&str>, client: Option<&str>) -> bool {
        self.endpoint.is_none_or(|wanted| wanted == endpoint)
            && self
                .user_id
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == user_id)
            && self.client.as_deref().is_none_or(|wanted| Some(wanted) == client)
    }
}

/// What goes wrong. Unless it says otherwise, the call is dealt with and answered as always.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// This status, these headers beside the usual ones, this body (none: an empty one). Nothing is done.
    Status {
        /// HTTP status.
        code: u16,
        /// Such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// JSON body.
        body: Option<Value>,
    },
    /// Waits, then deals with the call. If the client gives up first, nothing was done, nor logged.
    Delay(Duration),
    /// Deals with the call, then waits before it answers.
    DelayedAnswer(Duration),
    /// Headers and half of the body, then the connection is reset.
    TornBody,
    /// The body comes one byte at a time, with this pause before each.
    Slow(Duration),
    /// The connection is reset; nothing is done.
    ConnectionReset,
    /// The call is dealt with; then the connection is reset instead of an answer.
    AppliedButUnanswered,
    /// The answer says it was done; nothing is done.
    AnsweredButNotApplied,
    /// Rate headers that are not true; `None` leaves one as it is.
    LyingRateHeaders {
        /// `X-RateLimit-Limit`
        limit: Option<String>,
        /// `X-RateLimit-Remaining`
        remaining: Option<String>,
        /// `X-RateLimit-Reset`
        reset: Option<String>,
    },
    /// The answer has no rate headers.
    NoRateHeaders,
    /// This status with an HTML page, as a proxy in front of Auth0 would send. Nothing is done.
    HtmlPage(u16),
    /// The call is dealt with; its answer is cut JSON, with a length that fits.
    InvalidJson,
    /// The call is dealt with; in the text of its answer `to` stands wherever `from` would.
    Rewritten {
        /// A part of the JSON text.
        from: String,
        /// What stands there instead, JSON or not.
        to: String,
    },
}

impl Fault {
    /// A status with Auth0's usual error body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        let body = super::errors::ApiError::new(code, None, "This answer was ordered.").body();
        Self::Status {
            code,
            headers: vec![],
            body: Some(body),
        }
    }

    /// Its name in the call log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay(_) => "delay",
            Self::DelayedAnswer(_) => "delayed answer",
            Self::TornBody => "torn body",
            Self::Slow(_) => "slow",
            Self::ConnectionReset => "connection reset",
            Self::AppliedButUnanswered => "applied but unanswered",
            Self::AnsweredButNotApplied => "answered but not applied",
            Self::LyingRateHeaders { .. } => "lying rate headers",
            Self::NoRateHeaders => "no rate headers",
            Self::HtmlPage(_) => "html page",
            Self::InvalidJson => "invalid json",
            Self::Rewritten { .. } => "rewritten",
        }
    }
}

/// The faults that are ordered.
#[derive(Debug, Default)]
pub(super) struct Faults {
    once: VecDeque<(CallMatch, Fault)>,
    held: Vec<(CallMatch, Fault)>,
}

impl Faults {
    pub(super) fn once(&mut self, on: CallMatch, what: Fault) {
        self.once.push_back((on, what));
    }

    pub(super) fn hold(&mut self, on: CallMatch, what: Fault) {
        self.held.push((on, what));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many are still to be met once.
    pub(super) fn waiting(&self) -> usize {
        self.once.len()
    }

    /// The fault that this call meets.
    pub(super) fn take(
        &mut self,
        endpoint: Endpoint,
        user_id: Option<&str>,
        client: Option<&str>,
    ) -> Option<Fault> {
        let meant = |(on, _): &(CallMatch, Fault)| on.matches(endpoint, user_id, client);
        if let Some(place) = self.once.iter().position(meant) {
            return self.once.remove(place).map(|(_, what)| what);
        }
        self.held
            .iter()
            .find(|fault| meant(fault))
            .map(|(_, what)| what.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_only_the_calls_it_is_meant_for() {
        let mut faults = Faults::default();
        let patches = || CallMatch::to(Endpoint::PatchUser);
        faults.hold(CallMatch::any().client("worker"), Fault::NoRateHeaders);
        faults.once(patches().user("auth0|b"), Fault::TornBody);
        faults.once(patches(), Fault::ConnectionReset);
        let mut met = |endpoint, user, client| faults.take(endpoint, Some(user), Some(client));
        assert_eq!(met(Endpoint::ReadUser, "auth0|a", "other"), None);
        assert_eq!(
            met(Endpoint::ReadUser, "auth0|a", "worker"),
            Some(Fault::NoRateHeaders)
        );
        assert_eq!(
            met(Endpoint::PatchUser, "auth0|a", "worker"),
            Some(Fault::ConnectionReset)
        );
        assert_eq!(
            met(Endpoint::PatchUser, "auth0|b", "worker"),
            Some(Fault::TornBody)
        );
        assert_eq!(
            met(Endpoint::PatchUser, "auth0|b", "worker"),
            Some(Fault::NoRateHeaders)
        );
        assert_eq!(faults.waiting(), 0);
    }
}
