//! The output of `list` and `show`, and the effects of `discard`.

use serde_json::Value;

use super::{WAITING, letters};
use crate::world::events::{play, poison};
use crate::world::{World, text};

fn bad(id: &str, payload: impl Into<Vec<u8>>) -> crate::world::events::Sent {
    poison(id, "pl_1", payload, "not_json")
}

/// Letters that were handled since the last statistics.
const HANDLED: &str = "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at)
    SELECT 'APP_EVENTS', n, 'plays.7', 'not_json', 'odd', '{', 1, now() FROM generate_series(100000, 120000) AS n;
    ANALYZE dead_letters;
    UPDATE dead_letters SET handled = 'discarded', handled_at = now() WHERE stream_seq >= 100000";
const SCANS: &str =
    "SELECT (seq_scan + idx_scan)::bigint FROM pg_stat_user_tables WHERE relname = 'dead_letters'";
const READ: &str =
    "SELECT (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables WHERE relname = 'dead_letters'";

#[tokio::test]
async fn a_list_reads_no_handled_letters() {
    let world = World::start().await;
    letters(&world, &[bad("a", "a"), bad("b", "b")]).await;
    world.run_sql(HANDLED).await;
    for list in [
        &["list"][..],
        &["list", "--stream", "APP_EVENTS", "--reason", "not_json"],
    ] {
        let (scans, before) = (world.number(SCANS).await, world.number(READ).await);
        let said = world.told(&[&["dead-letters"], list].concat()).await;
        assert!(said.contains("APP_EVENTS 1  "), "{said}");
        let reported = async || world.number(SCANS).await > scans.map(|scans| scans + 1);
        world.eventually("the session has reported", reported).await;
        let read = world.number(READ).await.unwrap_or_default() - before.unwrap_or_default();
        assert!(read < 1_000, "{read} rows were read");
    }
}

#[tokio::test]
async fn letters_are_listed_page_by_page_with_their_number() {
    let world = World::start().await;
    let odd = play("p-odd", "pl_1").with("type", "odd").poisoned("unknown_type");
    letters(&world, &[bad("a", "a"), bad("b", "b"), odd, bad("c", "c")]).await;
    let all = world.told(&["dead-letters", "list"]).await;
    assert!(
        all.contains("unknown_type") && all.contains("APP_EVENTS 4  "),
        "{all}"
    );
    let list = [
        "dead-letters",
        "list",
        "--reason",
        "not_json",
        "--json",
        "--limit",
        "2",
    ];
    let first = world.command(&list).await;
    let page = |output: &std::process::Output| -> Vec<i64> {
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .map(|line| line["seq"].as_i64().expect("a number"))
            .collect()
    };
    assert_eq!(page(&first), [1, 2]);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    let after = said.trim().rsplit(' ').next().expect("the next key");
    let second = world.command(&[&list[..], &["--after", after]].concat()).await;
    assert_eq!(page(&second), [4], "{}", text(&second));
    let counts = world.told(&["dead-letters", "list", "--counts", "--json"]).await;
    let not_json =
        r#"{"found":3,"reason":"not_json","stream":"APP_EVENTS","waiting":3,"waiting_capped":false}"#;
    assert!(counts.contains(not_json), "{counts}");
}

#[tokio::test]
async fn a_number_of_many_letters_is_marked_as_cut() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql(
            "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at)
             SELECT 'APP_EVENTS', n, 'plays.1', 'not_json', 'd', 'x', 1, now() FROM generate_series(1, 10001) AS n;
             INSERT INTO dead_letter_totals VALUES ('APP_EVENTS', 'not_json', date_trunc('hour', now()), 20000)",
        )
        .await;
    let counts = world.told(&["dead-letters", "list", "--counts"]).await;
    assert!(counts.contains("10000+") && counts.contains("20000"), "{counts}");
    let json = world.told(&["dead-letters", "list", "--counts", "--json"]).await;
    assert!(
        json.contains(r#""waiting":10000,"waiting_capped":true"#),
        "{json}"
    );
}

#[tokio::test]
async fn a_letter_is_shown_without_an_effect_on_the_terminal() {
    let world = World::start().await;
    letters(&world, &[bad("a", &b"{\x1b[2J\xff it's\n"[..])]).await;
    let shown = world.told(&["dead-letters", "show", "APP_EVENTS", "1"]).await;
    assert!(shown.contains(r"{\u{1b}[2J\xff it's\n"), "{shown}");
    let by = world.rows("SELECT name FROM workers").await;
    let by = by[0]["name"].as_str().expect("a name");
    assert!(shown.contains("not_utf8") && shown.contains(by), "{shown}");
    let json = world
        .told(&["dead-letters", "show", "APP_EVENTS", "1", "--json"])
        .await;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["payload_base64"], "extbMkr/IGl0J3MK");
    let missing = world.command(&["dead-letters", "show", "APP_EVENTS", "2"]).await;
    assert!(
        text(&missing).contains("no such dead letter"),
        "{}",
        text(&missing)
    );
}

#[tokio::test]
async fn a_discarded_letter_is_marked_and_stays() {
    let world = World::start().await;
    letters(&world, &[bad("a", "a"), bad("b", "b")]).await;
    let discard = [
        "dead-letters",
        "discard",
        "APP_EVENTS",
        "1",
        "--why",
        "sent again",
    ];
    assert!(world.told(&discard).await.contains("APP_EVENTS 1: discarded"));
    assert!(world.told(&discard).await.contains("nothing changed"));
    assert_eq!(world.number(WAITING).await, Some(1));
    let all = world.told(&["dead-letters", "list", "--all"]).await;
    assert!(all.contains("(discarded)"), "{all}");
    let acts = world
        .rows("SELECT arguments, why, outcome FROM operator_acts WHERE command = 'dead-letters discard'")
        .await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(
        (&acts[0]["why"], &acts[0]["outcome"]),
        (&"sent again".into(), &"discarded 1".into())
    );
    let missing = world
        .command(&["dead-letters", "discard", "APP_EVENTS", "9", "--why", "x"])
        .await;
    assert!(
        !missing.status.success() && text(&missing).contains("no such"),
        "{}",
        text(&missing)
    );
}
