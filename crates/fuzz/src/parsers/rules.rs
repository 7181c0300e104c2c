//! Rules files.

use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::rule::Versioned;

use crate::{Memory, fuzz_within};

#[test]
fn fuzz_rules_files() {
    // The parser keeps a token for each sign.
    let memory = Memory {
        bytes: 256 << 10,
        each: 1_024,
    };
    fuzz_within("rules", memory, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        let file = match Versioned::parse(text) {
            Ok(file) => file,
            Err(faults) => {
                assert!(!faults.0.is_empty());
                for fault in &faults.0 {
                    let place = ["line ", "rule ", "format ", "version: "];
                    let counted = fault.ends_with("[[rule]] in the file: write 1 to 100");
                    assert!(
                        counted || place.iter().any(|begin| fault.starts_with(begin)),
                        "{fault}"
                    );
                }
                return;
            }
        };
        // Workers compare rules by their canonical form, which is a rules file too.
        let canonical = file.rules.canonical();
        let again = Versioned::parse(&canonical).expect("the canonical form is a rules file");
        assert_eq!(again.rules.fingerprint(), file.rules.fingerprint());
        assert_eq!(again.rules.canonical(), canonical);
        let mut roles: Vec<_> = file.rules.as_slice().to_vec();
        roles.sort_by(|one, other| one.role.cmp(&other.role));
        for (one, read) in roles.iter_mut().zip(again.rules.as_slice()) {
            one.only_if.clone_from(&read.only_if);
            assert_eq!(one, read);
        }
    });
}

#[test]
fn fuzz_lists_of_forbidden_roles() {
    fuzz_within("forbidden_roles", Memory::default(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let forbidden = ForbiddenRoles::parse(&text);
        let is_none = text.trim() == "none";
        for role in text.split(',').map(str::trim).filter(|role| !role.is_empty()) {
            assert!(is_none || forbidden.has(role), "{role:?} of {text:?}");
        }
    });
}
