//! The numbers of a delivery, which its reply subject carries.
//!
//! Owns a fast path for the form in which a server sends nearly all of them. Must never read a subject otherwise than the client
//! library: each other form goes to it.

use async_nats::jetstream::Message;

use super::consumer::Consumer;
use super::streams::unix_ns;

/// Digits that always fit into 64 bits.
const MOST_DIGITS: usize = 19;

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Its number among the deliveries of the consumer, from 1 on.
    pub(super) delivery: u64,
    /// Its sequence in the stream.
    pub(super) seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub(super) stored_ns: i64,
    /// Messages after it in the stream.
    pub(super) pending: u64,
}

/// Reads the numbers of one consumer's deliveries.
pub(super) struct Deliveries {
    prefix: String,
}

impl Deliveries {
    pub(super) fn of(consumer: &Consumer) -> Self {
        Self {
            prefix: format!("$JS.ACK.{}.{}.", consumer.stream(), consumer.name()),
        }
    }

    /// # Errors
    /// The message has no reply subject of a delivery.
    pub(super) fn numbers(&self, message: &Message) -> Result<Numbers, String> {
        let reply = message.reply.as_deref().unwrap_or_default();
        match reply.strip_prefix(&self.prefix).and_then(plain) {
            Some(numbers) => {
                debug_assert_eq!(Some(numbers), by_library(message).ok(), "{reply}");
                Ok(numbers)
            }
            None => by_library(message),
        }
    }
}

fn by_library(message: &Message) -> Result<Numbers, String> {
    let info = message.info().map_err(|error| error.to_string())?;
    Ok(Numbers {
        delivery: info.consumer_sequence,
        seq: info.stream_sequence,
        stored_ns: unix_ns(info.published),
        pending: info.pending,
    })
}

/// Parses five plain numbers with dots between them: attempts, sequence in the stream, number of the delivery, time, and messages
/// after it.
fn plain(text: &str) -> Option<Numbers> {
    let (mut numbers, mut index, mut digits) = ([0_u64; 5], 0, 0);
    for byte in text.bytes() {
        if byte.is_ascii_digit() && digits < MOST_DIGITS {
            numbers[index] = numbers[index] * 10 + u64::from(byte - b'0');
            digits += 1;
        } else if byte == b'.' && digits > 0 && index + 1 < numbers.len() {
            (index, digits) = (index + 1, 0);
        } else {
            return None;
        }
    }
    let [_, seq, delivery, stored_ns, pending] = numbers;
    (index + 1 == numbers.len() && digits > 0).then_some(Numbers {
        delivery,
        seq,
        stored_ns: stored_ns.try_into().ok()?,
        pending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_five_plain_numbers_take_the_fast_path() {
        let numbers = Numbers {
            delivery: 4,
            seq: 30,
            stored_ns: 1_764_500_000_000_000_001,
            pending: 0,
        };
        assert_eq!(plain("1.30.4.1764500000000000001.0"), Some(numbers));
        let nines = "9".repeat(MOST_DIGITS);
        let largest = plain(&format!("1.{nines}.4.1.0")).expect("it fits");
        assert_eq!(largest.seq.to_string(), nines);
        for text in [
            "",
            "1.30.4.1764500000000000001",
            "1.30.4.1764500000000000001.",
            "1.30.4.1764500000000000001.0.random",
            "1.30.4.1764500000000000001.0.5",
            "1..4.1764500000000000001.0",
            ".30.4.1764500000000000001.0",
            "1.30.4.-1764500000000000001.0",
            "1.+30.4.1764500000000000001.0",
            "1.10000000000000000000.4.1.0",
            "1.30.4.9999999999999999999.0",
            "1.30.4.1764500000000000001.0 ",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
