//! F17: `app_metadata` missing; `roles` missing, null, a text, an object, with duplicates, with numbers, with 500
//! entries; a profile near 10 KB: read as far as it can be, with the smallest write, or parked with a reason; roles
//! are never wiped. Only the managed role may change in a profile.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::ProfileLimit;
use serde_json::{Value, json};

use crate::world::World;
use crate::world::events::{plays, retraction, saved};
use crate::world::oracle::ROLE;

/// One user, with the initial and the expected state.
struct Case {
    user: String,
    before: Value,
    /// Roles before; none if there is no list of strings.
    roles: Option<Vec<String>>,
    /// True if the operator must repair it.
    parked: bool,
}

/// Seeds a user with this profile, who is about to reach the threshold.
async fn seed(world: &World, n: usize, profile: Value) -> Case {
    let (user, list) = (format!("auth0|u{n}"), format!("pl_{n}"));
    let roles = profile["app_metadata"].get("roles").cloned();
    world
        .tenant
        .seed_user(&user, profile)
        .expect("a profile as POST takes it");
    world.publish(&[saved(&format!("s{n}"), &list, &user)]).await;
    let list_of = |roles: Value| serde_json::from_value::<Vec<String>>(roles).ok();
    let roles = roles.map_or(Some(vec![]), list_of);
    Case {
        before: world.beside_roles(&user),
        parked: roles.is_none(),
        user,
        roles,
    }
}

/// All users reach the threshold, and then all fall below it: each profile is unchanged except for the role.
async fn up_and_down(world: &World, cases: &[Case]) {
    for n in 0..cases.len() {
        world
            .publish(&plays(&format!("p{n}"), &format!("pl_{n}"), 0..100))
            .await;
    }
    world.quiet().await;
    for case in cases {
        let (with, _) = with_and_without(case);
        check(world, case, with).await;
    }
    for n in 0..cases.len() {
        let one = retraction(&format!("r{n}"), &format!("p{n}-3"), &format!("pl_{n}"));
        world.publish(&[one]).await;
    }
    world.quiet().await;
    for case in cases {
        let (_, without) = with_and_without(case);
        check(world, case, without).await;
    }
    assert!(world.idle_writes().is_empty(), "{:?}", world.idle_writes());
}

/// Roles of the user at the threshold and below it.
fn with_and_without(case: &Case) -> (Vec<String>, Vec<String>) {
    let roles = case.roles.clone().unwrap_or_default();
    let without = roles.iter().filter(|role| *role != ROLE).cloned().collect();
    let mut with = roles;
    if !with.iter().any(|role| role == ROLE) {
        with.push(ROLE.to_owned());
    }
    (with, without)
}

async fn check(world: &World, case: &Case, roles: Vec<String>) {
    let user = &case.user;
    assert_eq!(
        world.beside_roles(user),
        case.before,
        "{user}: more than roles has changed"
    );
    let writes = world
        .calls_of(user)
        .iter()
        .filter(|call| call.method == "PATCH")
        .count();
    if case.parked {
        assert_eq!(
            (writes, world.tenant.history(user).len()),
            (0, 1),
            "{user} is left to the operator"
        );
        let why = "SELECT user_id, last_error FROM work_queue WHERE parked_at IS NOT NULL";
        let parked = world.rows(why).await;
        let row = parked.iter().find(|row| row["user_id"] == user.as_str());
        let error = row.map(|row| row["last_error"].to_string()).unwrap_or_default();
        assert!(error.contains("expected an array of strings"), "{user}: {row:?}");
    } else {
        assert_eq!(world.roles(user), roles, "{user}");
        assert!(writes <= 2, "{user}: {writes} writes");
    }
}

fn many(number: usize) -> Vec<String> {
    (0..number).map(|n| format!("role-{n}")).collect()
}

#[tokio::test]
async fn f17_odd_roles_are_kept_extended_or_parked_and_never_wiped() {
    let world = World::start().await;
    let filler = "x".repeat(9_500);
    let metadata = [
        json!({"app_metadata": {"plan": "gold"}}),
        json!({"app_metadata": {"roles": []}}),
        json!({"app_metadata": {"roles": ["b", "a", "b", "a"]}}),
        json!({"app_metadata": {"roles": [ROLE, "a", ROLE]}}),
        json!({"app_metadata": {"roles": many(500), "plan": {"name": "gold", "until": null}}}),
        json!({"app_metadata": {"roles": ["mentor"], "filler": filler}, "user_metadata": {"displayName": "Ann"}}),
        json!({"app_metadata": {"roles": ["", " ", "Playlist_Editor", "playlist_editor ", "é\u{301}\u{1f3b5}"]}}),
        json!({"app_metadata": {"roles": "playlist_editor"}}),
        json!({"app_metadata": {"roles": {"playlist_editor": true}, "plan": "gold"}}),
        json!({"app_metadata": {"roles": ["mentor", 7]}}),
        json!({"app_metadata": {"roles": [["playlist_editor"]]}}),
        json!({"app_metadata": {"roles": [null]}}),
        json!({"app_metadata": {"roles": true}}),
        json!({"app_metadata": {"roles": 7}}),
        json!({"user_metadata": {"roles": ["admin"]}}),
        json!({}),
    ];
    let mut cases = vec![];
    for (n, profile) in metadata.into_iter().enumerate() {
        cases.push(seed(&world, n, profile).await);
    }
    assert_eq!(cases.iter().filter(|case| case.parked).count(), 7);
    up_and_down(&world, &cases).await;
}

#[tokio::test]
async fn f17_a_parked_user_is_retried_once_the_profile_is_repaired() {
    let world = World::start().await;
    world.connect_log_stream().await;
    seed(&world, 0, json!({"app_metadata": {"roles": "mentor"}})).await;
    world.publish(&plays("p", "pl_0", 0..100)).await;
    world.quiet().await;
    let worker = world.worker();
    assert_eq!(
        worker
            .count(r#"rolekeeper_work_queue_users{state="parked"}"#)
            .await,
        Some(1)
    );
    // More events do not cause an attempt: the reason still exists.
    world
        .publish(&[
            retraction("r", "p-1", "pl_0"),
            crate::world::events::play("q", "pl_0"),
        ])
        .await;
    world.quiet().await;
    assert_eq!(world.calls_of("auth0|u0").len(), 1);
    let corrected = json!({"app_metadata": {"roles": ["mentor"]}});
    world
        .tenant
        .dashboard_edit("auth0|u0", corrected)
        .expect("an edit");
    world.settled().await;
    assert_eq!(world.roles("auth0|u0"), ["mentor", ROLE]);
}

#[tokio::test]
async fn f17_a_profile_too_large_for_auth0_is_parked() {
    let options = rolekeeper_sandbox::tenant::TenantOptions {
        profile_limit: ProfileLimit {
            warned_above: 10 << 10,
            refused_above: 12 << 10,
        },
        ..Default::default()
    };
    let world = World::builder().tenant(options).start().await;
    let profile = |bytes: usize| json!({"app_metadata": {"roles": ["mentor"], "filler": "x".repeat(bytes)}});
    let warned = seed(&world, 0, profile(11_000)).await;
    let refused = seed(&world, 1, profile(11_990)).await;
    for n in 0..2 {
        world
            .publish(&plays(&format!("p{n}"), &format!("pl_{n}"), 0..100))
            .await;
    }
    world.quiet().await;
    assert_eq!(world.roles(&warned.user), ["mentor", ROLE]);
    assert_eq!(world.roles(&refused.user), ["mentor"]);
    let parked = world
        .rows("SELECT user_id, last_error, attempts FROM work_queue WHERE parked_at IS NOT NULL")
        .await;
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0]["user_id"], refused.user.as_str());
    let why = parked[0]["last_error"].as_str().unwrap_or_default();
    assert!(
        why.contains("400") && why.contains("The user profile has"),
        "{why}"
    );
    assert_eq!(world.calls_of(&refused.user).len(), 2, "asked once");
}

/// Any JSON value, with keys that Auth0 accepts.
fn anything(rng: &mut StdRng, depth: u32) -> Value {
    match rng.random_range(0..if depth == 0 { 5 } else { 7 }) {
        0 => rng.random_range(-9..9_000_000_000_i64).into(),
        1 => rng.random_bool(0.5).into(),
        2 => rng.random_range(-1.0..1.0).into(),
        3 => word(rng).into(),
        4 => json!([]),
        5 => (0..rng.random_range(0..4))
            .map(|_| anything(rng, depth - 1))
            .collect(),
        _ => {
            let fields = (0..rng.random_range(1..4)).map(|_| (word(rng), anything(rng, depth - 1)));
            Value::Object(fields.collect())
        }
    }
}

fn word(rng: &mut StdRng) -> String {
    let words = [
        "roles",
        "role",
        "plan",
        "a b",
        "ключ",
        "\u{1f3b5}",
        "__proto__",
        "\"quoted\"",
        "tab\there",
        "x",
    ];
    let word = words.choose(rng).expect("there are words");
    format!("{word}{}", rng.random_range(0..50))
}

fn odd_profile(rng: &mut StdRng) -> Value {
    let mut app_metadata = serde_json::Map::new();
    for _ in 0..rng.random_range(0..5) {
        app_metadata.insert(word(rng), anything(rng, 3));
    }
    let strings: Vec<Value> = (0..rng.random_range(0..9)).map(|_| word(rng).into()).collect();
    let roles = match rng.random_range(0..10) {
        0 => None,
        1 => Some(anything(rng, 2)),
        2 => Some([strings, vec![anything(rng, 1)]].concat().into()),
        3 => Some([strings, vec![ROLE.into()]].concat().into()),
        _ => Some(strings.into()),
    };
    app_metadata.extend(roles.map(|roles| ("roles".to_owned(), roles)));
    json!({"app_metadata": app_metadata, "user_metadata": {word(rng): anything(rng, 2)}, "given_name": word(rng)})
}

#[tokio::test]
async fn f17_a_hundred_random_profiles_lose_nothing() {
    let world = World::start().await;
    let seed_of_run = 20_261_123;
    let mut rng = StdRng::seed_from_u64(seed_of_run);
    let mut cases = vec![];
    for n in 0..100 {
        cases.push(seed(&world, n, odd_profile(&mut rng)).await);
    }
    let parked = cases.iter().filter(|case| case.parked).count();
    println!("seed {seed_of_run}: {parked} of 100 parked");
    assert!((1..50).contains(&parked));
    up_and_down(&world, &cases).await;
}

#[tokio::test]
async fn a_user_id_of_any_make_is_one_user() {
    let world = World::start().await;
    let ids = [
        "samlp|acme|me@acme.org",
        "auth0|a b+c%2Fd",
        "google-oauth2|1/../2?x=1#y",
        "oauth2|ключ\u{1f3b5}",
        "auth0|%7C",
    ];
    for (n, id) in ids.into_iter().enumerate() {
        world.seed_user(id, &["mentor"]);
        world.earn(id, &format!("pl_{n}")).await;
    }
    world.settled().await;
    for id in ids {
        assert_eq!(world.roles(id), ["mentor", ROLE], "{id}");
        assert_eq!(world.calls_of(id).len(), 2, "{id}");
    }
}
