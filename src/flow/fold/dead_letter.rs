//! The dead letter of a message that could not be read.
//!
//! Owns what the letter keeps of the message. Must never decide which message becomes one.

use crate::bus::Message;
use crate::store::DeadLetter;
use rolekeeper_domain::event::Reject;

/// The dead letter of a message that could not be read.
pub(super) fn dead_letter<'m>(message: &'m Message, reject: &Reject) -> DeadLetter<'m> {
    DeadLetter {
        seq: message.seq.cast_signed(),
        subject: message.subject(),
        reason: reject.reason,
        detail: reject.detail.clone(),
        headers: message.headers().map(ToString::to_string),
        payload: message.payload(),
        size: message.size(),
        stored_ns: message.stored_ns,
    }
}
