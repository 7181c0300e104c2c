//! The error of each response, and its printable text.

use super::*;

fn api(status: u16, body: &str) -> CallError {
    CallError::from_answer(
        StatusCode::from_u16(status).unwrap(),
        body.as_bytes(),
        Outcome::Unknown,
        None,
    )
}

fn token(status: u16, body: &str) -> CallError {
    CallError::from_token_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
}

fn why(error: &CallError) -> Option<LaterWhy> {
    match error {
        CallError::Later { why, .. } => Some(*why),
        _ => None,
    }
}

#[test]
fn answers_of_the_users_endpoints_are_sorted_by_who_acts_next() {
    for status in [408, 409, 500, 502, 503, 504, 524] {
        assert_eq!(why(&api(status, "")), Some(LaterWhy::Server), "{status}");
    }
    for (status, body) in [(301, ""), (404, " <!doctype html>"), (400, "<html>")] {
        assert_eq!(why(&api(status, body)), Some(LaterWhy::BadAnswer), "{status}");
    }
    assert_eq!(
        api(404, r#"{"errorCode":"inexistent_user"}"#),
        CallError::Gone { at: None }
    );
    let refused = api(
        400,
        r#"{"statusCode":400,"error":"Bad Request","message":"no","errorCode":"invalid_body"}"#,
    );
    let CallError::Refused {
        status: 400,
        error_code: Some(code),
        message,
    } = refused
    else {
        panic!("{refused:?}")
    };
    assert_eq!((code.as_str(), message.as_str()), ("invalid_body", "no"));
}

#[test]
fn f48_only_auth0s_own_404_ends_a_user() {
    for body in [
        "",
        "Not Found",
        r#"{"statusCode":404,"error":"Not Found","message":"Not Found"}"#,
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"errorCode":"inexistent_connection"}"#,
    ] {
        assert_eq!(why(&api(404, body)), Some(LaterWhy::NotFound), "{body}");
    }
}

#[test]
fn f49_a_403_is_the_tenants_only_if_it_names_a_scope() {
    for body in [
        r#"{"statusCode":403,"error":"Forbidden","message":"no","errorCode":"insufficient_scope"}"#,
        r#"{"statusCode":403,"message":"Insufficient scope, expected any of: update:users"}"#,
    ] {
        assert!(matches!(api(403, body), CallError::Scope { .. }), "{body}");
    }
    for (status, body) in [
        (403, "<html>"),
        (403, r#"{"statusCode":403,"message":"Forbidden"}"#),
        (401, "<html>"),
        (401, "Unauthorized"),
        (401, r#"{"message":"Invalid token."}"#),
    ] {
        let error = api(status, body);
        assert!(
            error.is_denied() && matches!(Ended::from(&error), Ended::Doubtful { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn answers_of_the_token_endpoint_stop_everyone_or_pass() {
    for status in [302, 408, 429, 500, 503, 524] {
        assert_eq!(
            why(&token(status, "")),
            Some(LaterWhy::TokenUnavailable),
            "{status}"
        );
    }
    for (status, body) in [
        (401, ""),
        (400, r#"{"error":"invalid_client"}"#),
        (
            401,
            r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
        ),
        (404, "Not Found"),
    ] {
        assert!(
            matches!(token(status, body), CallError::Credentials { .. }),
            "{status}"
        );
    }
    for (status, body) in [
        (403, "x"),
        (400, r#"{"error":"access_denied","error_description":"grant"}"#),
    ] {
        assert!(matches!(token(status, body), CallError::Scope { .. }), "{status}");
    }
}

#[test]
fn what_is_printed_holds_no_address_no_secret_and_is_short() {
    let secret = "s3cr3t".repeat(12);
    let body =
        format!(r#"{{"message":"bad\n{secret} for ann@example.com  at \"https://t.auth0.com/api/v2/\""}}"#);
    let shown = api(400, &body).to_string();
    assert!(
        !shown.contains("s3cr3t") && !shown.contains("example.com"),
        "{shown}"
    );
    assert!(
        shown.contains("bad [hidden] for [hidden] at \"https://t.auth0.com/api/v2/\""),
        "{shown}"
    );
    assert!(api(400, &"long text ".repeat(100)).to_string().chars().count() < 400);
    let across_the_clip = format!("{}{secret}", "word ".repeat(58));
    assert!(!presentable(&across_the_clip).contains("s3cr3t"));
}

/// No text of a response shows an address or a secret, nor takes more than a line.
#[test]
fn fuzz_error_bodies() {
    rolekeeper_fuzz::fuzz("error_bodies", |body| {
        for status in [400, 401, 403, 404, 409, 418, 429, 500, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            let of_api = CallError::from_answer(status, body, Outcome::Unknown, None);
            let of_token = CallError::from_token_answer(status, body, None);
            for error in [&of_api, &of_token] {
                let text = error.to_string();
                assert!(
                    text.chars().count() <= 500 && !text.contains(char::is_control),
                    "{text}"
                );
                assert!(!text.contains('@'), "{text}");
                let secret = |word: &str| {
                    word.bytes().all(|byte| byte.is_ascii_alphanumeric()) && word.len() >= SECRET_RUN
                };
                assert!(!text.split_whitespace().any(secret), "{text}");
            }
            if matches!(of_api, CallError::Gone { .. }) {
                let json: Value = serde_json::from_slice(body).expect("only JSON says so");
                assert_eq!(
                    (status.as_u16(), &json["errorCode"]),
                    (404, &Value::from(UNKNOWN_USER))
                );
            }
        }
    });
}
