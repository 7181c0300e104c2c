//! Faults from a client's side.

use super::*;

const USER: &str = "auth0|a";
const PATH: &str = "/users/auth0%7Ca";

/// A user of role `dj`, in a tenant with a rate limit that is not reached.
async fn world() -> World {
    let world = World::new(TenantOptions {
        plan: RatePlan::ENTERPRISE,
        ..Default::default()
    })
    .await;
    world.seeded(USER);
    world
}

impl World {
    /// Patches the user's roles to `[role]` while a call of this kind meets `fault`.
    async fn patch_under(&self, fault: Fault, role: &str) -> reqwest::Result<reqwest::Response> {
        self.tenant
            .fault_once(CallMatch::to(Endpoint::PatchUser).user(USER), fault);
        let answer = self
            .request("PATCH", PATH)
            .json(&json!({"app_metadata": {"roles": [role]}}))
            .send()
            .await;
        assert_eq!(self.tenant.faults_waiting(), 0);
        answer
    }

    fn has(&self, role: &str) -> bool {
        self.roles(USER) == json!([role])
    }

    /// Name of the fault, status and effect of the last call.
    fn last(&self) -> (Option<&'static str>, Option<u16>, bool) {
        let calls = self.tenant.calls();
        let last = calls.last().unwrap();
        (last.fault, last.status, last.applied)
    }
}

#[tokio::test]
async fn calls_that_are_refused_or_lost_change_nothing() {
    let world = world().await;
    let answer = world.patch_under(Fault::status(503), "1").await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.json::<Value>().await.unwrap()["statusCode"], 503);
    let page = world.patch_under(Fault::HtmlPage(502), "1").await.unwrap();
    assert_eq!(page.status(), 502);
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert!(world.patch_under(Fault::ConnectionReset, "1").await.is_err());
    assert_eq!(world.last(), (Some("connection reset"), None, false));
    assert!(world.has("dj"));
}

#[tokio::test]
async fn an_answer_and_its_effect_come_apart() {
    let world = world().await;
    assert!(world.patch_under(Fault::AppliedButUnanswered, "1").await.is_err());
    assert_eq!(world.last(), (Some("applied but unanswered"), None, true));
    assert!(world.has("1"));
    let answer = world
        .patch_under(Fault::AnsweredButNotApplied, "2")
        .await
        .unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap()["app_metadata"]["roles"],
        json!(["2"])
    );
    assert_eq!(world.last(), (Some("answered but not applied"), Some(200), false));
    assert!(world.has("1"));
}

#[tokio::test]
async fn bodies_break_and_crawl() {
    let world = world().await;
    let answer = world.patch_under(Fault::InvalidJson, "1").await.unwrap();
    assert!(answer.json::<Value>().await.unwrap_err().is_decode());
    assert!(world.has("1"));
    let answer = world.patch_under(Fault::TornBody, "2").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    assert!(world.has("2"));
    let started = Instant::now();
    let answer = world
        .patch_under(Fault::Slow(Duration::from_millis(1)), "3")
        .await
        .unwrap();
    assert_eq!(
        answer.json::<Value>().await.unwrap()["app_metadata"]["roles"],
        json!(["3"])
    );
    assert!(
        started.elapsed() >= Duration::from_millis(200),
        "some 400 bytes, a millisecond each"
    );
}

#[tokio::test]
async fn a_stale_read_shows_the_user_before_the_last_change() {
    let world = world().await;
    world.patch_under(Fault::NoRateHeaders, "1").await.unwrap();
    let read = async || {
        let answer = world.request("GET", PATH).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let now = read().await;
    world
        .tenant
        .fault_once(CallMatch::to(Endpoint::ReadUser), Fault::Stale);
    let stale = read().await;
    assert_eq!(stale["app_metadata"]["roles"], json!(["dj"]));
    assert!(stale["updated_at"].as_str() < now["updated_at"].as_str());
    assert_eq!(read().await, now);
}

#[tokio::test]
async fn rate_headers_lie_or_are_missing() {
    let world = world().await;
    let lies = Fault::LyingRateHeaders {
        limit: None,
        remaining: Some("-7".into()),
        reset: Some("soon".into()),
    };
    let answer = world.patch_under(lies, "1").await.unwrap();
    let seen =
        ["limit", "remaining", "reset"].map(|name| answer.headers()[&format!("x-ratelimit-{name}")].clone());
    assert_eq!(seen, ["50", "-7", "soon"]);
    let answer = world.patch_under(Fault::NoRateHeaders, "2").await.unwrap();
    assert!(
        !answer
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("x-ratelimit"))
    );
    assert!(world.has("2"));
}

#[tokio::test]
async fn a_client_that_gives_up_early_may_have_written_or_not() {
    let pause = Duration::from_millis(300);
    for (fault, applied) in [(Fault::Delay(pause), false), (Fault::DelayedAnswer(pause), true)] {
        let world = world().await;
        world.tenant.fault_once(CallMatch::any().client("worker"), fault);
        let request = world.request("PATCH", PATH).timeout(pause / 3);
        let error = request
            .json(&json!({"app_metadata": {"roles": ["late"]}}))
            .send()
            .await
            .unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(world.has("late"), applied);
    }
}

#[tokio::test]
async fn a_held_fault_stays_until_cleared() {
    let world = world().await;
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::Token), Fault::status(500));
    for _ in 0..3 {
        assert_eq!(world.ask_for_token(&json!({})).await.0, 500);
    }
    assert_eq!(world.get(PATH).await.0, 200);
    world.tenant.clear_faults();
    assert_eq!(world.ask_for_token(&json!({})).await.0, 400);
}
