//! Texts about refusals of a server.
//!
//! Owns the name of a missing permission, in the form in which an operator grants it. Must never show more of a server's error
//! than a subject.

pub(super) enum Violation<'t> {
    Publish(&'t str),
    Subscription(&'t str),
}

/// Returns the subject of a server's error about a permission: `Permissions Violation for Publish to "…"`.
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

/// Returns the form of a subject that a permission names: the parts that differ for each reader or connection are wildcards.
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

/// Beginning of each text about a missing permission.
const NOT_PERMITTED: &str = "NATS does not permit this user to";

/// Returns the text about a refusal, without other parts of the reason; none where the reason is not a refusal.
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
        "{NOT_PERMITTED} subscribe to \"{subject}\", where responses arrive: grant that permission, or set \
         NATS_INBOX_PREFIX to a permitted prefix"
    )
}

/// Returns whether the operator must act: the server, or TLS, refuses the connection.
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
