//! What a server's refusal is about, in words.
//!
//! Owns how a missing permission is named: as an operator grants it. Must never show more of a server's error than a subject.

pub(super) enum Violation<'t> {
    Publish(&'t str),
    Subscription(&'t str),
}

/// What a server's error is about, if it is about a permission: `Permissions Violation for Publish to "…"`.
pub(super) fn violation(text: &str) -> Option<Violation<'_>> {
    let rest = text.strip_prefix("Permissions Violation for ")?;
    let (what, subject) = rest.split_once('"')?;
    let subject = subject.split('"').next()?;
    Some(if what.starts_with("Publish to") {
        Violation::Publish(subject)
    } else if what.starts_with("Subscription") {
        Violation::Subscription(subject)
    } else {
        return None;
    })
}

/// A subject as a permission names it: without what is made anew for each reader or connection.
pub(super) fn general(subject: &str, inbox_prefix: &str) -> String {
    if !inbox_prefix.is_empty() && subject.starts_with(inbox_prefix) {
        return format!("{inbox_prefix}.>");
    }
    let tokens = subject.split('.').map(|token| {
        if token.starts_with("rolekeeper-") {
            "*"
        } else {
            token
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// How each of our sentences about a permission begins.
const NOT_PERMITTED: &str = "NATS does not permit this user to";

/// What of a reason is a refusal, in words that hold nothing else of it; none where it is no refusal.
pub(super) fn refusal(why: &str) -> Option<String> {
    if why.starts_with(NOT_PERMITTED) {
        return Some(why.to_owned());
    }
    let lower = why.to_lowercase();
    let of = |refused: &str| format!("NATS refuses {refused}; the log has the reason");
    if lower.contains("authorization") || lower.contains("authentication") {
        Some(of("the login (authorization violation)"))
    } else {
        needs_a_person(why).then(|| of("the connection, or its certificate is not trusted"))
    }
}

pub(super) fn no_publish(subject: &str) -> String {
    format!("{NOT_PERMITTED} publish to \"{subject}\": grant that permission")
}

pub(super) fn no_inbox(subject: &str) -> String {
    format!(
        "{NOT_PERMITTED} subscribe to \"{subject}\", where responses come: grant that permission, or set \
         NATS_INBOX_PREFIX to what is granted"
    )
}

/// Whether waiting is of no use: the server, or TLS, says no.
pub(super) fn needs_a_person(why: &str) -> bool {
    [
        "authorization",
        "authentication",
        "signing nonce",
        "certificate",
        "TLS",
        "tls",
        "fatal alert",
    ]
    .iter()
    .any(|part| why.contains(part))
}

#[cfg(test)]
mod tests {
    use super::violation;

    #[test]
    fn other_errors_are_no_violation() {
        for text in [
            "Permissions Violation",
            "Permissions Violation for Publish",
            "\"",
            "",
        ] {
            assert!(violation(text).is_none(), "{text}");
        }
    }
}
