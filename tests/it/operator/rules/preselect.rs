//! The comparison of all users in SQL against the evaluation of each one: a user who needs an attempt is enqueued, and a plan names
//! each change.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::pin::Pin;
use rolekeeper_domain::rule::Versioned;
use rolekeeper_domain::snapshot::{Assignment, Facts, Snapshot};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::world::World;
use crate::world::rules::{RulesFile, rule};

const USERS: usize = 3_000;
const SEED: u64 = 29;
const ROLES: [&str; 2] = ["playlist_editor", "curator"];
const WALKED_WITHIN: Duration = Duration::from_mins(1);

fn rules_text() -> String {
    let curator = rule(ROLES[1], 300, 200, "of = \"all_playlists\"");
    format!("{}{curator}", rule(ROLES[0], 100, 80, ""))
}

/// A user with random facts, decisions and pins.
fn random_user(rng: &mut StdRng) -> (Vec<i64>, Snapshot) {
    let lists: Vec<i64> = (0..rng.random_range(0..4))
        .map(|_| rng.random_range(-2..160))
        .collect();
    let now = rolekeeper_sandbox::now();
    let (mut assignments, mut pins) = (vec![], vec![]);
    for role in ROLES.map(str::to_owned) {
        if rng.random_bool(0.6) {
            assignments.push(Assignment {
                role: role.clone(),
                wanted: rng.random(),
                has_role: rng.random(),
                adopted: rng.random(),
                since: now,
                below_since: None,
                suppressed: rng.random_bool(0.2),
                fresh: true,
            });
        }
        if rng.random_bool(0.1) {
            let on = rng.random();
            pins.push(Pin {
                role,
                on,
                until: None,
            });
        }
    }
    let counted = lists.iter().map(|plays| (*plays).max(0));
    let facts = Facts {
        best: counted.clone().max().unwrap_or(0),
        total: counted.sum(),
        now,
    };
    let snapshot = Snapshot {
        assignments,
        pins,
        ..Snapshot::of_facts(facts)
    };
    (lists, snapshot)
}

/// The statements that store the user.
fn insert(sql: &mut String, user: &str, lists: &[i64], snapshot: &Snapshot) {
    for (n, plays) in lists.iter().enumerate() {
        let _ = writeln!(
            sql,
            "INSERT INTO playlists (playlist_id, owner_id, plays) VALUES ('{user}-{n}', '{user}', {plays});"
        );
    }
    for one in &snapshot.assignments {
        let Assignment {
            role,
            wanted,
            has_role,
            adopted,
            suppressed,
            ..
        } = one;
        let _ = writeln!(
            sql,
            "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, suppressed, verified_at)
             VALUES ('{user}', '{role}', {wanted}, {has_role}, {adopted}, {suppressed}, now());"
        );
    }
    for Pin { role, on, .. } in &snapshot.pins {
        let state = if *on { "on" } else { "off" };
        let _ = writeln!(
            sql,
            "INSERT INTO pins (user_id, role, state, why, pinned_by) VALUES ('{user}', '{role}', '{state}', 'w', 'o');"
        );
    }
}

/// Whether the evaluation needs an attempt: a change, or another decision than the stored one.
fn needs_an_attempt(evaluation: &Evaluation<'_>) -> bool {
    evaluation.roles.iter().any(|role| {
        let stored = role.known.as_ref().is_some_and(|known| known.wanted);
        role.pending_change().is_some() || role.decision.wanted != stored
    })
}

/// Stores random users; nothing is attempted.
async fn random_users(world: &World) -> Vec<(String, Snapshot)> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let (mut sql, mut users) = (
        String::from("INSERT INTO pause (reason) VALUES ('a test');"),
        vec![],
    );
    for n in 0..USERS {
        let user = format!("auth0|u{n}");
        let (lists, snapshot) = random_user(&mut rng);
        insert(&mut sql, &user, &lists, &snapshot);
        users.push((user, snapshot));
    }
    let stored = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&world.db).await;
    stored.expect("users");
    users
}

#[tokio::test]
async fn a_plan_names_exactly_the_users_whose_roles_change() {
    let file = RulesFile::new(&rules_text());
    let world = World::builder().workers(0).start().await;
    world
        .told(&["rules", "apply", &file.path().display().to_string()])
        .await;
    let rules = Versioned::parse(&rules_text()).expect("valid rules").rules;
    let mut expected = BTreeSet::new();
    for (name, user) in random_users(&world).await {
        let evaluation = Evaluation::of(user, &rules);
        let due = |role: &Role<'_>| {
            Some((
                name.clone(),
                role.rule.role.clone(),
                role.pending_change()?.as_str(),
            ))
        };
        expected.extend(evaluation.roles.iter().filter_map(due));
    }
    let output = world.command(&["plan", "--all", "--json"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let member = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let found = lines[1..]
        .iter()
        .map(|line| ["user", "role", "change"].map(|name| member(line, name)));
    let found: Vec<[String; 3]> = found.collect();
    let expected: Vec<[String; 3]> = expected
        .into_iter()
        .map(|(user, role, change)| [user, role, change.to_owned()])
        .collect();
    assert!(expected.len() > USERS / 4, "{} changes", expected.len());
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    assert_eq!(found.len(), expected.len(), "each once");
}

#[tokio::test]
async fn a_user_who_needs_an_attempt_is_found_by_the_walk() {
    let file = RulesFile::new(&rules_text());
    let world = World::builder()
        .workers(0)
        .env("RULES_FILE", file.path().display())
        .start()
        .await;
    let rules = Versioned::parse(&rules_text()).expect("valid rules").rules;
    let users = random_users(&world).await;
    let needs = users
        .into_iter()
        .filter(|(_, user)| needs_an_attempt(&Evaluation::of(user.clone(), &rules)));
    let needed: BTreeSet<String> = needs.map(|(name, _)| name).collect();

    let _worker = world.start_worker().await;
    let walked = "SELECT count(*) FROM walk WHERE finished_at IS NOT NULL";
    world
        .eventually_within(WALKED_WITHIN, "all users were compared", async || {
            world.number(walked).await == Some(1)
        })
        .await;
    let queued = sqlx::query_scalar::<_, String>("SELECT user_id FROM work_queue").fetch_all(&world.db);
    let queued: BTreeSet<String> = queued.await.expect("Postgres responds").into_iter().collect();
    let missed: Vec<&String> = needed.difference(&queued).collect();
    assert!(
        missed.is_empty(),
        "of {} users these were missed: {missed:?}",
        needed.len()
    );
    let more = queued.difference(&needed).count();
    assert!(more < USERS / 4, "{more} users without need were enqueued");
}
