//! Files with bad lines, and servers that refuse lines.

use super::{Lines, code, of_ann};
use crate::world::events::{play, plays};
use crate::world::{PASSWORD, World};

#[tokio::test]
async fn nothing_of_a_file_with_bad_lines_is_sent() {
    let world = World::start().await;
    let events = of_ann(3);
    let mut lines: Vec<_> = events.iter().map(|event| event.payload.clone()).collect();
    lines.insert(1, play("x", "pl_1").with("played_at", "today").payload);
    lines.insert(3, b"nonsense".to_vec());
    lines.push("x".repeat(20_000).into_bytes());
    let lines = Lines::new(&lines);
    let (exit, said) = code(&world.command(&["publish", &lines.path]).await);
    for part in [
        "line 2: bad_value: played_at: expected a time in RFC 3339, got \"today\"\n",
        "line 4: not_json: ",
        "line 7: oversized: ",
        "3 bad lines, 4 good ones: nothing was sent. Correct the bad lines, or add --skip-bad",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!((exit, world.in_stream().await), (Some(1), 0));
    let output = world.command(&["publish", &lines.path, "--skip-bad"]).await;
    let stored = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stored, "4 lines stored; 3 bad lines left out\n");
    assert_eq!(output.status.code(), Some(2));
    world.has_stored(&events);
    world.settled().await;
}

#[tokio::test]
async fn a_missing_permission_is_named_and_not_retried() {
    let world = World::builder().workers(0).least_rights().start().await;
    let lines = Lines::of(&plays("p", "pl_1", 0..3));
    let (exit, said) = code(&world.command(&["publish", &lines.path]).await);
    assert!(
        said.contains("NATS does not permit this user to publish to \"plays.pl_1\""),
        "{said}"
    );
    assert!(said.contains("No line is known to be stored"), "{said}");
    assert_eq!(exit, Some(1));
    let url = world.setting("NATS_URL").replace("rolekeeper:", "app:");
    assert!(url.contains(PASSWORD), "{url}");
    let app = [("NATS_URL", url.as_str()), ("NATS_INBOX_PREFIX", "_INBOX_app")];
    let (exit, said) = code(&world.command_with(&["publish", &lines.path], &app).await);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(world.in_stream().await, 3);
}

#[tokio::test]
async fn a_full_stream_ends_the_run_at_a_named_line() {
    let world = World::builder().env("APP_EVENTS_MAX_MIB", 2).start().await;
    let padding = "x".repeat(10_000);
    let large = |n| play(&format!("n{n}"), "pl_1").with("padding", padding.as_str());
    let events: Vec<_> = (0..250).map(large).collect();
    let lines = Lines::of(&events);
    let arguments = ["publish", &lines.path, "--retry-s", "1"];
    let (exit, said) = code(&world.command(&arguments).await);
    assert!(said.contains("maximum bytes exceeded"), "{said}");
    assert_eq!(exit, Some(2), "{said}");
    let (_, next) = said.split_once("--from-line ").expect("the way on");
    let next = next.split(',').next().expect("a number");
    assert!(said.contains("All lines from 1 to"), "{said}");
    let wide = [("APP_EVENTS_MAX_MIB", "16")];
    assert!(world.command_with(&["migrate"], &wide).await.status.success());
    world.told(&["publish", &lines.path, "--from-line", next]).await;
    assert_eq!(world.in_stream().await, 250);
    world.has_stored(&events);
    world.settled().await;
}

#[tokio::test]
async fn without_nats_or_a_file_nothing_is_sent() {
    let world = World::builder().workers(0).start().await;
    let lines = Lines::of(&of_ann(3));
    let arguments = ["publish", &lines.path, "--retry-s", "1"];
    let away = [("NATS_URL", "nats://127.0.0.1:1")];
    let (exit, said) = code(&world.command_with(&arguments, &away).await);
    assert!(
        said.contains("not connected") && said.contains("--from-line 1"),
        "{said}"
    );
    assert_eq!(exit, Some(1));
    for (file, why) in [("/", "directory"), ("/missing.ndjson", "/missing.ndjson: ")] {
        let (exit, said) = code(&world.command(&["publish", file]).await);
        assert!(said.contains(why), "{said}");
        assert_eq!(exit, Some(1));
    }
    let bad = Lines::new(&[b"nonsense".to_vec()]);
    let (exit, said) = code(&world.command(&["publish", &bad.path, "--skip-bad"]).await);
    assert_eq!(exit, Some(1), "{said}");
    assert!(world.unread(&["publish", &lines.path]).await, "a closed pipe");
    assert_eq!(world.in_stream().await, 4);
}

#[tokio::test]
async fn a_device_without_an_end_is_not_read() {
    let world = World::builder().workers(0).start().await;
    for more in [&[][..], &["--skip-bad"]] {
        let (exit, said) = code(&world.command(&[&["publish", "/dev/zero"], more].concat()).await);
        assert!(
            exit == Some(1) && said.contains("/dev/zero: expected a regular file, a pipe"),
            "{said}"
        );
    }
    let zero = std::fs::File::open("/dev/zero").expect("a device");
    let (exit, said) = code(&world.command_from(&["publish", "-"], zero).await);
    assert!(
        exit == Some(1) && said.contains("standard input: expected a regular file"),
        "{said}"
    );
}
