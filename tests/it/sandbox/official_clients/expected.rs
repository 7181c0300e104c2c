//! The expected output of both programs, and the expected requests at the tenants.
//!
//! Owns Auth0's behaviour as both clients show it. Must never differ between the two.

use rolekeeper_sandbox::tenant::{Call, Endpoint, Tenant};
use serde_json::{Value, json};

/// The longest first wait of either client without a header: 1 s and a tenth.
const OWN_CHOICE: f64 = 1.1;
/// Timers of milliseconds may fire one too early.
const EARLY: f64 = 0.01;

/// The expected output of both programs.
pub(super) fn expected() -> Value {
    let roles = |roles: &[&str]| json!({"roles": roles});
    let error = |error: &str, status: u16, code: Option<&str>, message: &str| {
        json!({
            "error": error, "status": status, "code": code, "message": message,
            "limit": null, "remaining": null, "reset": null, "retry_after": null,
        })
    };
    let mut limited = error(
        "TooManyRequestsError",
        429,
        Some("too_many_requests"),
        "Global limit has been reached",
    );
    for (header, value) in [
        ("limit", "50"),
        ("remaining", "0"),
        ("reset", "1700000000"),
        ("retry_after", "1"),
    ] {
        limited[header] = value.into();
    }
    let too_long =
        "Payload validation error: 'String is too long (301 chars), maximum 300' on property name.";
    let found = |ids: &[&str]| json!({"total": ids.len(), "ids": ids});
    let syntax = "Invalid query syntax: this tenant supports terms and ranges of dates, joined by AND.";
    let too_far = "You can only page through the first 1000 records.";
    json!({
        "read": roles(&["dj"]),
        "read_with_key": roles(&["dj"]),
        "patched": roles(&["dj", "playlist_editor"]),
        "missing": error("NotFoundError", 404, Some("inexistent_user"), "The user does not exist."),
        "malformed": error("BadRequestError", 400, Some("invalid_body"), too_long),
        "refused": error("UnauthorizedError", 401, None, "Invalid token."),
        "limited": limited,
        "persevered": roles(&["dj", "playlist_editor"]),
        "linked": ["auth0|reader", "google-oauth2|7"],
        "found_by_identity": found(&["auth0|reader"]),
        "unlinked": ["auth0|reader"],
        "found": found(&["auth0|old2", "auth0|old1", "auth0|old0"]),
        "found_later": found(&["auth0|old0"]),
        "bad_query": error("BadRequestError", 400, Some("invalid_query_string"), syntax),
        "too_far": error("BadRequestError", 400, Some("invalid_paging"), too_far),
        "exported": exported(),
        "no_job": error("NotFoundError", 404, Some("inexistent_job"), "The job does not exist."),
        "in_a_row": [roles(&["dj"]), roles(&["dj"]), roles(&["dj"])],
    })
}

/// A job that takes a while, and the holders in its file.
fn exported() -> Value {
    let ids = ["auth0|old0", "auth0|old1", "auth0|old2"];
    json!({"type": "users_export", "states": ["pending", "processing", "completed"], "ids": ids, "linked": ids})
}

pub(super) fn check_calls(tenant: &Tenant) {
    let calls = tenant.calls();
    let of = |endpoint, user: Option<&str>| -> Vec<&Call> {
        let wanted = |call: &&Call| call.endpoint == endpoint && call.user_id.as_deref() == user;
        calls.iter().filter(wanted).collect()
    };
    let statuses = |calls: &[&Call]| calls.iter().filter_map(|call| call.status).collect::<Vec<_>>();
    assert_eq!(statuses(&of(Endpoint::Token, None)), [200, 200]);
    assert_eq!(
        statuses(&of(Endpoint::ReadUser, Some("auth0|reader"))),
        [200, 200, 401]
    );
    assert_eq!(
        statuses(&of(Endpoint::PatchUser, Some("auth0|reader"))),
        [200, 400]
    );
    assert_eq!(statuses(&of(Endpoint::ReadUser, Some("auth0|nobody"))), [404]);
    // Two attempts after the first, a second apart as the header requires.
    let limited = of(Endpoint::ReadUser, Some("auth0|limited"));
    assert_eq!(statuses(&limited), [429; 3]);
    assert!(
        waits(&limited).iter().all(|wait| *wait >= 1.0 - EARLY),
        "{:?}",
        waits(&limited)
    );
    // The clients retry writes too: first as the header requires, then at their own choice.
    let unlucky = of(Endpoint::PatchUser, Some("auth0|unlucky"));
    assert_eq!(statuses(&unlucky), [429, 503, 200]);
    assert!(waits(&unlucky)[0] >= 2.0 - EARLY, "{:?}", waits(&unlucky));
}

pub(super) fn check_calls_of_the_limited(tenant: &Tenant) {
    let calls = tenant.calls();
    let reads: Vec<&Call> = calls
        .iter()
        .filter(|call| call.endpoint == Endpoint::ReadUser)
        .collect();
    let statuses: Vec<_> = reads.iter().filter_map(|call| call.status).collect();
    assert_eq!(statuses, [200, 200, 429, 200]);
    assert!(waits(&reads)[2] > OWN_CHOICE, "{:?}", waits(&reads));
}

/// Seconds between one call and the next.
fn waits(calls: &[&Call]) -> Vec<f64> {
    calls
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_seconds_f64())
        .collect()
}
