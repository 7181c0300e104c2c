//! Access to the console: its tokens and sessions.
//!
//! Owns the comparison of tokens, the number of tries, and how long a session lasts. Must never give a token to a browser: the cookie
//! holds a random id of a session, which ends with a sign-out, after some hours, or with the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use crate::config::ConsoleConfig;

/// Length of a session: a shift.
pub(super) const SESSION_LASTS: Duration = Duration::from_hours(12);
/// Most sessions of readers, and of operators; a new one ends the oldest of its kind.
const MOST_SESSIONS: usize = 200;
/// Wrong tokens in a row before each further try waits.
const TRIES: u32 = 10;
/// Time after which one more try is allowed. All clients share it: the listener does not know them apart behind a proxy.
const TRY_EVERY: Duration = Duration::from_secs(6);
/// Longest name of an operator, in characters.
const MOST_NAME_CHARS: usize = 100;

/// The rights of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Pages only.
    Read,
    /// Pages and acts.
    Act,
}

/// A signed-in operator.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// The name that acts are stored with.
    pub(super) name: String,
    /// The rights of the token.
    pub(super) rights: Rights,
    /// The value that each form of this session must contain.
    pub(super) form_key: String,
    began: Instant,
}

/// A sign-in that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error(
        "The token is wrong. Each worker has its own tokens, in CONSOLE_READ_TOKEN and CONSOLE_OPERATOR_TOKEN."
    )]
    Token,
    #[error("Too many wrong tokens were sent. Wait some seconds, then try again.")]
    TooMany,
    #[error(
        "The name is missing. It is stored with each act: enter at most 100 characters without control characters."
    )]
    Name,
}

/// Tokens, sessions and tries of one worker.
#[derive(Debug)]
pub(super) struct Access {
    config: ConsoleConfig,
    /// By the hash of the id in the cookie.
    sessions: Mutex<HashMap<[u8; 32], Session>>,
    tries: Mutex<Tries>,
}

/// Tries that are left.
#[derive(Debug)]
struct Tries {
    left: u32,
    counted_at: Instant,
}

impl Access {
    pub(super) fn new(config: ConsoleConfig) -> Self {
        Self {
            config,
            sessions: Mutex::default(),
            tries: Mutex::new(Tries {
                left: TRIES,
                counted_at: Instant::now(),
            }),
        }
    }

    /// Begins a session; returns the value of its cookie.
    pub(super) fn sign_in(&self, token: &str, name: &str, now: Instant) -> Result<String, Refused> {
        let name = name.trim();
        let is_name = !name.is_empty() && name.chars().count() <= MOST_NAME_CHARS;
        if !is_name || name.chars().any(char::is_control) {
            return Err(Refused::Name);
        }
        if !lock(&self.tries).is_one_left(now) {
            return Err(Refused::TooMany);
        }
        // Both are compared, so that the time does not depend on which one it is.
        let acts = is(self.config.operator.as_ref(), token);
        let reads = is(self.config.read.as_ref(), token);
        let rights = match (acts, reads) {
            (true, _) => Rights::Act,
            (false, true) => Rights::Read,
            (false, false) => {
                lock(&self.tries).failed();
                return Err(Refused::Token);
            }
        };
        let id = random();
        let session = Session {
            name: name.to_owned(),
            rights,
            form_key: random(),
            began: now,
        };
        let mut sessions = lock(&self.sessions);
        sessions.retain(|_, session| session.lasts(now));
        let same = || sessions.iter().filter(|(_, one)| one.rights == rights);
        if same().count() >= MOST_SESSIONS
            && let Some(oldest) = same().min_by_key(|(_, one)| one.began).map(|(key, _)| *key)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&id), session);
        Ok(id)
    }

    /// The session of a cookie.
    pub(super) fn session(&self, id: &str, now: Instant) -> Option<Session> {
        let sessions = lock(&self.sessions);
        sessions
            .get(&hash(id))
            .filter(|session| session.lasts(now))
            .cloned()
    }

    /// Ends the session of a cookie.
    pub(super) fn sign_out(&self, id: &str) {
        lock(&self.sessions).remove(&hash(id));
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) < SESSION_LASTS
    }

    /// Whether a form of this session has sent this value.
    pub(super) fn made(&self, form_key: &str) -> bool {
        self.form_key.as_bytes().ct_eq(form_key.as_bytes()).into()
    }
}

impl Tries {
    fn is_one_left(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.counted_at);
        let more = u32::try_from(waited.as_secs() / TRY_EVERY.as_secs()).unwrap_or(TRIES);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(TRIES);
            self.counted_at = now;
        }
        self.left > 0
    }

    fn failed(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

/// Compares hashes, in constant time: so the time does not depend on the length of the token either.
fn is(token: Option<&SecretString>, sent: &str) -> bool {
    let expected = token.map_or([0; 32], |token| hash(token.expose_secret()));
    bool::from(expected.ct_eq(&hash(sent))) && token.is_some()
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// 256 random bits.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::new(ConsoleConfig {
            read: Some("read-0123456789ab".into()),
            operator: Some("act-0123456789abc".into()),
        })
    }

    #[test]
    fn each_token_has_its_rights_and_a_cookie_that_is_not_the_token() {
        let (access, now) = (access(), Instant::now());
        for (token, rights) in [
            ("read-0123456789ab", Rights::Read),
            ("act-0123456789abc", Rights::Act),
        ] {
            let id = access.sign_in(token, " ann ", now).expect("the token is right");
            assert!(!id.contains(token) && id.len() >= 43, "{id}");
            let session = access.session(&id, now).expect("it was begun");
            assert_eq!((session.rights, session.name.as_str()), (rights, "ann"));
            assert!(session.made(&session.form_key) && !session.made(""));
            assert!(access.session(&id, now + SESSION_LASTS).is_none());
            access.sign_out(&id);
            assert!(access.session(&id, now).is_none());
        }
        assert_eq!(access.sign_in("act-0123456789abc", "\n", now), Err(Refused::Name));
    }

    #[test]
    fn wrong_tokens_are_bounded_and_right_ones_then_wait_too() {
        let (access, now) = (access(), Instant::now());
        for _ in 0..TRIES {
            assert_eq!(access.sign_in("x", "eve", now), Err(Refused::Token));
        }
        assert_eq!(
            access.sign_in("read-0123456789ab", "ann", now),
            Err(Refused::TooMany)
        );
        let later = now + TRY_EVERY;
        assert!(access.sign_in("read-0123456789ab", "ann", later).is_ok());
        assert_eq!(access.sign_in("x", "eve", later), Err(Refused::Token));
        assert_eq!(access.sign_in("x", "eve", later), Err(Refused::TooMany));
    }

    #[test]
    fn a_token_that_is_not_set_opens_nothing() {
        let access = Access::new(ConsoleConfig {
            read: Some("read-0123456789ab".into()),
            operator: None,
        });
        assert_eq!(access.sign_in("", "eve", Instant::now()), Err(Refused::Token));
    }

    #[test]
    fn sessions_are_bounded_and_readers_end_none_of_an_operator() {
        let (access, now) = (access(), Instant::now());
        let operator = access
            .sign_in("act-0123456789abc", "olga", now)
            .expect("the token is right");
        let sign_in = || {
            access
                .sign_in("read-0123456789ab", "ann", now)
                .expect("the token is right")
        };
        let ids: Vec<String> = (0..=MOST_SESSIONS).map(|_| sign_in()).collect();
        let left = ids.iter().filter(|id| access.session(id, now).is_some()).count();
        assert_eq!(left, MOST_SESSIONS);
        assert!(access.session(&operator, now).is_some());
    }
}
