//! The labels of the metrics, and their values.
//!
//! Owns the closed sets. Their series exist from the start, since an alert on a missing series never fires. Must never
//! hold a user, a playlist, a role or an error text.

use rolekeeper_domain::display_name::NameSource;
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::race::RaceOutcome;

/// One label.
pub trait Label: Copy {
    /// Its name.
    const NAME: &'static str;

    /// The values whose series exist from the start.
    fn at_start(streams: &[&'static str]) -> Vec<Self>;

    /// All values.
    #[must_use]
    fn known(streams: &[&'static str]) -> Vec<Self> {
        Self::at_start(streams)
    }

    /// The value's text.
    fn text(self) -> &'static str;
}

/// All labels of one series.
pub trait Labels: Copy {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// The combinations whose series exist from the start.
    fn at_start(streams: &[&'static str]) -> Vec<Self>;

    /// The values' texts, in the order of the names.
    fn texts(self) -> impl AsRef<[&'static str]>;

    /// The texts of all values of each label, in the order of the names.
    fn known(streams: &[&'static str]) -> Vec<Vec<&'static str>>;
}

fn texts<L: Label>(streams: &[&'static str]) -> Vec<&'static str> {
    L::known(streams).into_iter().map(L::text).collect()
}

impl<L: Label> Labels for L {
    const NAMES: &'static [&'static str] = &[L::NAME];

    fn at_start(streams: &[&'static str]) -> Vec<Self> {
        L::at_start(streams)
    }

    fn texts(self) -> impl AsRef<[&'static str]> {
        [self.text()]
    }

    fn known(streams: &[&'static str]) -> Vec<Vec<&'static str>> {
        vec![texts::<L>(streams)]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const NAMES: &'static [&'static str] = &[A::NAME, B::NAME];

    fn at_start(streams: &[&'static str]) -> Vec<Self> {
        let second = B::at_start(streams);
        let pairs = A::at_start(streams).into_iter();
        pairs.flat_map(|a| second.iter().map(move |b| (a, *b))).collect()
    }

    fn texts(self) -> impl AsRef<[&'static str]> {
        [self.0.text(), self.1.text()]
    }

    fn known(streams: &[&'static str]) -> Vec<Vec<&'static str>> {
        vec![texts::<A>(streams), texts::<B>(streams)]
    }
}

/// A label whose series start with their first value, because 0 would be a false one, or the part may not run.
#[derive(Clone, Copy, Debug)]
pub struct Later<L>(pub L);

impl<L: Label> Label for Later<L> {
    const NAME: &'static str = L::NAME;

    fn at_start(_streams: &[&'static str]) -> Vec<Self> {
        Vec::new()
    }

    fn known(streams: &[&'static str]) -> Vec<Self> {
        L::known(streams).into_iter().map(Self).collect()
    }

    fn text(self) -> &'static str {
        self.0.text()
    }
}

/// A stream, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Stream(pub &'static str);

impl Label for Stream {
    const NAME: &'static str = "stream";

    fn at_start(streams: &[&'static str]) -> Vec<Self> {
        streams.iter().copied().map(Self).collect()
    }

    fn text(self) -> &'static str {
        self.0
    }
}

macro_rules! of_domain {
    ($($label:ty = $name:literal,)+) => {$(
        impl Label for $label {
            const NAME: &'static str = $name;

            fn at_start(_streams: &[&'static str]) -> Vec<Self> {
                Self::ALL.to_vec()
            }

            fn text(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

of_domain! {
    RoleChange = "change",
    NameSource = "source",
    RaceOutcome = "outcome",
    Reason = "reason",
}

macro_rules! labels {
    ($($(#[$about:meta])+ $label:ident($name:literal) { $($value:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $label {
            $(#[doc = concat!("`", $text, "`.")] $value,)+
        }

        impl Label for $label {
            const NAME: &'static str = $name;

            fn at_start(_streams: &[&'static str]) -> Vec<Self> {
                vec![$(Self::$value),+]
            }

            fn text(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }
    )+};
}

labels! {
    /// Response to a delivery of the log stream.
    Delivery("result") {
        Stored = "stored",
        Unauthorized = "unauthorized",
        UnsupportedEncoding = "unsupported_encoding",
        TooLarge = "too_large",
        Unavailable = "unavailable",
    }

    /// A log record in a delivery.
    Delivered("kind") { Record = "record", Unreadable = "unreadable" }

    /// A log record that the gap filler read.
    GapRecord("kind") { Missed = "missed", Known = "known", Skipped = "skipped" }

    /// A call to the Management API.
    Call("call") {
        GetUser = "get_user",
        PatchUser = "patch_user",
        SearchUsers = "search_users",
        GetLogs = "get_logs",
        GetLog = "get_log",
    }

    /// Result of such a call.
    CallResult("result") {
        Ok = "ok",
        Limited = "limited",
        Later = "later",
        Gone = "gone",
        Refused = "refused",
        Credentials = "credentials",
        Scope = "scope",
    }

    /// Kind of change that a brake holds.
    Braked("change") {
        Granted = "granted",
        Revoked = "revoked",
        Restored = "restored",
        Removed = "removed",
        Gone = "gone",
    }

    /// Outcome of a role change.
    ChangeOutcome("outcome") { Written = "written", Confirmed = "confirmed", Shadow = "shadow" }

    /// State of a display name.
    NameState("state") { Waiting = "waiting", Refused = "refused" }

    /// Treatment of a removed role.
    Treatment("outcome") { Restored = "restored", Left = "left", Pinned = "pinned", Held = "held" }

    /// State of a user in the work queue.
    QueueState("state") { Due = "due", Waiting = "waiting", Leased = "leased", Parked = "parked", Held = "held" }

    /// State of a pin.
    PinState("state") { On = "on", Off = "off" }

    /// Whether rolekeeper may revoke a role.
    Adoption("adoption") { Adopted = "adopted", Unadopted = "unadopted" }

    /// Change of a linked id.
    LinkChange("change") { Linked = "linked", Unlinked = "unlinked" }

    /// Cause of a read without a write.
    Unsent("reason") { Slow = "slow", NothingLeft = "nothing_left" }

    /// Result of a fetch of the tenant's public keys.
    KeyFetch("result") { Ok = "ok", Failed = "failed", Unusable = "unusable" }

    /// A part of the sweep, in the order in which they run. The removal of old rows is first, so that the other parts
    /// find less.
    SweepPart("part") {
        Forget = "forget",
        LeftOver = "left_over",
        Parked = "parked",
        Held = "held",
        DisplayNames = "display_names",
        Verify = "verify",
        Writes = "writes",
        Races = "races",
    }

    /// Class of a response's status.
    Status("status") { Fine = "2xx", Caller = "4xx", Ours = "5xx" }
}
