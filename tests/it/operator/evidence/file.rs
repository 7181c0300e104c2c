//! The file: any change of it is found without a database; the sample; and bad input.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{PERIOD, chained, lines, verified, written};
use crate::world::{World, text};

/// Changes that no worker made.
const CHANGES: &str = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
    SELECT gen_random_uuid(), 'auth0|u' || n, 'playlist_editor', 'granted', n, '{}', 0, timestamptz '2026-01-01 00:00Z' + n * interval '1 day', 'written'
    FROM generate_series(0, 39) AS n";

pub(super) async fn forty() -> World {
    let world = World::builder().workers(0).start().await;
    world.run_sql(CHANGES).await;
    world.start_worker().await;
    chained(&world).await;
    world
}

#[tokio::test]
async fn a_line_changed_removed_or_swapped_is_found() {
    let world = forty().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.ndjson");
    written(&world, &file, &[]).await;
    let whole = fs::read_to_string(&file).expect("the file");
    let lines: Vec<&str> = whole.lines().collect();
    let (mut removed, mut swapped) = (lines.clone(), lines.clone());
    removed.remove(5);
    swapped.swap(7, 8);
    let join = |lines: Vec<&str>| lines.join("\n") + "\n";
    for (changed, line) in [
        (
            whole.replacen("\"plays\":3,", "\"plays\":4,", 1),
            "line 5, change",
        ),
        (join(removed), "line 6, change"),
        (join(swapped), "line 8, change"),
        (join(lines[..41].to_vec()), "line 42: the last line is missing"),
        (join(lines[1..].to_vec()), "line 1: it is no header"),
        (whole.trim_end().to_owned(), "line 42: it has no line break"),
        (String::new(), "line 1: the last line is missing"),
        ("\u{fffd}\n".to_owned(), "line 1: it is no header"),
    ] {
        fs::write(&file, changed).expect("a changed file");
        let (code, said) = verified(&world, &file).await;
        assert!(code == Some(2) && said.contains(line), "{line}: {said}");
    }
    fs::write(&file, whole).expect("the file");
    let (code, said) = verified(&world, &file).await;
    assert!(
        code == Some(0) && said.contains("valid\n  changes  40, the content of 40"),
        "{said}"
    );
    fs::write(&file, "{\"\\u001b[2J\":1}\n").expect("a file");
    let (code, said) = verified(&world, &file).await;
    assert!(code == Some(2) && !said.contains('\u{1b}'), "{said:?}");
    let missing = folder.path().join("none");
    assert_eq!(verified(&world, &missing).await.0, Some(1));
}

#[tokio::test]
async fn a_sample_proves_the_whole_period() {
    let world = forty().await;
    let folder = tempfile::tempdir().expect("a folder");
    let [some, same] = ["some", "same"].map(|name| folder.path().join(name));
    for file in [&some, &same] {
        written(&world, file, &["--sample", "5"]).await;
    }
    let said = verified(&world, &some).await.1;
    assert!(said.contains("changes  40, the content of 5 is shown"), "{said}");
    let shown = |file| {
        let lines = lines(file).into_iter();
        let shown = lines.filter(|line| line["record"].is_object());
        shown.map(|line| line["position"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&some), shown(&same), "the operator cannot choose it");
    let february = [
        "evidence",
        "--from",
        "2026-02-01",
        "--to",
        "2026-02-10T00:00:00Z",
        "--json",
    ];
    let part = folder.path().join("part");
    fs::write(&part, world.told(&february).await).expect("a file");
    let lines = lines(&part);
    assert_eq!((lines.len(), &lines[0]["start"]["position"]), (11, &31.into()));
    assert_eq!(verified(&world, &part).await.0, Some(0), "from any row on");
    let shown = world.told(&[&PERIOD[..], &["--sample", "2"]].concat()).await;
    assert_eq!(
        shown.matches("granted playlist_editor: auth0|u").count(),
        2,
        "{shown}"
    );
}

#[tokio::test]
async fn bad_input_makes_no_file() {
    let world = World::builder().workers(0).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let there = folder.path().join("there");
    fs::write(&there, "mine").expect("a file");
    let new = folder.path().join("new").display().to_string();
    let there = there.display().to_string();
    for (arguments, said) in [
        (&["--from", "soon"][..], "--from \"soon\": expected a date"),
        (
            &["--from", "2026-02-01", "--to", "2026-01-01"],
            "expected a period that has ended",
        ),
        (
            &["--from", "2026-01-01", "--to", "2999-01-01"],
            "expected a period that has ended",
        ),
        (&["--from", "2026-01-01", "-o", &there], "the file exists already"),
        (&["--from", "2026-01-01", "-o", "/nowhere/x"], "/nowhere/x"),
        (&["--from", "2026-01-01", "--sample", "0"], "--sample"),
        (&["-o", &new], "--from"),
    ] {
        let output = world.command(&[&["evidence"], arguments].concat()).await;
        assert!(
            !output.status.success() && text(&output).contains(said),
            "{}",
            text(&output)
        );
    }
    let nowhere = [("DATABASE_URL", "postgres://nowhere:1@127.0.0.1:1/none")];
    let output = world
        .command_with(&["evidence", "--from", "2026-01-01", "-o", &new], &nowhere)
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);
    assert_eq!(fs::read_to_string(&there).expect("the file"), "mine");

    let shown = world
        .told(&["evidence", "--from", "2026-01-01", "-o", &new])
        .await;
    assert!(shown.contains("changes  0\n"), "{shown}");
    assert_eq!(verified(&world, new.as_ref()).await.0, Some(0), "an empty period");
    let mode = fs::metadata(&new).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
