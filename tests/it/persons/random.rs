//! Links and unlinks in random order beside plays, with workers that are killed.
//!
//! F57: links and their ends in any order with plays, 404s and records: counts, roles and audit are right for the person.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rolekeeper_sandbox::tenant::LogStream;

use crate::world::events::{play, retraction, saved};
use crate::world::oracle::{self, ROLE};
use crate::world::persons::{Told, app, ids_of};
use crate::world::{LOG_TOKEN, World, size};

/// Persons, each with an account and two more ids.
const PERSONS: u32 = 12;
const IDS: [&str; 3] = ["auth0", "google-oauth2", "github"];
/// Longest time until everything is settled after the last kill: a lease must end first.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);

fn id(provider: &str, person: u32) -> String {
    format!("{provider}|p{person}")
}

/// A person's own playlists, one for each id.
fn playlist(provider: &str, person: u32) -> String {
    format!("pl_{}_{person}", provider.replace('-', "_"))
}

struct Story {
    world: World,
    rng: StdRng,
    /// Plays of each playlist that can be retracted.
    played: BTreeMap<String, Vec<String>>,
    steps: u32,
}

impl Story {
    async fn start(seed: u64) -> Self {
        let world = World::builder()
            .env("SWEEP_INTERVAL_S", 1)
            .env("AUTH0_TIMEOUT_S", 1)
            .start()
            .await;
        let (mut events, mut played) = (vec![], BTreeMap::new());
        for (person, provider) in (0..PERSONS).flat_map(|person| IDS.map(|provider| (person, provider))) {
            let (user, list) = (id(provider, person), playlist(provider, person));
            world.seed_user(&user, &["mentor"]);
            events.push(saved(&format!("s-{list}"), &list, &user));
            // Each playlist is near the threshold.
            let ids: Vec<String> = (0..99).map(|n| format!("{list}-{n}")).collect();
            events.extend(ids.iter().map(|id| play(id, &list)));
            played.insert(list, ids);
        }
        world.publish(&events).await;
        let rng = StdRng::seed_from_u64(seed);
        let story = Self {
            world,
            rng,
            played,
            steps: 0,
        };
        story.connect().await;
        story
    }

    /// Records come late, twice and in any order.
    async fn connect(&self) {
        let url = format!(
            "http://{}/auth0/logs",
            self.world.worker().address("LISTEN").await
        );
        let stream = LogStream {
            delay: Duration::ZERO..=Duration::from_millis(300),
            shuffle: true,
            twice: 0.2,
            ..LogStream::to(url, LOG_TOKEN)
        };
        self.world.tenant.stream_logs(stream).expect("a webhook");
    }

    /// A link or an unlink of one person's ids, whichever is possible.
    fn change_links(&mut self) {
        let person = self.rng.random_range(0..PERSONS);
        let ids = IDS.map(|provider| id(provider, person));
        let tenant = &self.world.tenant;
        let accounts: Vec<&String> = ids.iter().filter(|id| tenant.user(id).is_some()).collect();
        let primary: String = accounts
            .choose(&mut self.rng)
            .map(|id| (*id).clone())
            .expect("one account at least");
        let linked: Vec<String> = ids_of(tenant, &primary)
            .into_iter()
            .filter(|id| *id != primary)
            .collect();
        if let Some(alias) = linked.choose(&mut self.rng)
            && (accounts.len() == 1 || self.rng.random_bool(0.5))
        {
            tenant.unlink(app(), &primary, alias).expect("an unlink");
        } else if let Some(other) = accounts.iter().find(|id| ***id != primary) {
            tenant.link(app(), &primary, other).expect("a link");
        }
    }

    /// A play or a retraction that may cross the threshold.
    async fn play(&mut self) {
        let person = self.rng.random_range(0..PERSONS);
        let list = playlist(IDS[self.rng.random_range(0..IDS.len())], person);
        let plays = self.played.get_mut(&list).expect("a playlist");
        self.steps += 1;
        let event = if plays.len() > 99 {
            let of = plays.pop().expect("a play");
            retraction(&format!("r-{}", self.steps), &of, &list)
        } else {
            plays.push(format!("{list}-more-{}", self.steps));
            play(plays.last().expect("a play"), &list)
        };
        self.world.publish(&[event]).await;
    }

    /// Kills the worker and starts another one.
    async fn kill(&self) {
        self.world.worker().kill9().await;
        self.world.start_worker().await;
        self.connect().await;
    }

    /// The last announced change of each id against the tenant: only an account of the tenant with the role holds it.
    async fn wrong_announcements(&self) -> Vec<String> {
        self.world.all_told().await;
        let told: BTreeMap<String, Vec<Told>> = self.world.told_by_user().await;
        let ids = (0..PERSONS).flat_map(|person| IDS.map(|provider| id(provider, person)));
        let wrong = ids.filter_map(|id| {
            let changes = told.get(&id).cloned().unwrap_or_default();
            // A link and its end between two reads discard the role, which is granted again: the loss is not announced.
            let once = changes
                .windows(2)
                .all(|pair| (pair[0].0 == "granted") || (pair[1].0 == "granted"));
            let granted = changes.last().is_some_and(|(change, _)| change == "granted");
            let holds = self.world.roles(&id).iter().any(|role| role == ROLE);
            // The same where the role is no longer earned: what other clients take is not announced.
            let right = granted == holds || (granted && oracle::was_discarded(&self.world.tenant, &id));
            let history = self.world.tenant.history(&id);
            let last = &history[history.len().saturating_sub(4)..];
            (!right || !once).then(|| format!("{id}: holds {holds}, announced {changes:?}, at last {last:?}"))
        });
        wrong.collect()
    }
}

#[tokio::test]
async fn f57_links_in_random_order_with_kills_equal_the_oracle() {
    let mut story = Story::start(7).await;
    for step in 0..size(300, 1_000) {
        story.change_links();
        story.play().await;
        if step % 75 == 74 {
            story.kill().await;
        } else if step % 10 == 9 {
            story.world.quiet().await;
        }
    }
    story.world.settled_within(SETTLED_WITHIN).await;
    let wrong = story.wrong_announcements().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let moved = "SELECT count(*) FROM role_changes WHERE reason = 'linked' AND change = 'revoked'";
    assert!(story.world.number(moved).await > Some(5), "few roles moved");
    let stored = story.world.rows("SELECT alias, primary_id FROM identities").await;
    for link in &stored {
        let (alias, primary) = (link["alias"].as_str(), link["primary_id"].as_str());
        let ids = ids_of(&story.world.tenant, primary.unwrap_or_default());
        assert!(
            ids.iter().any(|id| Some(id.as_str()) == alias),
            "{link} is none at the tenant"
        );
    }
}
