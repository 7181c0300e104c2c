//! The keyed hash that identifies erased users.
//!
//! Owns the form of the key and of the hash. Must never show the key, nor allow a hash without it: an id is short and
//! has a known form, so a plain hash could be guessed.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use sha2::digest::generic_array::GenericArray;

/// Minimum length of a key, in bytes: the length of the hash.
pub const MIN_KEY_BYTES: usize = 32;

/// Input of the hash that identifies a key; ids are hashed with another prefix.
const CHECK: &[u8] = b"check";
const USER: &[u8] = b"user ";

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1).
pub type Hash = [u8; 32];

/// The key for the hashes of erased users.
#[derive(Clone)]
pub struct ErasureKey(Hmac<Sha256>);

impl ErasureKey {
    /// A key from its bytes; `None` if they are too few.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        let long = key.len() >= MIN_KEY_BYTES;
        Hmac::new_from_slice(key).ok().filter(|_| long).map(Self)
    }

    /// The hash of a user id.
    #[must_use]
    pub fn hash(&self, user: &str) -> Hash {
        self.digest(&[USER, user.as_bytes()])
    }

    /// Identifies this key without revealing it.
    #[must_use]
    pub fn check_value(&self) -> Hash {
        self.digest(&[CHECK])
    }

    fn digest(&self, parts: &[&[u8]]) -> Hash {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasureKey(…)")
    }
}

/// The replacement of an erased id in the audit: `erased:` and the hash in hex.
#[must_use]
pub fn pseudonym(hash: &Hash) -> String {
    format!("erased:{:x}", GenericArray::from(*hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard_and_hangs_on_the_key() {
        // The key of RFC 4231, test case 1, is shorter than our minimum; case 6, with a long key, covers its
        // arithmetic.
        let key = ErasureKey::new(&[0xaa; 131]).unwrap();
        let text: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert!(pseudonym(&key.digest(&[text])).starts_with("erased:60e431591ee0b67f0d8a26aacbf5b77f"));
        let other = ErasureKey::new(&[1; 32]).unwrap();
        assert_ne!(key.hash("auth0|1"), other.hash("auth0|1"));
        assert_ne!(key.hash("auth0|1"), key.hash("auth0|2"));
        assert_ne!(key.check_value(), key.hash(""));
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert!(ErasureKey::new(&[7; 31]).is_none());
        assert_eq!(format!("{:?}", ErasureKey::new(&[7; 32])), "Some(ErasureKey(…))");
    }
}
