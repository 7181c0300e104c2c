//! Files whose lines are all good.

use std::io::Write as _;

use super::{Lines, code, of_ann};
use crate::world::events::{Form, deleted, plays, saved};
use crate::world::{ANN, APP_EVENTS, World};

#[tokio::test]
async fn every_line_counts_once_however_often_it_is_sent() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    let events = of_ann(2_500);
    let lines = Lines::of(&events);
    let said = world.told(&["publish", &lines.path]).await;
    assert_eq!(said, "2501 lines stored\n");
    let said = world.told(&["publish", &lines.path, "--from-line", "501"]).await;
    assert_eq!(
        said,
        "2001 lines stored, 2001 of them before: the stream had their event_id\n"
    );
    world.has_stored(&events);
    assert_eq!(world.in_stream().await, 2_501);
    world.settled().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_an_event() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    let events = of_ann(3);
    let mut lines: Vec<_> = events.iter().map(|event| event.payload.clone()).collect();
    lines[0].splice(0..0, "\u{feff}".bytes());
    let said = world.told(&["publish", &Lines::new(&lines).path]).await;
    assert_eq!(said, "4 lines stored\n");
    world.has_stored(&events);
    world.settled().await;
}

#[tokio::test]
async fn a_playlist_keeps_the_order_of_its_lines() {
    let world = World::start().await;
    let mut events = Vec::new();
    for life in 0..20 {
        let name = format!("l{life}");
        events.push(saved(&format!("s-{name}"), "pl_1", ANN));
        events.extend(plays(&name, "pl_1", 0..life));
        events.push(deleted(&format!("d-{name}"), "pl_1"));
    }
    events.pop();
    world.told(&["publish", &Lines::of(&events).path]).await;
    world.has_stored(&events);
    world.settled().await;
    let plays = "SELECT plays FROM playlists";
    assert_eq!(world.number(plays).await, Some(19));
}

#[tokio::test]
async fn standard_input_is_checked_before_a_line_is_sent() {
    let world = World::builder().workers(0).start().await;
    let mut lines: Vec<_> = of_ann(10).into_iter().map(|event| event.payload).collect();
    lines.push(b"{}".to_vec());
    for skip in [&[][..], &["--skip-bad"]] {
        let arguments = [&["publish", "-"][..], skip].concat();
        let input = tempfile::tempfile().expect("a file without a name");
        std::io::Write::write_all(&mut &input, &lines.join(&b'\n')).expect("written");
        std::io::Seek::rewind(&mut &input).expect("at the start");
        let (code, said) = code(&world.command_from(&arguments, input).await);
        assert!(said.contains("line 12: missing_field: type: required"), "{said}");
        let stored = if skip.is_empty() { 0 } else { 11 };
        assert_eq!(code, Some(if stored == 0 { 1 } else { 2 }), "{said}");
        assert_eq!(world.in_stream().await, stored);
    }
}

#[tokio::test]
async fn lines_of_a_slow_sender_are_sent_as_they_arrive() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    let events = of_ann(2);
    let (read, mut write) = std::io::pipe().expect("a pipe");
    let input = std::fs::File::from(std::os::fd::OwnedFd::from(read));
    let sending = async {
        for (sent, event) in (1..).zip(&events) {
            write.write_all(&event.payload).expect("the reader lives");
            write.write_all(b"\n").expect("the reader lives");
            let stored = async || world.in_stream().await == sent;
            world.eventually("the line is stored", stored).await;
        }
        drop(write);
    };
    let run = world.command_from(&["publish", "--skip-bad", "-"], input);
    let (output, ()) = tokio::join!(run, sending);
    let (exit, said) = code(&output);
    assert_eq!(exit, Some(0), "{said}");
    world.has_stored(&events);
    world.settled().await;
}

#[tokio::test]
async fn lines_may_be_cloud_events() {
    let world = World::start().await;
    world.seed_user(ANN, &[]);
    let forms = [Form::Plain, Form::Structured].into_iter().cycle();
    let events: Vec<_> = of_ann(100)
        .into_iter()
        .zip(forms)
        .map(|(event, form)| event.in_form(form))
        .collect();
    let said = world.told(&["publish", &Lines::of(&events).path]).await;
    assert_eq!(said, "101 lines stored\n");
    world.has_stored(&events);
    world.settled().await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    for (seq, content_type) in [(1, None), (2, Some("application/cloudevents+json"))] {
        let message = stream.get_raw_message(seq).await.expect("a message");
        let header = message
            .headers
            .get("Content-Type")
            .map(async_nats::HeaderValue::as_str);
        assert_eq!(header, content_type);
    }
}
