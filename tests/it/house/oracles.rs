//! The oracles share no code with the worker: neither they, nor the files of the world that they take from, name its packages.
//! Owns the list of oracles; must never pass without having read them.

use std::collections::BTreeSet;
use std::path::Path;

use super::paths::read_paths;
use super::text::{blank, files, words};

/// The files under `tests/it/world/` that compute what the worker should have done.
const ORACLES: [&str; 2] = ["oracle", "local_copy"];
/// The packages of the worker, as code names them.
const WORKER: [&str; 2] = ["rolekeeper", "rolekeeper_domain"];

#[test]
fn no_oracle_names_the_worker() {
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/world");
    let (mut texts, mut faults) = (Vec::new(), Vec::new());
    for (path, text) in files(&world) {
        texts.push((path.trim_end_matches(".rs").to_owned(), text));
    }
    let (mut next, mut seen) = (ORACLES.map(str::to_owned).to_vec(), BTreeSet::new());
    while let Some(name) = next.pop().filter(|_| seen.len() < 100) {
        let Some((_, text)) = texts.iter().find(|(other, _)| *other == name) else {
            assert!(!ORACLES.contains(&name.as_str()), "no oracle `{name}` to check");
            continue;
        };
        if seen.insert(name.clone()) {
            let used = uses(text);
            faults.extend(
                used.worker
                    .into_iter()
                    .map(|path| format!("{name}.rs: names `{path}`")),
            );
            next.extend(used.world);
        }
    }
    assert!(
        seen.contains("events") && seen.contains("persons"),
        "followed: {seen:?}"
    );
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// What a file takes from elsewhere.
#[derive(Debug, Default, PartialEq)]
struct Used {
    /// Paths into the packages of the worker.
    worker: Vec<String>,
    /// Files of the world.
    world: Vec<String>,
}

fn uses(text: &str) -> Used {
    let mut used = Used::default();
    for path in read_paths(&words(&blank(text)), 2).paths {
        match path[0].as_str() {
            head if WORKER.contains(&head) => used.worker.push(path.join("::")),
            "crate" if path.len() > 2 && path[1] == "world" => used.world.push(path[2].clone()),
            _ => {}
        }
    }
    used
}

#[test]
fn the_checker_sees_the_worker_in_every_spelling() {
    for (text, worker, world) in [
        ("use rolekeeper_domain::{event, ids::UserId};", 2, 0),
        ("fn f() { rolekeeper::store::f() }", 1, 0),
        ("use ::rolekeeper_domain as d;", 1, 0),
        (
            "// use rolekeeper_domain::event;\nconst A: &str = \"rolekeeper::x\";",
            0,
            0,
        ),
        ("use rolekeeper_sandbox::tenant::Tenant;", 0, 0),
        ("use crate::world::{World, events::Sent, persons::ids_of};", 0, 3),
    ] {
        let used = uses(text);
        assert_eq!(
            (used.worker.len(), used.world.len()),
            (worker, world),
            "{text}: {used:?}"
        );
    }
}
