//! Identifies the tenant of a record.
//!
//! Owns the name of the tenant in its records, and the check whether most records name another tenant. Must never learn
//! the name from a record: the sender of a record could choose it.

use std::collections::VecDeque;

/// Auth0's own domains, whose first label is the tenant's name. A custom domain does not contain the name.
const CANONICAL: &str = ".auth0.com";
/// Number of latest records that the check covers.
const JUDGED: usize = 1_000;

/// The name of our own tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantName(String);

impl TenantName {
    /// The name as the operator wrote it; `None` if no tenant can have it.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let is_valid = (1..=63).contains(&raw.len())
            && raw
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_valid.then(|| Self(raw.to_ascii_lowercase()))
    }

    /// The name in a canonical domain, like `music` in `music.eu.auth0.com`.
    #[must_use]
    pub fn of_domain(domain: &str) -> Option<Self> {
        let host = domain.split_once("://").map_or(domain, |(_, rest)| rest);
        let host = host.split([':', '/']).next()?.to_ascii_lowercase();
        Self::parse(host.strip_suffix(CANONICAL)?.split('.').next()?)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a record with this `tenant` belongs to another tenant. A record without a tenant is accepted.
    #[must_use]
    pub fn is_other(&self, tenant: Option<&str>) -> bool {
        tenant.is_some_and(|named| !named.eq_ignore_ascii_case(&self.0))
    }
}

/// The latest records, and how many of them named another tenant.
#[derive(Debug, Default)]
pub struct LastRecords {
    others: VecDeque<bool>,
    count: usize,
}

impl LastRecords {
    /// Adds the next record.
    pub fn push(&mut self, other: bool) {
        self.others.push_back(other);
        self.count += usize::from(other);
        if self.others.len() > JUDGED {
            self.count -= usize::from(self.others.pop_front() == Some(true));
        }
    }

    /// Whether more than half of the latest records named another tenant.
    #[must_use]
    pub fn mostly_others(&self) -> bool {
        self.count > JUDGED / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_domain_names_its_tenant_and_no_other_does() {
        for (domain, name) in [
            ("music.eu.auth0.com", Some("music")),
            ("Music.auth0.com", Some("music")),
            ("https://music-dev.us.auth0.com:443", Some("music-dev")),
            ("login.example.com", None),
            ("127.0.0.1:4400", None),
            ("http://localhost:4400", None),
            ("auth0.com", None),
            (".auth0.com", None),
            ("", None),
        ] {
            let is = TenantName::of_domain(domain);
            assert_eq!(is.as_ref().map(TenantName::as_str), name, "{domain}");
        }
        let own = TenantName::parse("Music").unwrap();
        assert!(own.is_other(Some("music-dev")) && own.is_other(Some("")));
        assert!(!own.is_other(Some("MUSIC")) && !own.is_other(None));
        assert!(TenantName::parse("").is_none() && TenantName::parse("a.b").is_none());
    }

    #[test]
    fn more_than_half_of_the_last_thousand_is_most() {
        let mut last = LastRecords::default();
        (0..500).for_each(|_| last.push(true));
        assert!(!last.mostly_others());
        (0..499).for_each(|_| last.push(false));
        last.push(true);
        assert!(last.mostly_others(), "501 of 1,000");
        last.push(false);
        assert!(!last.mostly_others(), "the oldest record no longer counts");
        (0..5_000).for_each(|_| last.push(false));
        assert_eq!((last.count, last.others.len()), (0, JUDGED));
    }
}
