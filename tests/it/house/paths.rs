//! Finds the paths in Rust text: `use` trees flattened, and heads resolved as far as text tells.
//!
//! It cannot see a type that reaches a file as a value or through a re-export under another name, and names built by
//! macros.

pub(crate) struct Read {
    /// Every path, its head first: `crate::…` for every path that starts at the root, in any spelling.
    pub(crate) paths: Vec<Vec<String>>,
    /// Names of modules of this crate, so that they do not count as crates.
    pub(crate) locals: Vec<String>,
}

pub(crate) fn read_paths(words: &[String], file_depth: usize) -> Read {
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
pub(crate) fn flatten(
    words: &[String],
    mut at: usize,
    stem: &[String],
    flat: &mut Vec<Vec<String>>,
) -> usize {
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

pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}
