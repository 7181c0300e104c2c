//! Keeps the floors: which part of the three packages may use which other part and which crates, and a few rules of the
//! house that no lint knows. It owns the two tables below and reads text only; it must never need the code to compile.
//! That `crates/domain` names no crate with IO in it, and that `crates/sandbox` does not know the worker, their manifests
//! say, and these are checked here.
//!
//! Method: comments and the contents of strings are blanked, the rest is cut into words and signs, `use` trees are
//! flattened, and every path that starts at `crate`, at a `super` that reaches the root, or at a crate's name is looked
//! up. It cannot see a type that reaches a floor as a value or through a re-export under another name, and names built
//! by macros.

use std::{fs, path::Path};

const GROUND: &[&str] = &["clock", "config", "lifecycle", "metrics", "telemetry"];
const ADAPTERS: &[&str] = &["auth0", "bus", "store"];

/// What a part may use besides itself and `crates/domain`, which all parts of `src/` may use; `None` for a part that has no
/// floor.
fn may_use(part: &str) -> Option<Vec<&'static str>> {
    Some(match part {
        "domain" | "sandbox" | "clock" | "config" | "lifecycle" | "metrics" | "telemetry" => vec![],
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
    ("hyper", &["http/"]),
    ("hyper_util", &["http/"]),
    ("prometheus", &["metrics/"]),
    ("clap", &["config.rs", "config/", "cli/"]),
    ("backoff", &["flow/backoff.rs"]),
];

/// The dependencies that `crates/domain` may have: data and arithmetic, nothing that reads a clock, a die or the world.
const PURE: &[&str] = &[
    "arrayvec",
    "bytes",
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

const MAX_LINES: usize = 400;
const MAX_MAIN_LINES: usize = 25;

#[test]
fn every_file_keeps_its_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut faults, mut parts) = (Vec::new(), Vec::new());
    for (folder, prefix) in [
        ("src", ""),
        ("crates/domain/src", "domain/"),
        ("crates/sandbox/src", "sandbox/"),
    ] {
        for (path, text) in files(&root.join(folder)) {
            let path = format!("{prefix}{path}");
            // Unit tests may read samples and serve scripted answers.
            if path.ends_with("/tests.rs") || path.contains("/tests/") {
                continue;
            }
            let both = floor_faults(&path, &text).into_iter();
            let both = both.chain(house_faults(&path, &text, true));
            faults.extend(both.map(|fault| format!("{path}: {fault}")));
            parts.push(part(&path));
        }
    }
    for (path, text) in files(&root.join("tests")) {
        let house = house_faults(&path, &text, false).into_iter();
        faults.extend(house.map(|fault| format!("tests/{path}: {fault}")));
    }
    // A scan without any file must not pass.
    let others: &[&str] = &["domain", "flow", "http", "app", "cli", "sandbox", "main", "lib"];
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

#[test]
fn the_house_rules_see_what_they_must() {
    let long = format!("//! Long.\n{}", "\n".repeat(MAX_LINES));
    let long_main = format!("//! Long.\n{}", "\n".repeat(MAX_MAIN_LINES));
    let cases: &[(&str, &str, &str)] = &[
        ("store/users.rs", "//! Users.\nfn f() {}\n", ""),
        ("store/users.rs", "fn f() {}\n", "opens with `//!`"),
        ("store/users.rs", "//! Users.\nfn f() { todo!() }\n", "`todo!`"),
        ("store/users.rs", "//! Users.\nfn f() { dbg!(1); }\n", "`dbg!`"),
        (
            "it/fold.rs",
            "//! Fold.\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n",
            "`#[ignore]`",
        ),
        (
            "it/fold.rs",
            "//! Fold.\n// todo!()\nfn f() { let a = \"dbg!\"; }\n",
            "",
        ),
        ("store/users.rs", &long, "401 lines"),
        ("main.rs", &long_main, "26 lines"),
    ];
    for (path, text, expected) in cases {
        let faults = house_faults(path, text, true);
        match *expected {
            "" => assert!(faults.is_empty(), "{path} was flagged: {faults:?}"),
            expected => assert!(
                faults.len() == 1 && faults[0].contains(expected),
                "{path}: wanted {expected}, got {faults:?}"
            ),
        }
    }
    assert!(
        house_faults("it/fold.rs", &long, false).is_empty(),
        "the length is a rule for src only"
    );
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
        if matches!(part.as_str(), "domain" | "sandbox") && head == "crate" {
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
        } else if part == "domain" && is_impure(path_used) {
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

/// The rules that do not concern floors. The length limit holds for `src/` only.
fn house_faults(path: &str, text: &str, in_src: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push("opens with `//!`: what it owns and what it must never do".to_owned());
    }
    let words = words(&blank(text));
    for three in words.windows(3) {
        match [three[0].as_str(), three[1].as_str(), three[2].as_str()] {
            [name @ ("todo" | "dbg" | "unimplemented"), "!", _] => {
                faults.push(format!("`{name}!` is left over"));
            }
            ["#", "[", "ignore"] => faults.push("`#[ignore]`: a test runs or goes".to_owned()),
            _ => {}
        }
    }
    let lines = text.lines().count();
    let most = if path == "main.rs" {
        MAX_MAIN_LINES
    } else {
        MAX_LINES
    };
    if in_src && lines > most {
        faults.push(format!("{lines} lines, at most {most}: split it by subject"));
    }
    faults
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

struct Read {
    /// Every path, its head first: `crate::…` for every path that starts at the root, in any spelling.
    paths: Vec<Vec<String>>,
    /// Names of modules of this crate, so that they do not count as crates.
    locals: Vec<String>,
}

fn read_paths(words: &[String], file_depth: usize) -> Read {
    let mut read = Read {
        paths: Vec::new(),
        locals: Vec::new(),
    };
    // Brace depths at which modules inside this file were opened.
    let mut inline: Vec<usize> = Vec::new();
    let mut braces = 0_usize;
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let next = words.get(at + 1).map_or("", String::as_str);
        let previous = if at == 0 { "" } else { words[at - 1].as_str() };
        let levels = file_depth + inline.len();
        match word {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inline.pop_if(|opened| *opened == braces);
            }
            "mod" => {
                read.locals.push(next.to_owned());
                if words.get(at + 2).is_some_and(|after| after == "{") {
                    inline.push(braces);
                }
            }
            "use" => {
                let mut flat = Vec::new();
                at = flatten(words, at + 1, &[], &mut flat);
                for path in flat {
                    add(&mut read, path, levels, true);
                }
                continue;
            }
            "crate" if previous == "extern" => read.paths.push(vec![next.to_owned()]),
            _ if is_name(word) && next == "::" && (previous != "::" || !starts_in_middle(words, at)) => {
                let mut path = vec![word.to_owned()];
                while words.get(at + 1).is_some_and(|sign| sign == "::")
                    && words.get(at + 2).is_some_and(|name| is_name(name))
                {
                    path.push(words[at + 2].clone());
                    at += 2;
                }
                add(&mut read, path, levels, false);
            }
            _ => {}
        }
        at += 1;
    }
    read
}

/// Returns true if the `::` before the word at `at` continues a path (`a::b`, `<T>::b`) instead of starting one
/// (`::b`).
fn starts_in_middle(words: &[String], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at].as_str());
    match before(2) {
        ">" => before(3) != "-",
        "as" | "dyn" | "impl" | "in" | "mut" | "return" => false,
        name => is_name(name),
    }
}

/// Records a path under its head: supers that reach the root become `crate`, shorter ones are this floor's own.
fn add(read: &mut Read, mut path: Vec<String>, levels: usize, imported: bool) {
    let supers = path
        .iter()
        .take_while(|name| *name == "super" || *name == "self")
        .filter(|name| *name == "super");
    let supers = supers.count();
    let relative = matches!(path[0].as_str(), "self" | "super" | "crate");
    if supers > 0 && supers >= levels {
        let rest = path
            .iter()
            .skip_while(|name| *name == "super" || *name == "self")
            .cloned();
        path = std::iter::once("crate".to_owned()).chain(rest).collect();
    }
    if imported
        && relative
        && let Some(last) = path.last()
    {
        read.locals.push(last.clone());
    }
    read.paths.push(path);
}

/// Flattens the `use` tree at `at` into whole paths; returns its end. An alias is also the path's last name.
fn flatten(words: &[String], mut at: usize, stem: &[String], flat: &mut Vec<Vec<String>>) -> usize {
    let mut path = stem.to_vec();
    let mut branched = false;
    while at < words.len() {
        match words[at].as_str() {
            "{" => {
                branched = true;
                at += 1;
                while at < words.len() && words[at] != "}" {
                    at = flatten(words, at, &path, flat);
                    if words.get(at).is_some_and(|word| word == ",") {
                        at += 1;
                    }
                }
                at += 1;
            }
            "," | "}" | ";" => break,
            "as" => at += 2,
            "::" => at += 1,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    if !branched && path.len() > stem.len() {
        flat.push(path);
    }
    at
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Cuts text into names, `::` and single signs.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            words.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    words
}

/// Replaces comments by a space and string and character literals by `""`.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let literal = match first {
            '/' if rest.starts_with("//") => Some((rest.find('\n').unwrap_or(rest.len()), " ")),
            '/' if rest.starts_with("/*") => Some((block_comment(rest), " ")),
            '"' => Some((quoted(rest, '"'), "\"\"")),
            'r' if !in_word => raw_string(rest).map(|length| (length, "\"\"")),
            'b' | 'c' if !in_word && rest[1..].starts_with('r') => {
                raw_string(&rest[1..]).map(|length| (length + 1, "\"\""))
            }
            '\'' => character(rest).map(|length| (length, "\"\"")),
            _ => None,
        };
        let (length, put) = literal.unwrap_or((first.len_utf8(), &rest[..first.len_utf8()]));
        out.push_str(put);
        rest = &rest[length..];
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut open = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (open, at) = (open + 1, at + 2),
            [b'*', b'/', ..] => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"…"` or `r#"…"#`; `None` for a name that starts with r.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let inside = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// The length of `'x'` or `'\n'`; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inside = text[1..].chars();
    match inside.next()? {
        '\\' => Some(quoted(text, '\'')),
        c => (inside.next() == Some('\'')).then(|| 2 + c.len_utf8()),
    }
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

/// All Rust files under `folder`: path relative to it with `/`, and text, in order.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder of the checkout") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path
                    .strip_prefix(folder)
                    .expect("it was found below")
                    .to_string_lossy()
                    .replace('\\', "/");
                found.push((relative, fs::read_to_string(&path).expect("a text file")));
            }
        }
    }
    found.sort();
    found
}
