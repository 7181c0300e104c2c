//! Files that are not imported.

use super::{File, PLAYS, imported, plays};
use crate::world::{World, text};

#[tokio::test]
async fn nothing_of_a_file_with_bad_lines_is_counted() {
    let world = World::start().await;
    let bad = "{\"playlist_id\":\"pl_1\",\"plays\":\"many\"}\nnonsense\n";
    let long = format!("{{\"playlist_id\":\"{}\"}}\n", "x".repeat(20_000));
    let file = File::new(&(plays("i", "pl_1", 2) + bad + &long + &plays("j", "pl_1", 1)));
    let (code, said) = imported(&world, &[&file.path]).await;
    for part in [
        "line 3: wrong_type: plays: ",
        "line 4: not_json: ",
        "line 5: oversized: ",
        "3 bad lines, 3 good ones: nothing was counted. Correct or remove the bad lines",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert_eq!(
        (code, world.number("SELECT count(*) FROM imports").await),
        (Some(1), Some(0))
    );
    assert_eq!(world.number(PLAYS).await, None);
}

#[tokio::test]
async fn what_is_no_file_of_plays_is_refused() {
    let world = World::start().await;
    let table = [
        ("", "no line with plays"),
        ("playlist_id,plays\n", "no line with plays"),
        (
            "when,what\n1,2\n",
            "line 1: missing_field: playlist_id: expected a JSON object, or the names of CSV columns",
        ),
        (
            "playlist_id\npl_1\n",
            "line 1: missing_field: event_id: the first line names neither",
        ),
    ];
    let table = table.into_iter().chain([(
        "playlist_id,plays,title\npl_1,5,\"best of\npl_2,1000000,x\"\n",
        "line 2: bad_value: line: ends inside quotes",
    )]);
    for (content, why) in table {
        let (code, said) = imported(&world, &[&File::new(content).path]).await;
        assert!(code == Some(1) && said.contains(why), "{content}: {said}");
    }
    for (path, why) in [
        ("/dev/zero", "a device may have no end"),
        ("/no/file", "No such file"),
        ("/", "s a directory"),
    ] {
        let (code, said) = imported(&world, &[path]).await;
        assert!(code == Some(1) && said.contains(why), "{path}: {said}");
    }
    let (code, said) = imported(&world, &[]).await;
    assert!(code == Some(1) && said.contains("Usage:"), "{said}");
}

#[tokio::test]
async fn standard_input_counts_once_too() {
    let world = World::start().await;
    let file = File::new(&plays("i", "pl_1", 5));
    for _ in 0..2 {
        let input = std::fs::File::open(&file.path).expect("the file");
        let output = world.command_from(&["import", "-"], input).await;
        assert!(output.status.success(), "{}", text(&output));
    }
    imported(&world, &[&file.path]).await;
    assert_eq!(world.number(PLAYS).await, Some(5));
}

#[tokio::test]
async fn a_plan_of_another_database_is_refused() {
    let world = World::start().await;
    world.played("ann", 10).await;
    world.settled().await;
    let file = File::of_counts(&[("pl_ann", 200)]);
    let plan = file.plan();
    imported(&world, &[&file.path, "-o", &plan]).await;
    let apply = ["apply", plan.as_str(), "--why", "a test"];
    world.run_sql("UPDATE imports SET ended_at = NULL").await;
    let said = text(&world.command(&apply).await);
    assert!(
        said.contains("nothing was done: the import of") && said.contains("has not ended"),
        "{said}"
    );
    world
        .run_sql("DELETE FROM import_users; DELETE FROM imports")
        .await;
    let said = text(&world.command(&apply).await);
    assert!(said.contains("no import of a file with this hash"), "{said}");
}
