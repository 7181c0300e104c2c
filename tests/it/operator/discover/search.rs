//! Searches past the limit of one search.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use serde_json::json;

use crate::world::discover::found;
use crate::world::oracle::ROLE;
use crate::world::{World, text};

#[tokio::test]
async fn a_search_past_its_limit_goes_on_by_creation() {
    let world = World::start().await;
    // Two days with more holders than a page, at one time each, among those with a time of their own.
    world.imported("spread", 0..700, &[ROLE]);
    world.imported("first", std::iter::repeat_n(0, 150), &[ROLE]);
    world.imported("later", std::iter::repeat_n(350, 300), &[ROLE, "dj"]);
    let said = world.told(&["discover"]).await;
    assert!(said.starts_with(&found(1_150)), "{said}");
    assert_eq!(world.unadopted().await, 1_150);
    let calls = world.discoveries();
    assert!(calls.iter().all(|call| call.endpoint == Endpoint::ListUsers));
    assert!(calls.len() <= 18, "{} calls", calls.len());
    assert!(calls.iter().all(|call| call.status == Some(200)));
}

#[tokio::test]
async fn a_429_is_waited_for_and_a_large_page_asked_for_in_parts() {
    let world = World::start().await;
    world.imported("old", 0..25, &[ROLE]);
    let search = || CallMatch::to(Endpoint::ListUsers);
    let too_many = Fault::Status {
        code: 429,
        headers: vec![("retry-after".to_owned(), "1".to_owned())],
        body: None,
    };
    world.tenant.fault_once(search(), too_many);
    world.tenant.fault_once(search(), Fault::InvalidJson);
    world.tenant.fault_once(search(), Fault::status(503));
    let said = world.told(&["discover"]).await;
    assert!(said.starts_with(&found(25)), "{said}");
    let statuses: Vec<_> = world.discoveries().iter().map(|call| call.status).collect();
    assert_eq!(statuses[..4], [Some(429), Some(200), Some(503), Some(200)]);
    assert_eq!(statuses.len(), 6, "25 users in pages of ten");
}

/// A page of the first of five holders, with as many as asked for or fewer.
fn first_of_five(world: &World, shown: usize) -> Fault {
    let user = |number| world.tenant.user(&format!("auth0|old{number}"));
    let users: Vec<_> = (0..shown).filter_map(user).collect();
    Fault::Status {
        code: 200,
        headers: vec![],
        body: Some(json!({"start": 0, "limit": 50, "length": shown, "total": 5, "users": users})),
    }
}

#[tokio::test]
async fn a_page_shorter_than_asked_for_is_not_the_last_one() {
    let world = World::start().await;
    world.imported("old", 0..5, &[ROLE]);
    for shown in [1, 2, 4] {
        let short = first_of_five(&world, shown);
        world.tenant.fault_once(CallMatch::to(Endpoint::ListUsers), short);
        let said = world.told(&["discover"]).await;
        assert!(said.starts_with(&found(5)), "{shown}: {said}");
    }
    let empty = first_of_five(&world, 0);
    world.tenant.hold_fault(CallMatch::to(Endpoint::ListUsers), empty);
    let output = world.command(&["discover"]).await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("finds 5 users and returns an empty page"),
        "{said}"
    );
    world.tenant.clear_faults();
    assert!(world.told(&["discover"]).await.starts_with(&found(5)));
}

#[tokio::test]
async fn entries_that_are_no_user_are_counted() {
    let world = World::start().await;
    world.imported("old", 0..9, &[ROLE]);
    let broken = Fault::Rewritten {
        from: r#""user_id":"auth0|old4""#.to_owned(),
        to: r#""user_id":4"#.to_owned(),
    };
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ListUsers), broken);
    let said = world.told(&["discover"]).await;
    assert!(
        said.starts_with(&found(8)) && said.contains("\n1 entry of Auth0's result"),
        "{said}"
    );
}
