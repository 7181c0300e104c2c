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

pub(super) fn no_publish(subject: &str) -> String {
    format!("NATS does not permit this user to publish to \"{subject}\": grant that permission")
}

pub(super) fn no_inbox(subject: &str) -> String {
    format!(
        "NATS does not permit this user to subscribe to \"{subject}\", where responses come: grant that permission, or set \
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
