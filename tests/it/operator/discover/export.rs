//! A users export job in place of searches.

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
