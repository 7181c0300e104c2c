//! Plain English in the text of the project: words that stand for no actor, and sentences without a subject.
//!
//! Reads comments, string literals and documents. It cannot judge a sentence; it finds words, and how lines begin.

use std::{fs, path::Path};

use super::text::files;

/// Words that name no actor; each use of one needs a reason.
const NO_ACTOR: &[&str] = &[
    "nobody", "somebody", "whoever", "anybody", "whom", "no one", "anyone", "someone",
];
const MOST_NO_ACTOR: usize = 19;
/// Relative clauses at the place of a subject.
const HEADLESS: &[&str] = &["Who", "What", "Whoever", "Those who"];

#[test]
fn few_words_name_no_actor() {
    let found: Vec<String> = texts()
        .into_iter()
        .flat_map(|(path, text)| {
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .flat_map(|(at, line)| {
                    let uses = NO_ACTOR.iter().flat_map(|word| vec![word; uses(line, word)]);
                    let line = format!("{path}:{}: {}", at + 1, line.trim());
                    uses.map(move |_| line.clone())
                })
                .collect();
            lines
        })
        .collect();
    assert!(
        found.len() <= MOST_NO_ACTOR,
        "\n{}\n{} uses, at most {MOST_NO_ACTOR}\n",
        found.join("\n"),
        found.len()
    );
}

#[test]
fn every_sentence_of_the_code_begins_with_its_subject() {
    let found: Vec<String> = texts()
        .into_iter()
        .filter(|(path, _)| Path::new(path).extension().is_some_and(|rs| rs == "rs"))
        .flat_map(|(path, text)| {
            let begun = faults(&text);
            begun.into_iter().map(move |fault| format!("{path}:{fault}"))
        })
        .collect();
    assert!(
        found.is_empty(),
        "\n{}\n{} of them\n",
        found.join("\n"),
        found.len()
    );
}

#[test]
fn the_english_test_sees_what_it_must() {
    for bad in [
        "/// Answers the number.",
        "/// Who wrote it.",
        "//! Whoever reads.",
        "// What is left.",
        "f(); // Those who wait.",
        "info!(\"who wrote: {name}\");",
        "gauge(\"Whoever asks\");",
        "// One.\n// Who waits.",
    ] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
    for good in [
        "/// Returns the number.",
        "/// Whole seconds.",
        "// The users\n// who wait",
        "// Whatever.",
        "let who = \"whose\";",
        "mod tests {\n    let title = \"what is old goes\";",
    ] {
        assert_eq!(faults(good), Vec::<String>::new(), "{good}");
    }
    assert_eq!(uses("Nobody, and nobodys; no one (anyone)", "nobody"), 1);
    assert_eq!(uses("no one else, no ones", "no one"), 1);
}

/// Comments and literals that begin without a subject, as `line: text`.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    // Titles of cases in tests are no text that an operator reads.
    let code = text
        .split("mod tests {")
        .next()
        .unwrap_or_default()
        .lines()
        .count();
    // The last comment line, while the comment may go on.
    let mut before: Option<&str> = None;
    for (at, line) in text.lines().enumerate() {
        let comment = comment(line);
        if let Some((said, is_doc)) = comment {
            // A sentence begins where the comment does, or after the end of another one.
            let begins =
                before.is_none_or(|before| before.is_empty() || before.ends_with(['.', '!', '?', ':']));
            if begins && (headless(said, false) || is_doc && starts_with_word(said, "Answers")) {
                faults.push(format!("{}: {}", at + 1, line.trim()));
            }
        } else if at < code
            && line
                .split('"')
                .skip(1)
                .step_by(2)
                .any(|literal| headless(literal, true))
        {
            faults.push(format!("{}: {}", at + 1, line.trim()));
        }
        before = comment.map(|(said, _)| said);
    }
    faults
}

/// The text of the comment on the line, and whether it is one of the documentation.
fn comment(line: &str) -> Option<(&str, bool)> {
    let trimmed = line.trim_start();
    for mark in ["///", "//!"] {
        if let Some(said) = trimmed.strip_prefix(mark) {
            return Some((said.trim(), true));
        }
    }
    let (code, said) = line.split_once("// ")?;
    (code.matches('"').count() % 2 == 0).then(|| (said.trim(), false))
}

/// Log lines begin with a small letter: there one word is enough if another one follows.
fn headless(said: &str, any_case: bool) -> bool {
    HEADLESS.iter().any(|word| {
        let small = word.to_lowercase();
        starts_with_word(said, word) || any_case && starts_with_word(said, &small) && said.contains(' ')
    })
}

fn starts_with_word(said: &str, word: &str) -> bool {
    said.strip_prefix(word)
        .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}

/// How often the word, or the two words, stand in the line, in any case.
fn uses(line: &str, word: &str) -> usize {
    let line = line.to_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .filter(|(at, _)| !line[..*at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
        .count()
}

/// The texts of `src/`, `crates/` and `docs/`: path and content.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in [
        "src",
        "crates/domain/src",
        "crates/fuzz/src",
        "crates/models/src",
        "crates/sandbox/src",
    ] {
        let found = files(&root.join(folder));
        texts.extend(
            found
                .into_iter()
                .map(|(path, text)| (format!("{folder}/{path}"), text)),
        );
    }
    for entry in fs::read_dir(root.join("docs")).expect("the documents") {
        let path = entry.expect("an entry of the folder").path();
        if path.extension().is_some_and(|md| md == "md") {
            let name = format!("docs/{}", path.file_name().unwrap_or_default().to_string_lossy());
            texts.push((name, fs::read_to_string(path).expect("a text file")));
        }
    }
    assert!(texts.len() > 100, "few texts to read");
    texts
}
