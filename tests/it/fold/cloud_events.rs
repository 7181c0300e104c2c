//! Events as `CloudEvents`, with their attributes in the payload or in headers, beside plain ones.

use proptest::prelude::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::world::events::{Form, Sent, deleted, play, plays, poison, retraction, saved};
use crate::world::{ANN, World};

const FORMS: [Form; 3] = [Form::Plain, Form::Structured, Form::Binary];

fn in_form(events: Vec<Sent>, form: Form) -> Vec<Sent> {
    events.into_iter().map(|event| event.in_form(form)).collect()
}

#[tokio::test]
async fn each_form_takes_a_user_across_the_threshold() {
    let world = World::start().await;
    for (name, form) in ["plain", "structured", "binary"].into_iter().zip(FORMS) {
        let (user, playlist) = (format!("auth0|{name}"), format!("pl_{name}"));
        world.seed_user(&user, &[]);
        let mut events = vec![saved(&format!("s-{name}"), &playlist, &user)];
        events.extend(plays(name, &playlist, 0..100));
        world.publish(&in_form(events, form)).await;
    }
    world.settled().await;
    for user in ["auth0|plain", "auth0|structured", "auth0|binary"] {
        assert_eq!(world.roles(user), ["playlist_editor"], "{user}");
    }
}

/// A life of a playlist: what happens, by numbers, with the ids of `name`.
fn life(name: &str, steps: &[(u8, u32)]) -> Vec<Sent> {
    let playlist = format!("pl_{name}");
    let of = |place: usize, step: u8, of: u32| match step {
        0 => saved(
            &format!("{name}-{place}"),
            &playlist,
            &format!("auth0|{}", of % 3),
        ),
        1 => deleted(&format!("{name}-{place}"), &playlist),
        2 => retraction(&format!("{name}-{place}"), &format!("{name}-{of}"), &playlist),
        _ => play(&format!("{name}-{place}"), &playlist),
    };
    let steps = steps.iter().enumerate();
    steps
        .map(|(place, (step, number))| of(place, *step, *number))
        .collect()
}

#[tokio::test]
async fn the_same_events_make_the_same_rows_in_each_form() {
    let world = World::builder().env("FOLD_BATCH", 7).start().await;
    let mut runner = TestRunner::deterministic();
    let steps = proptest::collection::vec((0..9_u8, 0..60_u32), 60);
    for round in 0..8 {
        let steps = steps.new_tree(&mut runner).expect("steps").current();
        let lives = ["p", "s", "b"].map(|form| life(&format!("{form}{round}"), &steps));
        let lives: Vec<_> = lives
            .into_iter()
            .zip(FORMS)
            .map(|(life, form)| in_form(life, form))
            .collect();
        let mixed = (0..60).flat_map(|place| lives.iter().map(move |life| life[place].clone()));
        world.publish(&mixed.collect::<Vec<_>>()).await;
    }
    // Each row as the oracle expects it, too.
    world.settled().await;
    let rows = "SELECT count(*) FROM (SELECT substr(playlist_id, 5) AS round FROM playlists
        GROUP BY round HAVING count(*) = 3 AND count(DISTINCT (plays, owner_id, name, deleted)) = 1) AS same";
    assert_eq!(world.number(rows).await, Some(8));
}

#[tokio::test]
async fn an_id_in_several_forms_counts_once() {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("DEDUP_WINDOW", "1h")
        .start()
        .await;
    let event = play("one", "pl_1");
    let copies = FORMS.into_iter().enumerate().map(|(turn, form)| Sent {
        id: format!("one-{turn}"),
        ..event.clone().in_form(form)
    });
    let copies: Vec<Sent> = copies.collect();
    world.publish(&copies).await;
    // Another event under the id is a fault in each form.
    let other = copies[2].clone().with("song_id", "s_8");
    world
        .publish(&[Sent {
            id: "other".to_owned(),
            ..other
        }])
        .await;
    let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    world.count_is("all is folded", folded, 4).await;
    assert_eq!(world.number("SELECT plays FROM playlists").await, Some(1));
    let dead = world.rows("SELECT stream_seq, reason FROM dead_letters").await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(
        (&dead[0]["stream_seq"], &dead[0]["reason"]),
        (&4.into(), &"id_reused".into())
    );
}

#[tokio::test]
async fn a_refused_cloud_event_names_its_own_field() {
    let world = World::start().await;
    let bad = [
        (
            play("a", "pl_1").with("event_id", "a b").poisoned("bad_value"),
            "id: ",
            "ce-id: ",
        ),
        (
            play("b", "pl_1").with("type", "pause").poisoned("unknown_type"),
            "type: ",
            "ce-type: ",
        ),
        (
            play("c", "pl_1").with("song_id", 7).poisoned("wrong_type"),
            "data.song_id: ",
            "song_id: ",
        ),
        (
            play("d", "pl_1")
                .with("playlist_id", "pl_2")
                .poisoned("subject_mismatch"),
            "data.playlist_id: ",
            "playlist_id: ",
        ),
    ];
    let mut names = Vec::new();
    for (event, structured, binary) in bad {
        names.extend([structured, binary]);
        for (form, id) in [(Form::Structured, "s"), (Form::Binary, "b")] {
            let id = format!("{id}-{}", event.id);
            world
                .publish(&[Sent {
                    id,
                    ..event.clone().in_form(form)
                }])
                .await;
        }
    }
    let early = r#"{"specversion":"0.3","id":"e","source":"/","type":"play","data":{}}"#;
    world
        .publish(&[
            poison("early", "pl_1", early, "bad_value"),
            saved("s", "pl_1", ANN),
        ])
        .await;
    names.push("specversion: expected \"1.0\"");
    world.seed_user(ANN, &[]);
    world.settled().await;
    let letters = world
        .rows("SELECT detail FROM dead_letters ORDER BY stream_seq")
        .await;
    let details = letters
        .iter()
        .map(|row| row["detail"].as_str().unwrap_or_default());
    for (name, detail) in names.iter().zip(details) {
        assert!(detail.starts_with(name), "expected {name}, got {detail}");
    }
    assert_eq!(letters.len(), names.len());
}
