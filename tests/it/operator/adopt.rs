//! The first day at a tenant that already has editors, and shadow mode.

use std::io::Write as _;

use rolekeeper_sandbox::tenant::Endpoint::PatchUser;

use crate::world::events::{plays, retraction};
use crate::world::oracle::ROLE;
use crate::world::{Worker, World, text};

const WRITES: &str = "rolekeeper_writes_enabled";
const UNADOPTED: &str = r#"rolekeeper_role_holders{adoption="unadopted"}"#;
const ADOPTED: &str = r#"rolekeeper_role_holders{adoption="adopted"}"#;

/// Editors that the old script created, without any known plays, before the first start of a worker.
async fn old_editors(world: &World, number: usize) -> Vec<String> {
    let users: Vec<String> = (0..number).map(|n| format!("auth0|old{n}")).collect();
    for user in &users {
        world.seed_user(user, &["mentor", ROLE]);
    }
    world.start_worker().await;
    world.connect_log_stream().await;
    for user in &users {
        world.tenant.login(user).expect("a login");
    }
    world.settled().await;
    users
}

/// F33: the first start against a tenant whose editors came from the old script, with no plays known: no role is taken away; the editors
/// are counted as not adopted.
#[tokio::test]
async fn f33_old_editors_are_counted_and_left_alone() {
    let builder = World::builder().workers(0);
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    let users = old_editors(&world, 20).await;
    let worker = world.worker();
    assert_eq!(
        (worker.count(UNADOPTED).await, worker.count(ADOPTED).await),
        (Some(20), Some(0))
    );

    // Plays below the threshold are no reason to revoke the role; nor is a fall below it.
    for (n, user) in users.iter().enumerate().take(5) {
        let list = format!("pl_{n}");
        world
            .publish(&[crate::world::events::saved(&format!("s{n}"), &list, user)])
            .await;
        world.publish(&plays(&format!("p{n}"), &list, 0..40)).await;
        world
            .publish(&[retraction(&format!("r{n}"), &format!("p{n}-1"), &list)])
            .await;
    }
    for user in &users {
        world.tenant.login(user).expect("a login");
    }
    world.settled().await;
    assert_eq!((world.patches(), world.api_calls()), (0, 20));

    // A user who earns it is adopted from then on, without a write, and loses it by the rules.
    world.earn(&users[7], "pl_earned").await;
    world.settled().await;
    assert_eq!((world.patches(), worker.count(ADOPTED).await), (0, Some(1)));
    world
        .publish(&[retraction("r", "pl_earned-1", "pl_earned")])
        .await;
    world.settled().await;
    assert_eq!(world.roles(&users[7]), ["mentor"]);
    assert_eq!((world.patches(), worker.count(UNADOPTED).await), (1, Some(19)));
}

#[tokio::test]
async fn adopt_takes_over_whom_it_names_and_then_the_rules_apply() {
    let world = World::builder().workers(0).start().await;
    let users = old_editors(&world, 12).await;
    let holders = || {
        let holds = |user: &&String| world.roles(user).contains(&ROLE.to_owned());
        users.iter().filter(holds).count()
    };
    let adopt = async |arguments: &[&str]| {
        let output = world.command(&[&["adopt"], arguments].concat()).await;
        (output.status.success(), text(&output))
    };
    let (ok, said) = adopt(&["--user", &users[0], "--user", &users[1], "--user", &users[0]]).await;
    assert!(
        ok && said.starts_with("2 users adopted for playlist_editor"),
        "{said}"
    );
    world.settled().await;
    assert_eq!(holders(), 10);

    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(file, "\u{feff}{}\n\n  {}  \nauth0|never-seen", users[2], users[3]).expect("a line");
    let path = file.path().to_str().expect("UTF-8").to_owned();
    let (ok, said) = adopt(&["--users-file", &path]).await;
    assert!(ok && said.starts_with("3 users adopted"), "{said}");
    world.settled().await;
    assert_eq!(holders(), 8);

    // A user who earns the role keeps it, also after an adoption.
    world.earn(&users[5], "pl_5").await;
    world.settled().await;
    let (ok, said) = adopt(&["--all-known"]).await;
    assert!(ok && said.starts_with("7 users adopted"), "{said}");
    world.settled().await;
    assert_eq!(
        (holders(), world.roles(&users[5])),
        (1, vec!["mentor".to_owned(), ROLE.to_owned()])
    );
    assert_eq!(world.roles(&users[11]), ["mentor"]);
    let (ok, said) = adopt(&["--all-known"]).await;
    assert!(ok && said.starts_with("0 users adopted"), "{said}");
}

#[tokio::test]
async fn adopt_refuses_what_it_cannot_mean() {
    let world = World::builder().workers(0).start().await;
    let table: [(&[&str], &str); 4] = [
        (&[], "no user is named: give --user, --users-file or --all-known"),
        (&["--user", "a\nb"], "user \"a\\nb\""),
        (&["--user", "auth0|a", "--all-known"], "cannot be used with"),
        (&["--users-file", "/no/such/file"], "--users-file /no/such/file"),
    ];
    for (arguments, says) in table {
        let output = world.command(&[&["adopt"], arguments].concat()).await;
        assert!(
            !output.status.success() && text(&output).contains(says),
            "{}",
            text(&output)
        );
    }
    assert_eq!(world.number("SELECT count(*) FROM assignments").await, Some(0));
    // Rolekeeper may not revoke a role that no rule names.
    let output = world
        .command(&["adopt", "--role", "mentor", "--user", "auth0|ann"])
        .await;
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test]
async fn adopt_takes_a_role_that_no_rule_names_for_a_slip() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["playlist_editr"]);
    let slip = ["adopt", "--role", "playlist_editr", "--user", "auth0|ann"];
    let output = world.command(&slip).await;
    assert!(
        !output.status.success() && text(&output).contains("no rule in force names this role"),
        "{}",
        text(&output)
    );
    assert!(text(&output).contains(ROLE), "it lists the known roles");
    assert_eq!(world.number("SELECT count(*) FROM assignments").await, Some(0));
    let output = world.command(&[&slip[..], &["--force"]].concat()).await;
    assert!(output.status.success(), "{}", text(&output));
}

/// A worker in shadow mode that has decided for two earners and an adopted holder.
async fn shadow(world: &World) -> Worker {
    let shadow = world
        .start_worker_with(&[("AUTH0_WRITES", "off"), ("SWEEP_INTERVAL_S", "1")])
        .await;
    for user in ["auth0|ann", "auth0|bob"] {
        world.seed_user(user, &["mentor"]);
        world.earn(user, &user[6..]).await;
    }
    world.seed_user("auth0|old", &["mentor", ROLE]);
    world.told(&["adopt", "--user", "auth0|old"]).await;
    let audited = "SELECT count(*) FROM role_changes WHERE outcome = 'shadow' AND completed_at IS NULL";
    world
        .eventually("all is decided", async || {
            world.number(audited).await == Some(3) && world.is_quiet().await
        })
        .await;
    shadow
}

#[tokio::test]
async fn shadow_mode_audits_and_writes_nothing() {
    let world = World::builder().workers(0).start().await;
    let shadow = shadow(&world).await;
    // Bob falls again: he has no role to revoke yet.
    world.publish(&[retraction("r", "bob-1", "bob")]).await;
    world.quiet().await;
    let open = "SELECT count(*) FROM role_changes WHERE outcome IS DISTINCT FROM 'shadow'";
    assert_eq!(world.number(open).await, Some(0));
    assert_eq!(world.calls_to(PatchUser), 0);
    let series = r#"rolekeeper_role_changes_total{change="granted",outcome="shadow"}"#;
    assert_eq!(shadow.count(series).await, Some(2));
    assert_eq!(shadow.count(WRITES).await, Some(0));
    let decided = world.audit_of("auth0|old").await;
    assert_eq!(decided, [("revoked".to_owned(), Some("shadow".to_owned()))]);

    shadow.sigterm(std::time::Duration::from_secs(10)).await;
    let worker = world.start_worker().await;
    world
        .eventually("the old editor's role is gone", async || {
            world.roles("auth0|old") == ["mentor"]
        })
        .await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", ROLE]);
    assert_eq!(world.roles("auth0|bob"), ["mentor"]);
    assert_eq!(world.patches(), 2);
    assert_eq!(worker.count(WRITES).await, Some(1));
}
