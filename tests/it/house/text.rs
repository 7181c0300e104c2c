//! The text of a Rust file as words. Owns what is blanked (comments, contents of strings) and where words end; it must
//! never need the text to compile.

use std::{fs, path::Path};

/// Cuts text into names, `::` and single signs.
pub(super) fn words(text: &str) -> Vec<String> {
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
pub(super) fn blank(text: &str) -> String {
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

/// All Rust files under `folder`: path relative to it with `/`, and text, in order.
pub(super) fn files(folder: &Path) -> Vec<(String, String)> {
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
