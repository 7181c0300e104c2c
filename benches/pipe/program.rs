//! The worker that is measured.
//!
//! Owns its binary, its settings and the name of its template database.

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
pub(crate) const TEMPLATE: &str = "seeded";

/// Returns the settings of a worker that only folds.
pub(crate) fn settings(url: &str, nats: &str) -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", url.to_owned()),
        ("NATS_URL", nats.to_owned()),
        ("ONLY", "fold".to_owned()),
        ("LISTEN", "127.0.0.1:0".to_owned()),
        ("OPS_LISTEN", "127.0.0.1:0".to_owned()),
    ]
}
