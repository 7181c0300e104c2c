//! `rolekeeper explain`: why a user holds a role, or does not.

use serde_json::Value;

use crate::world::World;

mod earned;
mod held;
mod persons;
mod refused;
mod rights;

/// The explanation as JSON.
async fn explained(world: &World, user: &str) -> Value {
    let said = world.told(&["explain", user, "--json"]).await;
    serde_json::from_str(&said).expect("one JSON object")
}

/// The values of these members, as an array.
fn picked<const MEMBERS: usize>(of: &Value, members: [&str; MEMBERS]) -> Value {
    members.map(|name| of[name].clone()).to_vec().into()
}

/// Asserts that the sentences contain each of these texts.
#[track_caller]
fn assert_says(sentences: &Value, texts: &[&str]) {
    let all = sentences.as_array().expect("sentences").iter();
    let all: Vec<&str> = all.filter_map(Value::as_str).collect();
    let all = all.join(" ");
    for text in texts {
        assert!(all.contains(text), "{text:?} is not in: {all}");
    }
}

/// Plays of the most played playlist of these owners, counted from the published events.
fn counted(world: &World, owners: &[&str]) -> i64 {
    let expected = world.oracle().expected();
    let own = expected.playlists.values().filter(|list| {
        let owner = list.owner.as_deref();
        !list.deleted && owner.is_some_and(|owner| owners.contains(&owner))
    });
    own.map(|list| list.plays).max().unwrap_or(0)
}
