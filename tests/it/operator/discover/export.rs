//! A users export job in place of searches.

use std::path::Path;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault, TenantOptions};

use crate::world::World;
use crate::world::discover::found;
use crate::world::oracle::ROLE;

#[tokio::test]
async fn too_many_users_of_one_moment_are_exported() {
    let options = TenantOptions {
        export_takes: Duration::from_secs(1),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).start().await;
    world.imported("early", 0..20, &[ROLE]);
    world.imported("import", std::iter::repeat_n(100, 1_010), &[ROLE]);
    world.imported("mentor", 0..50, &["mentor"]);
    let output = world.command(&["discover"]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.starts_with(&found(1_030)),
        "{said}"
    );
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(
        progress.contains("1000 users or more were created at the same time"),
        "{progress}"
    );
    assert_eq!(world.unadopted().await, 1_030);
    assert_eq!(world.calls_to(Endpoint::ExportFile), 1);
}

#[tokio::test]
async fn a_refused_search_is_exported_and_broken_lines_counted() {
    let world = World::start().await;
    world.imported("old", 0..40, &[ROLE]);
    let tenant = &world.tenant;
    for refused in [Fault::status(403), Fault::status(400)] {
        tenant.clear_faults();
        tenant.hold_fault(CallMatch::to(Endpoint::ListUsers), refused);
        tenant.fault_once(CallMatch::to(Endpoint::ExportFile), Fault::TornBody);
        let broken = Fault::Rewritten {
            from: r#""user_id":"auth0|old3"#.to_owned(),
            to: r#""user_id":auth0|old3"#.to_owned(),
        };
        tenant.hold_fault(CallMatch::to(Endpoint::ExportFile), broken);
        let said = world.told(&["discover"]).await;
        // The lines of the users 3 and 30 to 39.
        assert!(
            said.starts_with(&found(29)) && said.contains("\n11 entries of Auth0's result"),
            "{said}"
        );
        assert_eq!(world.unadopted().await, 29);
    }
    assert_eq!(
        world.calls_to(Endpoint::ExportFile),
        4,
        "a torn file is read again"
    );
    assert_eq!(world.patches(), 0);
}

/// A run that is killed twice: while Auth0 works on the job, and when a part of the file is stored.
async fn killed_in_the_file(world: &World, folder: &Path) {
    let run = world.discover(folder);
    run.killed_when(async || world.calls_to(Endpoint::ReadJob) > 0)
        .await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON discovery FOR EACH ROW WHEN (NEW.lines > 600) EXECUTE FUNCTION slow()";
    world.run_sql(slow).await;
    let run = world.discover(folder);
    let storing =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    run.killed_when(async || world.number(storing).await == Some(1))
        .await;
    world.run_sql("DROP TRIGGER slow ON discovery").await;
    assert_eq!(world.unadopted().await, 500, "the first part is stored");
}

/// 1,200 holders among others, at a tenant whose jobs take a while.
async fn exporting() -> World {
    let options = TenantOptions {
        export_takes: Duration::from_secs(1),
        ..TenantOptions::default()
    };
    let world = World::builder().tenant(options).start().await;
    world.imported("old", 0..1_200, &[ROLE]);
    world.imported("mentor", 0..50, &["mentor"]);
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ListUsers), Fault::status(403));
    world
}

#[tokio::test]
async fn a_killed_export_goes_on_with_its_job_and_its_line() {
    let world = exporting().await;
    let folder = tempfile::tempdir().expect("a folder");
    killed_in_the_file(&world, folder.path()).await;
    let said = world.discover(folder.path()).result().await;
    assert!(
        said.contains(&found(1_200)) && said.contains("has found 500 so far"),
        "{said}"
    );
    assert_eq!(world.unadopted().await, 1_200);
    assert_eq!(world.calls_to(Endpoint::ExportUsers), 1, "one job");
}

#[tokio::test]
async fn a_killed_export_whose_job_is_gone_begins_another_one() {
    let world = exporting().await;
    let folder = tempfile::tempdir().expect("a folder");
    killed_in_the_file(&world, folder.path()).await;
    // A day later.
    let gone = Fault::status(404);
    world.tenant.fault_once(CallMatch::to(Endpoint::ReadJob), gone);
    let said = world.discover(folder.path()).result().await;
    assert!(
        said.contains(&found(1_200)) && said.contains("another one is created"),
        "{said}"
    );
    assert_eq!(world.unadopted().await, 1_200);
    assert_eq!(world.calls_to(Endpoint::ExportUsers), 2);
}

#[tokio::test]
async fn an_export_on_request_needs_no_search() {
    let world = World::start().await;
    world.imported("old", 0..5, &[ROLE]);
    world.imported("dj", 0..5, &["dj"]);
    let said = world
        .told(&["discover", "--export", "--why", "the search is slow"])
        .await;
    assert!(said.starts_with(&found(5)), "{said}");
    assert_eq!(world.calls_to(Endpoint::ListUsers), 0);
    assert!(world.told(&["acts"]).await.contains("the search is slow"));
}
