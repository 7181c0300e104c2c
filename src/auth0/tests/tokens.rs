//! The token of the client: who shares it, when it is renewed, and what its endpoint may do wrong.

use super::*;

#[tokio::test]
async fn one_stale_token_is_replaced_and_a_second_401_stops() {
    let tenant = Tenant::new(vec![], vec![Say::status(401), Say::user()]).await;
    patch(&tenant).await.result.unwrap();
    let used: Vec<_> = tenant
        .got("PATCH")
        .into_iter()
        .map(|got| got.authorization)
        .collect();
    assert_eq!(used, ["Bearer token-1", "Bearer token-2"]);

    let body = json!({"statusCode": 401, "message": "Invalid token."});
    let tenant = Tenant::new(vec![], vec![Say::json(401, &body), Say::json(401, &body)]).await;
    let Err(CallError::Refused {
        status: 401, message, ..
    }) = get(&tenant).await.result
    else {
        panic!("expected Refused")
    };
    assert!(message.contains("Invalid token."), "{message}");
    assert_eq!((tenant.got("GET").len(), tenant.token_requests()), (2, 2));
}

#[tokio::test]
async fn many_callers_share_one_token_request_and_its_failure() {
    for (token, good) in [(Say::token("t", 86_400), true), (Say::status(503), false)] {
        let tenant = Tenant::new(vec![token], vec![]).await;
        let reader = Reader::new(&tenant.client());
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let reader = reader.clone();
            callers.spawn(async move { reader.get_user(&user()).await });
        }
        for reply in callers.join_all().await {
            if good {
                reply.result.unwrap();
            } else {
                assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));
            }
        }
        assert_eq!(tenant.token_requests(), 1);
        assert_eq!(tenant.got("GET").len(), if good { 20 } else { 0 });
    }
}

#[tokio::test]
async fn callers_with_the_same_stale_token_renew_it_once() {
    let tenant = Tenant::new(vec![], vec![]).await;
    tenant.script.lock().unwrap().revoked = "Bearer token-1";
    let reader = Reader::new(&tenant.client());
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let reader = reader.clone();
        callers.spawn(async move { reader.get_user(&user()).await });
    }
    for reply in callers.join_all().await {
        reply.result.unwrap();
    }
    assert_eq!(tenant.token_requests(), 2);
}

#[tokio::test]
async fn a_token_is_used_to_its_end_when_renewal_fails() {
    let answers = vec![
        Say::token("first", 86_400),
        Say::status(503),
        Say::token("second", 0),
    ];
    let tenant = Tenant::new(answers, vec![]).await;
    let tokens = Tokens {
        http: plain_http(&tenant),
        endpoint: format!("{}/oauth/token", tenant.url),
        audience: "a".to_owned(),
        client_id: "c".to_owned(),
        credential: ClientCredential::Secret(SECRET.into()),
        issuer: String::new(),
        state: tokio::sync::Mutex::default(),
        app_metadata_shown: AtomicBool::default(),
    };
    let name = async || {
        tokens
            .get(None)
            .await
            .map(|token| token.expose().to_owned())
            .map_err(|no| no.error)
    };
    assert_eq!(name().await.unwrap(), "first");

    // Inside the margin, with a failing token endpoint, the old token is used.
    tokens.state.lock().await.cached.as_mut().unwrap().refresh_at = Instant::now();
    assert_eq!(name().await.unwrap(), "first");
    // After its expiry it is not used, and the failure is remembered: no request follows at once.
    tokens.state.lock().await.cached.as_mut().unwrap().expires_at = Instant::now();
    assert!(matches!(
        name().await,
        Err(CallError::Later {
            why: LaterWhy::TokenUnavailable,
            ..
        })
    ));
    assert_eq!(tenant.token_requests(), 2);
    // After the cool-down a request is sent, and a token without any life is not cached.
    tokens.state.lock().await.failed = None;
    assert_eq!(name().await.unwrap(), "second");
    assert_eq!(name().await.unwrap(), "token-4");
}

#[tokio::test]
async fn a_token_ending_before_the_write_is_renewed_first() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let client = tenant.client();
    let reader = Reader::new(&client);
    let lasting = Duration::from_secs(12);
    reader.prepare(lasting).await.result.unwrap();
    reader.prepare(lasting).await.result.unwrap();
    assert_eq!(tenant.token_requests(), 1);
    let soon = Instant::now() + Duration::from_secs(5);
    client
        .tokens
        .state
        .lock()
        .await
        .cached
        .as_mut()
        .unwrap()
        .refresh_at = soon;
    reader.prepare(lasting).await.result.unwrap();
    assert_eq!((tenant.token_requests(), tenant.got("/api/v2/").len()), (2, 0));
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_stops_all_users() {
    let body = json!({"error": "access_denied", "error_description": "Unauthorized"});
    let tenant = Tenant::new(vec![Say::json(401, &body)], vec![]).await;
    let reader = Reader::new(&tenant.client());
    for _ in 0..2 {
        let reply = reader.get_user(&user()).await;
        let Err(CallError::Credentials { message }) = reply.result else {
            panic!("expected Credentials")
        };
        assert!(
            message.contains("Unauthorized") && !message.contains(SECRET),
            "{message}"
        );
    }
    assert_eq!((tenant.token_requests(), tenant.got("GET").len()), (1, 0));
}

#[tokio::test]
async fn a_limited_token_endpoint_passes_on_how_long_to_wait() {
    let limited = Say::Answer(
        429,
        &[("retry-after", "30"), ("x-ratelimit-remaining", "0")],
        String::new(),
    );
    let tenant = Tenant::new(vec![limited], vec![]).await;
    let reply = get(&tenant).await;
    let expected = RateHeaders {
        retry_after: Some(Duration::from_secs(30)),
        ..RateHeaders::default()
    };
    assert_eq!(reply.rate, expected);
    assert_eq!(later(reply), (LaterWhy::TokenUnavailable, Outcome::NotSent));
}

#[tokio::test]
async fn the_audience_is_the_configured_one() {
    let tenant = Tenant::new(vec![], vec![]).await;
    let options = ClientOptions {
        audience: Some("https://t.eu.auth0.com/api/v2/".to_owned()),
        ..tenant.options()
    };
    Reader::new(&Client::new(options).unwrap())
        .get_user(&user())
        .await
        .result
        .unwrap();
    assert_eq!(
        tenant.got("/oauth/token")[0].body["audience"],
        "https://t.eu.auth0.com/api/v2/"
    );
}
