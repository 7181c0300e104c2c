//! The hash of a text, and bytes that are written in hex.
//!
//! Owns their text: lower case, two digits a byte.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub type Hash = Hex<32>;
/// Random bytes that are hashed with a user id.
pub type Salt = Hex<16>;

/// Bytes that are written in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Hex<BYTES> {
    /// All bytes are 0.
    pub const ZERO: Self = Self([0; BYTES]);

    /// These bytes.
    #[must_use]
    pub fn of(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of a slice; `None` if it has another length.
    #[must_use]
    pub fn of_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const BYTES: usize> fmt::Display for Hex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const BYTES: usize> From<Hex<BYTES>> for String {
    fn from(hex: Hex<BYTES>) -> Self {
        hex.to_string()
    }
}

impl<const BYTES: usize> TryFrom<String> for Hex<BYTES> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("expected {} digits of hex in lower case", 2 * BYTES);
        let digits = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        if text.len() != 2 * BYTES || !text.as_bytes().iter().all(digits) {
            return Err(wrong());
        }
        let mut bytes = [0; BYTES];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// SHA-256 of a text.
pub(crate) fn hash(text: &str) -> Hash {
    Hash::of(Sha256::digest(text).into())
}

/// The first eight bytes of a digest, as a number that a column holds.
pub(super) fn first_bytes(digest: &[u8]) -> i64 {
    let first = digest.iter().take(8);
    first.fold(0, |hash, byte| (hash << 8) | i64::from(*byte))
}
