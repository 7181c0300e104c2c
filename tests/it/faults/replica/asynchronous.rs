//! F39: an asynchronous replica half a second late, promoted: cursor and counts fall back together and are exact; a role that was written
//! and forgotten is confirmed, not written twice.

use std::time::Duration;

use super::{FOLDED, Pair, names};
use crate::world::oracle::ROLE;
use crate::world::{CLIENT, World, user};

/// The delay of the replica.
const LATE: Duration = Duration::from_millis(500);
const GRANTS: &str = "SELECT count(*) FROM role_changes WHERE change = 'granted'";

/// The number of writes of this user's roles.
fn writes(world: &World, name: &str) -> usize {
    let ours = rolekeeper_sandbox::tenant::Actor::Client(CLIENT.to_owned());
    let history = world.tenant.history(&user(name));
    history.iter().filter(|version| version.by == ours).count()
}

#[tokio::test]
async fn f39_a_late_replica_counts_right_and_writes_once() {
    let mut pair = Pair::start().await;
    pair.world.start_worker().await;
    let (before, forgotten) = (names("a", 5), names("b", 5));
    pair.known(&[&before[..], &forgotten[..]].concat()).await;
    pair.earn(&before).await;
    pair.world.settled().await;
    pair.copied("SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL")
        .await;
    pair.way.delay(LATE);
    pair.earn(&forgotten).await;
    let written = async || pair.all_have(&forgotten);
    pair.world.eventually("the roles are written", written).await;
    pair.way.refuse();
    let folded = pair.world.number(FOLDED).await;
    pair.fails_over().await;
    assert!(Some(pair.copied(FOLDED).await) < folded, "it was late");
    assert_eq!(pair.copied(GRANTS).await, 5, "it was late");

    pair.taken_over();
    pair.world.quiet().await;
    // The audit of the forgotten changes is lost.
    let mut wrong = pair.world.differences().await;
    wrong.retain(|what| !(what.starts_with("auth0|b") && what.ends_with("the audit says []")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in before.iter().chain(&forgotten) {
        assert_eq!(writes(&pair.world, name), 1, "{name}");
        assert!(pair.world.has(name, ROLE), "{name}");
    }
    assert_eq!(
        pair.copied("SELECT count(*) FROM assignments WHERE has_role AND adopted")
            .await,
        10
    );
}
