//! Faults on command, for selected calls, once or until cleared.
//!
//! Owns the choice of the fault of a call. Faults for one call are used up first, oldest first; then the permanent ones apply.
//! A call that is refused by the rate limit or for its token meets no fault.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::calls::Endpoint;

/// A selection of calls; every set condition must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMatch {
    /// Calls of this endpoint.
    pub endpoint: Option<Endpoint>,
    /// Calls that name this user in their path.
    pub user_id: Option<String>,
    /// Calls of this client; at `/oauth/token` by the id in the request.
    pub client: Option<String>,
}

impl CallMatch {
    /// Selects every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Selects calls of one endpoint.
    #[must_use]
    pub fn to(endpoint: Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..Self::default()
        }
    }

    /// Narrows the selection to one user.
    #[must_use]
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.user_id = Some(id.into());
        self
    }

    /// Narrows the selection to one client.
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

/// A fault. Unless stated otherwise, the call is performed and gets its usual response.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The response has this status, these headers besides the usual ones, and this body (none: empty). The call is not performed.
    Status {
        /// HTTP status.
        code: u16,
        /// Further headers, such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// JSON body.
        body: Option<Value>,
    },
    /// The tenant waits, then performs the call. If the client gives up before, the call is neither performed nor logged.
    Delay(Duration),
    /// The tenant performs the call, then waits before the response.
    DelayedAnswer(Duration),
    /// The response ends after its headers and half of the body, with a reset connection.
    TornBody,
    /// The body is sent in single bytes, with this pause before each.
    Slow(Duration),
    /// The connection is reset; the call is not performed.
    ConnectionReset,
    /// The call is performed; then the connection is reset instead of a response.
    AppliedButUnanswered,
    /// The response reports success, but the call is not performed.
    AnsweredButNotApplied,
    /// The response to a read shows `app_metadata` and `updated_at` as they were before the last change of the user.
    Stale,
    /// The rate headers are false; `None` leaves one unchanged.
    LyingRateHeaders {
        /// `X-RateLimit-Limit`
        limit: Option<String>,
        /// `X-RateLimit-Remaining`
        remaining: Option<String>,
        /// `X-RateLimit-Reset`
        reset: Option<String>,
    },
    /// The response has no rate headers.
    NoRateHeaders,
    /// The response has this status and an HTML page, as from a proxy in front of Auth0. The call is not performed.
    HtmlPage(u16),
    /// The call is performed; its response is truncated JSON, with a matching length.
    InvalidJson,
    /// The call is performed; in the text of its response, `from` is replaced by `to`.
    Rewritten {
        /// A part of the JSON text.
        from: String,
        /// The replacement, JSON or not.
        to: String,
    },
}

impl Fault {
    /// Returns a fault with this status and Auth0's usual error body.
    #[must_use]
    pub fn status(code: u16) -> Self {
        let body = super::errors::ApiError::new(code, None, "This answer was ordered.").body();
        Self::Status {
            code,
            headers: vec![],
            body: Some(body),
        }
    }

    /// Returns its name in the call log.
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
            Self::Stale => "stale",
            Self::LyingRateHeaders { .. } => "lying rate headers",
            Self::NoRateHeaders => "no rate headers",
            Self::HtmlPage(_) => "html page",
            Self::InvalidJson => "invalid json",
            Self::Rewritten { .. } => "rewritten",
        }
    }
}

/// The requested faults.
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

    /// Returns the number of unused faults for one call.
    pub(super) fn waiting(&self) -> usize {
        self.once.len()
    }

    /// Returns the fault of this call.
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
