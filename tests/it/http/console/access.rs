//! The console without a token, with a wrong one, and with one that only reads.

use crate::world::console::{Browser, OPERATOR_TOKEN, READ_TOKEN, field, with_console};
use crate::world::{World, text};

use super::{engaged, still};

/// Every page.
const PAGES: [&str; 10] = [
    "/console",
    "/console/changes",
    "/console/queue",
    "/console/parked",
    "/console/dead-letters",
    "/console/brakes",
    "/console/rules",
    "/console/users?q=auth0",
    "/console/user?id=auth0%7Cann",
    "/console/events",
];

#[tokio::test]
async fn without_a_token_there_is_no_console() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    assert_eq!(worker.get("/console").await.expect("a response").0, 404);
    assert_eq!(worker.get("/healthz").await.expect("a response").0, 200);
}

#[tokio::test]
async fn every_page_asks_for_a_token_that_no_browser_keeps() {
    let world = still().await;
    let mut browser = Browser::at(&world.worker()).await;
    for page in PAGES {
        let shown = browser.get(page).await;
        assert_eq!(shown.status, 401, "{page}");
        assert!(
            shown.text.contains("<form") && shown.text.contains("name=\"token\""),
            "{page}"
        );
    }
    browser.cookie = "rolekeeper_console=".to_owned() + READ_TOKEN;
    assert_eq!(
        browser.get("/console").await.status,
        401,
        "the token is no cookie"
    );
    let answer = browser.sign_in("ann", READ_TOKEN).await;
    assert_eq!((answer.status, answer.location()), (303, "/console/queue"));
    let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict") && cookie.contains("Path=/console;"),
        "{cookie}"
    );
    assert!(!cookie.contains(READ_TOKEN), "{cookie}");
    let page = browser.page("/console").await;
    assert!(page.contains("<bdi>ann</bdi>, reader"), "{page}");
    let key = field(&page, "/console/sign-out", "form_key");
    assert_eq!(
        browser
            .post("/console/sign-out", &[("form_key", "x")])
            .await
            .status,
        403
    );
    assert_eq!(
        browser
            .post("/console/sign-out", &[("form_key", &key)])
            .await
            .status,
        303
    );
    assert_eq!(browser.get("/console").await.status, 401, "the session has ended");
    assert!(!world.worker().log().contains(READ_TOKEN), "no token is logged");
}

#[tokio::test]
async fn a_sign_in_continues_at_pages_of_the_console_only() {
    let world = still().await;
    let browser = Browser::at(&world.worker()).await;
    for (next, expected) in [
        ("/console/rules?before=3", "/console/rules?before=3"),
        ("https://example.com/console", "/console"),
        ("//example.com/", "/console"),
        ("/console\r\nx: y", "/console"),
        ("/consoles", "/console"),
    ] {
        let form = [("name", "ann"), ("token", READ_TOKEN), ("next", next)];
        let answer = browser.post("/console/sign-in", &form).await;
        assert_eq!((answer.status, answer.location()), (303, expected), "{next:?}");
    }
}

#[tokio::test]
async fn equal_tokens_are_refused() {
    let world = with_console().workers(0).start().await;
    let equal = [("CONSOLE_READ_TOKEN", OPERATOR_TOKEN)];
    let refused = text(&world.command_with(&["serve"], &equal).await);
    let said =
        "CONSOLE_READ_TOKEN, CONSOLE_OPERATOR_TOKEN: both have the same value, expected two different tokens";
    assert!(
        refused.contains(said) && !refused.contains(OPERATOR_TOKEN),
        "{refused}"
    );
}

#[tokio::test]
async fn wrong_tokens_are_bounded() {
    let world = still().await;
    let mut browser = Browser::at(&world.worker()).await;
    let reader = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    for _ in 0..10 {
        let answer = browser.sign_in("eve", "console-read-012345678").await;
        assert_eq!(answer.status, 401);
        assert!(answer.text.contains("The token is wrong."), "{}", answer.text);
    }
    let answer = browser.sign_in("eve", OPERATOR_TOKEN).await;
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert_eq!(browser.cookie, "");
    assert_eq!(reader.get("/console").await.status, 200, "a session goes on");
    let refused = async || {
        browser
            .post("/console/sign-in", &[("token", READ_TOKEN), ("name", "")])
            .await
            .status
    };
    assert_eq!(refused().await, 400, "a name is needed");
}

#[tokio::test]
async fn the_read_token_acts_on_no_route_also_by_a_forged_form() {
    let world = engaged().await;
    let reader = Browser::signed_in(&world.worker(), "ann", READ_TOKEN).await;
    let operator = Browser::signed_in(&world.worker(), "bob", OPERATOR_TOKEN).await;
    let page = reader.page("/console/brakes").await;
    assert!(!page.contains("action=\"/console/brakes/"), "{page}");
    let path = "/console/brakes/revokes";
    let of_operator = operator.page("/console/brakes").await;
    let seen = field(&of_operator, path, "seen");
    let own = field(&page, "/console/sign-out", "form_key");
    for key in [own, field(&of_operator, path, "form_key")] {
        for way in ["release", "drop"] {
            for kind in ["revokes", "grants", "restores", "removals", "gone"] {
                let form = [
                    ("form_key", key.as_str()),
                    ("seen", &seen),
                    ("why", "x"),
                    ("way", way),
                ];
                let answer = reader.post(&format!("/console/brakes/{kind}"), &form).await;
                assert_eq!(answer.status, 403, "{way} {kind}");
            }
        }
    }
    let held = "SELECT count(*) FROM work_queue WHERE held_by IS NOT NULL";
    assert_eq!(world.number(held).await, Some(25));
    assert_eq!(
        world
            .number("SELECT count(*) FROM operator_acts WHERE command LIKE 'brake%'")
            .await,
        Some(0)
    );
}

#[tokio::test]
async fn a_form_of_another_session_does_nothing() {
    let world = engaged().await;
    let [ann, bob] = [
        Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await,
        Browser::signed_in(&world.worker(), "bob", OPERATOR_TOKEN).await,
    ];
    let path = "/console/brakes/revokes";
    let page = ann.page("/console/brakes").await;
    let (key, seen) = (field(&page, path, "form_key"), field(&page, path, "seen"));
    for (browser, key, status) in [
        (&bob, key.as_str(), 403),
        (&ann, "", 403),
        (&Browser::at(&world.worker()).await, &key, 401),
    ] {
        let form = [
            ("form_key", key),
            ("seen", &seen),
            ("why", "x"),
            ("way", "release"),
        ];
        assert_eq!(browser.post(path, &form).await.status, status);
    }
    assert_eq!(
        ann.post(path, &[("form_key", &key)]).await.status,
        400,
        "an incomplete form"
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM work_queue WHERE held_by IS NULL")
            .await,
        Some(0)
    );
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_may_not_be_framed() {
    let world = with_console().start().await;
    let browser = Browser::signed_in(&world.worker(), "ann", OPERATOR_TOKEN).await;
    for path in PAGES
        .iter()
        .chain(&["/console/assets/console.css", "/console/assets/console.js"])
    {
        if *path == "/console/events" {
            continue;
        }
        let shown = browser.get(path).await;
        let policy = shown.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = shown.text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path}: {text}"
        );
        assert!(!text.contains("style=\"") && !text.contains(" onclick"), "{path}");
    }
}
