//! Keeps the floors: which part of the five packages may use which other part and which crates. Owns the tables
//! below and reads text only; must never need the code to compile.
//! That `crates/domain` names no crate with IO in it, and that `crates/sandbox` does not know the worker, their manifests
//! say, and these are checked here.
//!
//! Method: comments and the contents of strings are blanked, the rest is cut into words and signs, `use` trees are
//! flattened, and every path that starts at `crate`, at a `super` that reaches the root, or at a crate's name is looked
//! up.

use super::paths::read_paths;
use super::text::{blank, files, words};
use std::{fs, path::Path};

const GROUND: &[&str] = &[
    "clock",
    "config",
    "crash_point",
    "lifecycle",
    "metrics",
    "telemetry",
    "traces",
];
const ADAPTERS: &[&str] = &["auth0", "bus", "store"];

/// What a part may use besides itself and `crates/domain`, which all parts of `src/` may use; `None` for a part that has no
/// floor.
fn may_use(part: &str) -> Option<Vec<&'static str>> {
    Some(match part {
        "domain" | "fuzz" | "models" | "sandbox" | "clock" | "config" | "crash_point" | "lifecycle"
        | "metrics" | "telemetry" | "traces" => {
            vec![]
        }
        "auth0" | "bus" | "store" => GROUND.to_vec(),
        "flow" => [GROUND, ADAPTERS].concat(),
        // Not the bus: what arrives over HTTP goes to the stream through `flow::accept`.
        "http" => [GROUND, &["auth0", "store", "flow"]].concat(),
        "app" => [GROUND, ADAPTERS, &["flow", "http"]].concat(),
        "cli" => [GROUND, ADAPTERS, &["flow", "http", "app"]].concat(),
        "main" => vec!["cli"],
        _ => return None,
    })
}

/// Crates that only one place may name: (crate, where under `src/`).
const ONE_PLACE: &[(&str, &[&str])] = &[
    ("sqlx", &["store/"]),
    ("reqwest", &["auth0/"]),
    ("async_nats", &["bus/"]),
    ("axum", &["http/"]),
    ("hyper", &["auth0/", "http/"]),
    ("hyper_util", &["http/"]),
    ("opentelemetry", &["traces/"]),
    ("opentelemetry_otlp", &["traces/"]),
    ("opentelemetry_sdk", &["traces/"]),
    ("prometheus", &["metrics/"]),
    ("clap", &["config/", "cli/"]),
    ("backoff", &["flow/backoff.rs"]),
];

/// The dependencies that `crates/domain` may have: data and arithmetic, nothing that reads a clock, a die or the world.
const PURE: &[&str] = &[
    "arrayvec",
    "bytes",
    "csv_core",
    "hmac",
    "humantime",
    "memchr",
    "percent_encoding",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "thiserror",
    "time",
    "toml",
    "uuid",
];

/// Ends of paths that read a clock or a random source although their crate is pure.
const IMPURE_ENDS: &[&str] = &[
    "Instant",
    "SystemTime",
    "now",
    "now_utc",
    "now_local",
    "now_v1",
    "now_v6",
    "now_v7",
    "new_v4",
];

/// Modules of the standard library with IO, a clock or threads in them.
const IMPURE_STD: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread"];

#[test]
fn every_file_keeps_its_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut faults, mut parts) = (Vec::new(), Vec::new());
    for (folder, prefix) in [
        ("src", ""),
        ("crates/domain/src", "domain/"),
        ("crates/fuzz/src", "fuzz/"),
        ("crates/models/src", "models/"),
        ("crates/sandbox/src", "sandbox/"),
    ] {
        for (path, text) in files(&root.join(folder)) {
            let path = format!("{prefix}{path}");
            // Unit tests may read samples and serve scripted answers.
            if path.ends_with("/tests.rs") || path.contains("/tests/") {
                continue;
            }
            faults.extend(
                floor_faults(&path, &text)
                    .into_iter()
                    .map(|fault| format!("{path}: {fault}")),
            );
            parts.push(part(&path));
        }
    }
    // A scan without any file must not pass.
    let others: &[&str] = &[
        "domain", "flow", "fuzz", "http", "app", "cli", "models", "sandbox", "main", "lib",
    ];
    for part in [GROUND, ADAPTERS, others].concat() {
        assert!(parts.iter().any(|seen| seen == part), "no `{part}` to check");
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn packages_depend_on_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |package: &str| {
        dependencies(&fs::read_to_string(root.join(package).join("Cargo.toml")).expect("a manifest"))
    };
    let impure: Vec<String> = of("crates/domain")
        .into_iter()
        .filter(|name| !PURE.contains(&name.as_str()))
        .collect();
    assert!(impure.is_empty(), "the domain depends on {impure:?}");
    // Nor does a model, or a mutation, know more of the worker than its decisions.
    for package in ["crates/models", "crates/fuzz"] {
        let mut of_the_worker = of(package);
        of_the_worker.retain(|name| name.starts_with("rolekeeper"));
        assert_eq!(of_the_worker, ["rolekeeper_domain"], "{package} knows the worker");
    }
    let sandbox = of("crates/sandbox");
    assert!(sandbox.iter().any(|name| name == "tokio"), "no manifest read");
    assert!(
        !sandbox.iter().any(|name| name.starts_with("rolekeeper")),
        "the sandbox knows the worker: {sandbox:?}"
    );
}

/// Made-up snippets: file | text (⏎ ends a line) | part of the one fault expected, nothing for none.
const SNIPPETS: &str = r##"
# Floors
store/users.rs | use crate::{clock, bus::Bus}; | `store` uses `bus`
store/users.rs | fn f() { crate::auth0::client(); } | `store` uses `auth0`
store/users.rs | use super::super::auth0; | `store` uses `auth0`
store/users.rs | mod tests { use super::super::wake; } |
store/users.rs | mod tests { use super::super::super::auth0; } | `store` uses `auth0`
store/mod.rs | use super::{clock, flow}; | `store` uses `flow`
clock.rs | use crate::config::Config; | `clock` uses `config`
metrics/mod.rs | use rolekeeper_domain::plan; |
flow/fold.rs | use crate::http::serve; | `flow` uses `http`
flow/fold.rs | use crate::{auth0, bus, clock, store}; |
http/webhook.rs | use crate::bus::Publisher; | `http` uses `bus`
http/webhook.rs | use crate::flow::accept; |
app.rs | use crate::cli::Args; | `app` uses `cli`
main.rs | fn main() { rolekeeper::app::run() } | `main` uses `app`
flow/fold.rs | use crate::*; | takes the whole crate root
helpers.rs |  | has no floor
lib.rs | pub mod helpers; | `helpers` has no floor
lib.rs | pub fn helper() {} | lib.rs declares modules and nothing else
# Crates with one place
flow/fold.rs | use sqlx::PgPool; | names the crate `sqlx`
flow/fold.rs | fn f(pool: &::sqlx::PgPool) {} | names the crate `sqlx`
flow/fold.rs | fn f() -> ::sqlx::PgPool {} | names the crate `sqlx`
flow/fold.rs | fn f() -> <T as A>::sqlx::B { crate::store::sqlx::x() } |
flow/fold.rs | use {serde::Serialize, sqlx as db}; | names the crate `sqlx`
flow/fold.rs | extern crate sqlx; | names the crate `sqlx`
store/users.rs | use sqlx::PgPool; |
auth0/client.rs | fn f() -> async_nats::Client {} | names the crate `async_nats`
flow/reconcile.rs | use backoff::ExponentialBackoff; | names the crate `backoff`
flow/reconcile.rs | use super::{accept, backoff}; fn f() { backoff::delay(1); } |
flow/mod.rs | mod backoff; fn f() { backoff::delay(1); } |
flow/reconcile.rs | use crate::flow::backoff::delay; fn f() { let backoff = 1; } |
# Purity
domain/tally.rs | fn f() { std::time::Instant::now(); } | `std::time::Instant::now`
domain/tally.rs | use std::{collections::BTreeMap, fs}; | `std::fs`
domain/tally.rs | use std::time::{Duration, SystemTime}; | `std::time::SystemTime`
domain/tally.rs | fn f() { time::OffsetDateTime::now_utc() } | `time::OffsetDateTime::now_utc`
domain/tally.rs | fn f() { Uuid::now_v7() } | `Uuid::now_v7`
domain/tally.rs | async fn f() {} | `async`
domain/tally.rs | fn f() { println!("x") } | `println!`
# What only looks like it
bus/append.rs | // use crate::store; ⏎ /* sqlx::x /* reqwest::y */ */ fn f() {} |
bus/append.rs | const A: &str = "crate::store \" reqwest::x"; const B: char = '"'; |
bus/append.rs | const A: &str = r#"reqwest::x " crate::store"#; fn f<'a>(x: &'a str) {} |
bus/append.rs | const Q: char = '\''; use crate::store; | `bus` uses `store`
"##;

#[test]
fn the_checker_sees_what_it_must() {
    for row in SNIPPETS
        .lines()
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [path, text, expected] = cells[..] else {
            panic!("three cells: {row}")
        };
        let faults = floor_faults(path, &text.replace('⏎', "\n"));
        if expected.is_empty() {
            assert!(faults.is_empty(), "{row}\nwas flagged: {faults:?}");
        } else {
            assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{row}\ngot: {faults:?}"
            );
        }
    }
}

/// What `text`, at `path` under `src/`, uses against the tables.
fn floor_faults(path: &str, text: &str) -> Vec<String> {
    let words = words(&blank(text));
    let part = part(path);
    let mut faults = Vec::new();
    if part == "lib" {
        for (at, word) in words.iter().enumerate() {
            match word.as_str() {
                "fn" | "use" | "struct" | "enum" | "impl" | "const" | "static" | "trait" | "type" => {
                    faults.push(format!("lib.rs declares modules and nothing else, not `{word}`"));
                }
                "mod" if may_use(&words[at + 1]).is_none() => {
                    faults.push(format!("`{}` has no floor", words[at + 1]));
                }
                _ => {}
            }
        }
        return faults;
    }
    let Some(mut allowed) = may_use(&part) else {
        return vec![format!(
            "`{part}` has no floor: add it to the table in design and here"
        )];
    };
    let own = part.split('/').next().unwrap_or(&part).to_owned();
    allowed.push(&own);

    let read = read_paths(&words, depth(path));
    for path_used in &read.paths {
        let head = path_used[0].as_str();
        let whole = path_used.join("::");
        if matches!(part.as_str(), "domain" | "fuzz" | "models" | "sandbox") && head == "crate" {
            continue;
        }
        if head == "crate" || head == "rolekeeper" {
            match path_used.get(1).map(String::as_str) {
                Some("*") => faults.push("takes the whole crate root: name what is used".to_owned()),
                Some(used) if !allowed.contains(&used) => {
                    faults.push(format!("`{own}` uses `{used}` (`{whole}`)"));
                }
                _ => {}
            }
            continue;
        }
        if read.locals.iter().any(|local| local == head) {
            continue;
        }
        let place = ONE_PLACE.iter().find(|(name, _)| *name == head);
        let misplaced = place.is_some_and(|(_, places)| !places.iter().any(|place| path.starts_with(place)));
        if part != "sandbox" && misplaced {
            faults.push(format!("names the crate `{head}` (`{whole}`)"));
        } else if matches!(part.as_str(), "domain" | "models") && is_impure(path_used) {
            faults.push(format!(
                "`{whole}`: the domain takes time and chance as arguments and does no IO"
            ));
        }
    }
    if part == "domain" {
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).map_or("", String::as_str);
            match word.as_str() {
                "async" | "await" => faults.push(format!("`{word}`: the domain does not wait")),
                "println" | "eprintln" | "print" | "eprint" if next == "!" => {
                    faults.push(format!("`{word}!`: the domain does not print"));
                }
                _ => {}
            }
        }
    }
    faults
}

fn is_impure(path: &[String]) -> bool {
    let std = path[0] == "std"
        && path
            .get(1)
            .is_some_and(|module| IMPURE_STD.contains(&module.as_str()));
    std || path.len() > 1 && path.iter().any(|name| IMPURE_ENDS.contains(&name.as_str()))
}

/// The part a file belongs to: its top folder or file; a package beside `src/` is one part.
fn part(path: &str) -> String {
    let top = path.split('/').next().unwrap_or(path);
    top.trim_end_matches(".rs").to_owned()
}

/// Depth of a file in modules: `app.rs` and `flow/mod.rs` 1, `flow/fold.rs` 2.
fn depth(path: &str) -> usize {
    path.trim_end_matches("/mod.rs").split('/').count()
}

/// The crates under `[dependencies]`, as code spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('#'))
        .map(|name| name.replace('-', "_"))
        .collect()
}
