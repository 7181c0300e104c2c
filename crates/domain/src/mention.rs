//! Whether a message that cannot be parsed names a user.
//!
//! Owns where an id begins and ends in text, JSON and URLs. Must never take the beginning or the end of another id for the id.

/// Characters of ids in a URL, by their two digits: `|`, `-`, `.`, `@`, `_` and `+`.
const IN_URLS: [&[u8; 2]; 6] = [b"7c", b"2d", b"2e", b"40", b"5f", b"2b"];

/// Whether the text has this spelling of an id, and no longer id in its place.
#[must_use]
pub fn names(text: &[u8], id: &[u8]) -> bool {
    if id.is_empty() {
        return false;
    }
    let mut from = 0;
    while let Some(found) = text[from..].windows(id.len()).position(|part| part == id) {
        let at = from + found;
        if begins(&text[..at]) && ends(&text[at + id.len()..]) {
            return true;
        }
        from = at + 1;
    }
    false
}

/// Whether an id may begin after this text.
fn begins(before: &[u8]) -> bool {
    let [.., last] = before else {
        return true;
    };
    if is_in_url(before.last_chunk()) {
        return false;
    }
    // An escape of JSON is no part of an id: a line's end, or a character by its number.
    let escaped = match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] | [.., b'\\', b'u', _, _, _, _] => true,
        // The same of a URL: `%22` or `%2F` before the id.
        [.., b'%', one, two] => one.is_ascii_hexdigit() && two.is_ascii_hexdigit(),
        _ => false,
    };
    escaped || !(last.is_ascii_alphanumeric() || b"_-.@|+".contains(last))
}

/// Whether an id may end before this text. A full stop ends a sentence unless the id goes on.
fn ends(after: &[u8]) -> bool {
    match after {
        [] => true,
        [b'.' | b'@' | b'+', next, ..] => !next.is_ascii_alphanumeric(),
        [b'%', ..] => !is_in_url(after.first_chunk()),
        [next, ..] => !(next.is_ascii_alphanumeric() || b"_-|".contains(next)),
    }
}

fn is_in_url(code: Option<&[u8; 3]>) -> bool {
    code.is_some_and(|[percent, digits @ ..]| {
        *percent == b'%' && IN_URLS.contains(&&digits.map(|digit| digit.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_id_is_found_as_a_whole_and_not_as_a_part_of_another() {
        for (text, id, named) in [
            (r#"{"user_id":"google-oauth2|7"}"#, "google-oauth2|7", true),
            (r#"{"user_id":"google-oauth2|77"}"#, "google-oauth2|7", false),
            ("google-oauth2|77, google-oauth2|7", "google-oauth2|7", true),
            ("auth0|someone", "auth0", false),
            ("samlp|acme|bob@x.org", "samlp|acme|bob", false),
            ("samlp|acme|bob.", "samlp|acme|bob", true),
            ("samlp|acme|bob.b", "samlp|acme|bob", false),
            ("xsamlp|acme", "samlp|acme", false),
            (
                "user_id: 6132829445244d0069782a78. ",
                "6132829445244d0069782a78",
                true,
            ),
            ("/api/v2/users/auth0%7Cx/roles", "auth0%7Cx", true),
            ("/api/v2/users/auth0%7Cx%2Dy", "auth0%7Cx", false),
            ("?q=%22auth0%7Cx%22&a", "auth0%7Cx", true),
            ("a%7Cauth0%7Cx", "auth0%7Cx", false),
            (r"first\nauth0|x", "auth0|x", true),
            (r"\u0022auth0|x\u0022", "auth0|x", true),
            ("auth0|x", "auth0|x", true),
            ("", "auth0|x", false),
            ("auth0|x", "", false),
        ] {
            assert_eq!(names(text.as_bytes(), id.as_bytes()), named, "{id} in {text}");
        }
    }
}
