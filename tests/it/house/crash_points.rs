//! Every effect in `src/` has a crash point behind it, and every crash point stands behind an effect.
//!
//! Owns the list of effects and the reading of the points. Method: a function's text is cut into words; behind the words of an
//! effect the next point must come before the next effect and before the end of the function. It cannot see an effect under
//! another name, such as a method that passes on to one.

use std::path::Path;

use super::text::{blank, files, words};

/// The calls that commit a transaction, publish, purge or patch, as words. A statement on the pool commits by itself.
const EFFECTS: [&str; 8] = [
    ". commit ( )",
    ". execute ( & self . pool )",
    ". once ( DEADLINE )",
    "bus . send (",
    "bus . append (",
    "delivery . finish (",
    ". purge_before (",
    ". patch_user (",
];
/// Statements on the pool that return rows: an effect where the function's text writes.
const QUERIES: [&str; 3] = ["fetch_one", "fetch_optional", "fetch_all"];
const WRITES: [&str; 3] = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];

/// Calls that look like effects and change nothing: file, function, their number.
const NO_EFFECT: [(&str, &str, usize); 8] = [
    // Transactions that only read.
    ("flow/simulate/present.rs", "read", 1),
    ("flow/simulate/voids.rs", "find", 1),
    ("store/event_ids.rs", "partitions", 1),
    ("store/recount.rs", "partition", 1),
    ("store/role_change_chain.rs", "extend_chain", 2),
    // Names of rights.
    ("store/server.rs", "missing_rights", 1),
    // The points stand behind the callers' statements.
    ("store/pool.rs", "fetch_many", 1),
    ("store/pool.rs", "fetch_optional", 1),
];

#[test]
fn an_effect_has_a_crash_point_behind_it() {
    let mut faults = Vec::new();
    let mut unused: Vec<_> = NO_EFFECT.to_vec();
    for (path, text) in sources() {
        for (function, body) in functions(&text) {
            let found = unpaired(body);
            let known = unused
                .iter()
                .position(|(file, name, _)| (*file, *name) == (&*path, function));
            let known = known.map_or(0, |at| unused.swap_remove(at).2);
            if found.len() != known {
                faults.push(format!("{path}: {function}: {found:?}"));
            }
        }
    }
    assert!(unused.is_empty(), "no such functions: {unused:?}");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_name_of_a_crash_point_is_unique() {
    let points = points();
    assert!(points.len() > 100, "points read: {points:?}");
    let twice: Vec<_> = points.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// Functions | the faults.
const CASES: &str = r#"
fn f() { tx.commit().await?; crash_point!("a"); Ok(()) } |
fn f() { tx.commit().await?; Ok(()) } | no point behind `. commit ( )`
fn f() { if a { tx.commit().await?; } tx.commit().await?; crash_point!("a"); } | no point behind `. commit ( )`
fn f() { crash_point!("a"); } | no effect before a point
fn f() { query!("UPDATE t SET a = 1").execute(&self.pool).await?; } | no point behind `. execute ( & self . pool )`
fn f() { query!("UPDATE t SET a = 1 RETURNING a").fetch_one(&self.pool).await?; } | no point behind `fetch_one`
fn f() { query!("SELECT a FROM t").fetch_one(&self.pool).await?; } |
fn f() { // tx.commit()
 } |
fn f() { self.writer.patch_user(user, &body).await; crash_point!("a"); } |
"#;

#[test]
fn the_checker_sees_an_effect_without_a_point() {
    for case in CASES
        .replace("commit()\n", "commit()⏎")
        .lines()
        .filter(|case| !case.is_empty())
    {
        let (text, expected) = case.split_once(" |").expect("two cells");
        let faults = unpaired(&text.replace('⏎', "\n"));
        assert_eq!(faults.join(", "), expected.trim(), "{case}");
    }
}

/// All crash points, each by its module and name, in order.
pub(crate) fn points() -> Vec<String> {
    let mut points = Vec::new();
    for (path, text) in sources() {
        let module = path
            .trim_end_matches(".rs")
            .trim_end_matches("/mod")
            .replace('/', "::");
        let names = text.split("crash_point!(\"").skip(1);
        points.extend(names.map(|rest| format!("{module}::{}", rest.split('"').next().unwrap_or_default())));
    }
    points.sort();
    points
}

/// The files of the worker without tests, and without the definition of the macro.
fn sources() -> Vec<(String, String)> {
    let mut sources = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    sources.retain(|(path, _)| {
        !path.ends_with("tests.rs") && !path.contains("/tests/") && path != "crash_point.rs"
    });
    for (_, text) in &mut sources {
        text.truncate(text.find("\nmod tests {").unwrap_or(text.len()));
    }
    sources
}

/// The functions of a file: the name of each, and its text up to the next one.
fn functions(text: &str) -> Vec<(&str, &str)> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let begins = ["fn ", "pub", "async ", "const "]
            .iter()
            .any(|word| code.starts_with(word));
        if let Some((_, name)) = code.split_once("fn ").filter(|_| begins) {
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            starts.push((&name[..end.unwrap_or(0)], at));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    let bodies = starts.iter().zip(ends);
    bodies
        .map(|((name, from), to)| (*name, &text[*from..to]))
        .collect()
}

/// The effects of a function without a point behind them, and points without an effect.
fn unpaired(body: &str) -> Vec<String> {
    let words = words(&blank(body));
    let writes = WRITES.iter().any(|word| body.contains(word));
    let (mut open, mut faults) = (None, Vec::new());
    for at in 0..words.len() {
        if words[at] == "crash_point" {
            if open.take().is_none() {
                faults.push("no effect before a point".to_owned());
            }
        } else if let Some(effect) = effect(&words[at..], writes) {
            faults.extend(open.replace(effect).map(missing));
        }
    }
    faults.extend(open.map(missing));
    faults
}

fn missing(effect: &str) -> String {
    format!("no point behind `{effect}`")
}

/// The effect with which these words begin.
fn effect(words: &[String], writes: bool) -> Option<&'static str> {
    let begins = |with: &str| {
        with.split(' ')
            .zip(words)
            .filter(|(one, word)| one == word)
            .count()
            == with.split(' ').count()
    };
    let query = |name: &&&str| {
        begins(name)
            && words
                .iter()
                .skip(1)
                .take(6)
                .eq(["(", "&", "self", ".", "pool", ")"])
    };
    EFFECTS
        .iter()
        .find(|effect| begins(effect))
        .or_else(|| QUERIES.iter().filter(|_| writes).find(query))
        .copied()
}
