//! No circle of imports: inside a package, no file may lead back to itself by way of what it uses. Owns what counts as an
//! arrow between two files; it must never count the declaration or the re-export of a child.
//!
//! Method: the files of a package are its modules. A path that starts at `crate`, `super`, `self` or a declared child is
//! followed to the file whose module it names, through imports. Unit tests are left out. It cannot see methods (a
//! method that one file calls and another defines for the same type), nor what a macro names, and it takes a module
//! inside a file for the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::paths::{flatten, is_name};
use super::text::{blank, files, words};

/// The packages: folder, and the file at its root.
const PACKAGES: &[(&str, &str)] = &[
    ("src", "lib.rs"),
    ("crates/domain/src", "lib.rs"),
    ("crates/fuzz/src", "lib.rs"),
    ("crates/models/src", "lib.rs"),
    ("crates/sandbox/src", "lib.rs"),
    ("crates/sandbox/src/bin/rolekeeper-sandbox", "main.rs"),
    ("crates/sandbox/src/bin/rolekeeper-tenant", "main.rs"),
    ("benches/pipe", "main.rs"),
    ("benches/scale", "main.rs"),
    ("benches/tenant", "main.rs"),
    ("benches/instructions/src", "lib.rs"),
];

/// The words before the path of a visibility, which is no use.
const VISIBLE_IN: [&str; 3] = ["pub", "(", "in"];

#[test]
fn no_circle_of_imports() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for (folder, top) in PACKAGES {
        let mut texts = files(&root.join(folder));
        texts.retain(|(path, _)| !path.starts_with("bin/") && !is_test(path));
        assert!(
            texts.iter().any(|(path, _)| path == top),
            "no package in {folder}"
        );
        for circle in circles(&arrows(&texts, top)) {
            faults.push(format!("{folder}: {circle:#?}"));
        }
    }
    assert!(faults.is_empty(), "circles of imports:\n{}", faults.join("\n"));
}

/// Made-up packages: files (`name: text`, `;` ends an item) | the files of the one circle, nothing for none.
const CASES: &str = "
lib.rs: mod a; mod b; | a.rs: use crate::b::B; | b.rs: struct B; =>
lib.rs: mod a; mod b; | a.rs: use crate::b::B; | b.rs: use crate::a::A; => a.rs b.rs
lib.rs: mod a; mod b; | a.rs: use super::b; | b.rs: fn f() { crate::a::f(); } => a.rs b.rs
lib.rs: mod a; mod b; mod c; | a.rs: use crate::b::B; | b.rs: use crate::c::{C, D}; | c.rs: use super::a::A; => a.rs b.rs c.rs
lib.rs: mod a; mod b; | a.rs: use crate::b::B; | b.rs: mod tests { use crate::a::A; } =>
lib.rs: mod a; mod b; | a.rs: use crate::b::B; | b.rs: // use crate::a::A; =>
lib.rs: mod a; | a/mod.rs: mod c; struct A; | a/c.rs: use super::A; =>
lib.rs: mod a; | a/mod.rs: mod c; fn f() { c::f(); } | a/c.rs: use super::A; => a/c.rs a/mod.rs
lib.rs: mod a; | a/mod.rs: mod c; use self::c::C; struct A; | a/c.rs: use crate::a::A; => a/c.rs a/mod.rs
lib.rs: mod a; | a/mod.rs: mod c; pub(crate) use c::C; struct A; | a/c.rs: use super::A; =>
lib.rs: mod a; | a/mod.rs: mod c; pub(crate) use c::C; fn f() -> C {} | a/c.rs: use super::A; => a/c.rs a/mod.rs
lib.rs: mod a; | a/mod.rs: mod c; mod d; pub use {c::C, d::D}; | a/c.rs: use super::D; | a/d.rs: use super::C; => a/c.rs a/d.rs
lib.rs: mod a; | a/mod.rs: mod c; mod d; pub use {c::C, d::D}; | a/c.rs: use super::D; | a/d.rs: =>
lib.rs: mod a; | a/mod.rs: mod c; use c::C; | a/c.rs: pub(in crate::a) struct C; =>
lib.rs: mod a; mod elsewhere; fn f() { a::f(); } | a.rs: use crate::elsewhere::E; =>
";

#[test]
fn made_up_circles_are_found() {
    for case in CASES.lines().filter(|case| !case.is_empty()) {
        let (package, expected) = case.split_once("=>").expect("a result");
        let files: Vec<(String, String)> = package
            .split(" | ")
            .filter_map(|file| file.trim().split_once(':'))
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        let found: Vec<String> = circles(&arrows(&files, "lib.rs"))
            .iter()
            .map(|circle| circle.keys().cloned().collect::<Vec<_>>().join(" "))
            .collect();
        let expected: Vec<&str> = Some(expected.trim())
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        assert_eq!(found, expected, "{case}");
    }
}

/// Each file, and the files that it uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// A file with the names that it uses.
struct File {
    path: String,
    module: Vec<String>,
    /// The modules that it declares.
    children: Vec<String>,
    /// Paths that code or a private import names.
    used: Vec<Vec<String>>,
    /// Paths that it imports or re-exports, each under its last name.
    imported: Vec<Vec<String>>,
}

fn arrows(files: &[(String, String)], top: &str) -> Arrows {
    let files: Vec<File> = files.iter().map(|(path, text)| read(path, text, top)).collect();
    let uses = |file: &File| {
        let found = file.used.iter().filter_map(|path| target(&files, path));
        found
            .filter(|used| *used != file.path)
            .map(str::to_owned)
            .collect()
    };
    files.iter().map(|file| (file.path.clone(), uses(file))).collect()
}

/// The file that holds what `path` (from the root of the package) names.
fn target<'a>(files: &'a [File], path: &[String]) -> Option<&'a str> {
    let holder = files
        .iter()
        .filter(|file| path.starts_with(&file.module))
        .max_by_key(|file| file.module.len())?;
    let name = path.get(holder.module.len());
    // A child whose file lies outside of the package (`#[path]`) is not followed.
    if name.is_some_and(|name| holder.children.contains(name)) {
        return None;
    }
    let import = holder.imported.iter().find(|import| import.last() == name);
    match import.filter(|import| import.as_slice() != path) {
        Some(import) => target(files, import),
        None => Some(&holder.path),
    }
}

fn read(path: &str, text: &str, top: &str) -> File {
    let mut words = words(&blank(text));
    if let Some(tests) = words.windows(3).position(|three| three == ["mod", "tests", "{"]) {
        words.truncate(tests);
    }
    let module = module(path, top);
    let children: Vec<String> = words
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].clone())
        .collect();
    let from_root = |path: &[String]| absolute(path, &module, &children);
    let (mut used, mut imported) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < words.len() {
        let public = at > 0 && matches!(words[at - 1].as_str(), "pub" | ")");
        if words[at] == "use" {
            let mut flat = Vec::new();
            at = flatten(&words, at + 1, &[], &mut flat);
            for path in flat.iter().filter_map(|path| from_root(path)) {
                let named = words.iter().filter(|word| Some(*word) == path.last()).count();
                imported.push(path.clone());
                if !public || named > 1 {
                    used.push(path);
                }
            }
        } else if is_name(&words[at])
            && (at == 0 || words[at - 1] != "::")
            && !words[at.saturating_sub(3)..at].iter().eq(VISIBLE_IN)
        {
            let path = path_at(&words[at..]);
            used.extend((path.len() > 1).then(|| from_root(&path)).flatten());
            at += 2 * path.len() - 1;
        } else {
            at += 1;
        }
    }
    File {
        path: path.to_owned(),
        module,
        children,
        used,
        imported,
    }
}

/// The path with which these words begin.
fn path_at(words: &[String]) -> Vec<String> {
    let mut path = vec![words[0].clone()];
    for pair in words[1..].chunks(2) {
        match pair {
            [sign, name] if sign == "::" && is_name(name) => path.push(name.clone()),
            _ => break,
        }
    }
    path
}

/// The module of the file at `path`; the root of the package is the empty one.
fn module(path: &str, top: &str) -> Vec<String> {
    if path == top {
        return Vec::new();
    }
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    module.split('/').map(str::to_owned).collect()
}

/// `path` from the root of the package; `None` if it leads out of the package.
fn absolute(path: &[String], module: &[String], children: &[String]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path[0].as_str() {
        "crate" => (&module[..0], &path[1..]),
        "self" => (module, &path[1..]),
        "super" => (&module[..module.len().checked_sub(supers)?], &path[supers..]),
        _ if children.contains(&path[0]) => (module, path),
        _ => return None,
    };
    let rest = rest.iter().filter(|name| *name != "self" && *name != "*");
    Some(base.iter().chain(rest).cloned().collect())
}

/// The circles: groups of files of which each leads to all others, with the arrows inside the group.
fn circles(arrows: &Arrows) -> Vec<Arrows> {
    let reach: Arrows = arrows
        .keys()
        .map(|file| (file.clone(), reached(arrows, file)))
        .collect();
    let mut circles: Vec<Arrows> = Vec::new();
    for (file, targets) in arrows {
        let among = |other: &String| reach[file].contains(other) && reach[other].contains(file);
        if among(file) {
            let inside: BTreeSet<String> = targets.iter().filter(|other| among(other)).cloned().collect();
            let known = circles.iter().position(|circle| circle.keys().any(among));
            let circle = known.unwrap_or_else(|| {
                circles.push(Arrows::new());
                circles.len() - 1
            });
            circles[circle].insert(file.clone(), inside);
        }
    }
    circles
}

/// All files that `from` leads to.
fn reached(arrows: &Arrows, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in &arrows[file] {
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}
