//! The facts of an attempt that its span shows.

/// An attempt at one user, for its span.
#[derive(Clone, Copy, Debug)]
pub struct AttemptOf<'a> {
    /// The context of the event that caused it, as its fold left it in the work queue.
    pub parent: Option<&'a str>,
    /// Id of that event.
    pub event: Option<&'a str>,
    /// Failed attempts before it.
    pub failed_before: i32,
    /// Time for which the user had been due, in milliseconds.
    pub queued_ms: i64,
}
