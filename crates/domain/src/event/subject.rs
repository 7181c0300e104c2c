//! The subject of a playlist's event in the stream.
//!
//! Owns the partition of an id, computed by the same function as the stream's subject transform. Must never accept an
//! event under the subject of another partition. The check finds faults of publishers and is no authorization.

/// Number of partitions of the stream. Changing it makes every stored message a fault.
pub const PARTITIONS: u32 = 64;

/// Partition of an id, equal to nats-server's `{{partition(64,…)}}`: 32-bit FNV-1a, modulo 64.
#[must_use]
pub fn partition(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % PARTITIONS
}

/// Whether the last token of a subject belongs to `id`: its partition, or the id itself in messages stored before the
/// stream had its transform.
pub(super) fn is_of(token: &str, id: &str) -> bool {
    if token.len() > 2 {
        return token == id;
    }
    let number = match token.as_bytes() {
        [one @ b'0'..=b'9'] => Some(u32::from(one - b'0')),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9'] => Some(u32::from(ten - b'0') * 10 + u32::from(one - b'0')),
        _ => None,
    };
    number == Some(partition(id)) || token == id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_nats_server() {
        // Values as nats-server 2.15.1 stored them.
        for (id, expected) in [("pl_42", 32), ("pl_1", 25), ("a", 44), ("0", 47)] {
            assert_eq!(partition(id), expected, "{id}");
        }
    }

    #[test]
    fn a_token_is_the_partition_or_the_id() {
        for id in ["pl_42", "7", "63", "pl_1", "x"] {
            assert!(is_of(id, id), "{id}");
            for number in 0..100 {
                let is = is_of(&number.to_string(), id);
                assert_eq!(
                    is,
                    number == partition(id) || number.to_string() == id,
                    "{number} {id}"
                );
            }
            for other in ["", "+7", "07", "pl_43", "064", "٣"] {
                assert!(!is_of(other, id), "{other} {id}");
            }
        }
    }
}
