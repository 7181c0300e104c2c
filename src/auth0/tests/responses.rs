//! Responses of the tenant: limits, refusals, silence, and bytes that cannot be read.

use super::*;

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_a_write_unknown() {
    let html = || {
        Say::Answer(
            200,
            &[("content-type", "text/html")],
            "<html>hello</html>".to_owned(),
        )
    };
    let not_a_user = || Say::json(200, &json!({"ok": true}));
    let redirect = || Say::Answer(302, &[("location", "/elsewhere")], String::new());
    let too_large = || Say::Answer(200, &[], " ".repeat(2 * 1024 * 1024));
    for odd in [|| Say::Torn, html, not_a_user, redirect, too_large] {
        let tenant = Tenant::new(vec![], vec![odd(), odd()]).await;
        assert_eq!(later(get(&tenant).await), (LaterWhy::BadAnswer, Outcome::NotSent));
        assert_eq!(
            later(patch(&tenant).await),
            (LaterWhy::BadAnswer, Outcome::Unknown)
        );
        assert!(tenant.got("/elsewhere").is_empty());
    }
    let tenant = Tenant::new(vec![], vec![Say::status(503), Say::status(524)]).await;
    assert_eq!(later(get(&tenant).await), (LaterWhy::Server, Outcome::NotSent));
    assert_eq!(later(patch(&tenant).await), (LaterWhy::Server, Outcome::Unknown));
}

#[tokio::test]
async fn silence_ends_at_the_timeout_and_nobody_there_is_the_network() {
    let impatient = |tenant: &Tenant| {
        let options = ClientOptions {
            request_timeout: Duration::from_millis(300),
            ..tenant.options()
        };
        Client::new(options).unwrap()
    };
    let body = json!({"user_metadata": {"displayName": "x"}});
    let tenant = Tenant::new(vec![], vec![Say::Silence]).await;
    let reply = Writer::new(&impatient(&tenant))
        .patch_user(&user(), &body, soon())
        .await;
    assert_eq!(later(reply), (LaterWhy::Timeout, Outcome::Unknown));

    let tenant = Tenant::new(vec![Say::Silence], vec![]).await;
    let reply = Writer::new(&impatient(&tenant))
        .patch_user(&user(), &body, soon())
        .await;
    assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));

    // The client has a token, and then the server is gone.
    let mut tenant = Tenant::new(
        vec![],
        vec![Say::Answer(200, &[("connection", "close")], String::new())],
    )
    .await;
    let writer = Writer::new(&tenant.client());
    writer
        .patch_user(&user(), &body, soon())
        .await
        .result
        .unwrap_err();
    tenant.server.shutdown().await;
    let reply = writer.patch_user(&user(), &body, soon()).await;
    let text = reply.result.as_ref().unwrap_err().to_string();
    assert_eq!(later(reply), (LaterWhy::Network, Outcome::NotSent), "{text}");
    assert!(!text.contains("auth0%7C") && !text.contains("token-"), "{text}");
}

#[tokio::test]
async fn a_429_is_limited_with_and_without_headers() {
    let headers: &[_] = &[
        ("X-RateLimit-Limit", "50"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", "1795000000"),
    ];
    let tenant = Tenant::new(
        vec![],
        vec![Say::Answer(429, headers, "{}".to_owned()), Say::status(429)],
    )
    .await;
    let reply = get(&tenant).await;
    assert_eq!(reply.result, Err(CallError::Limited));
    assert_eq!(
        (reply.rate.limit, reply.rate.remaining, reply.rate.reset_unix_s),
        (Some(50), Some(0), Some(1_795_000_000))
    );
    let reply = patch(&tenant).await;
    assert_eq!(
        (reply.result, reply.rate),
        (Err(CallError::Limited), RateHeaders::default())
    );
}

#[tokio::test]
async fn four_hundreds_say_who_acts() {
    let gone = json!({"statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user"});
    let forbidden = json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope, expected any of: update:users"});
    let invalid = json!({"statusCode": 400, "error": "Bad Request", "message": "Payload validation error", "errorCode": "invalid_body"});
    let answers = vec![
        Say::json(404, &gone),
        Say::status(404),
        Say::json(403, &forbidden),
        Say::json(400, &invalid),
    ];
    let tenant = Tenant::new(vec![], answers).await;
    assert!(matches!(patch(&tenant).await.result, Err(CallError::Gone { .. })));
    assert_eq!(
        later(patch(&tenant).await),
        (LaterWhy::NotFound, Outcome::Unknown)
    );
    let Err(CallError::Scope { message }) = patch(&tenant).await.result else {
        panic!("expected Scope")
    };
    assert!(message.contains("update:users"), "{message}");
    let refused = CallError::Refused {
        status: 400,
        error_code: Some("invalid_body".to_owned()),
        message: "Payload validation error".to_owned(),
    };
    assert_eq!(patch(&tenant).await.result, Err(refused));
}
