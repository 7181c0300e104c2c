//! The start of a bench.
//!
//! Owns the distinction between a bench and a test run.

/// Returns whether cargo runs the bench of this name as a bench; `cargo test --all-targets` does not.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("this is a measurement of minutes and not a test: run it with `cargo bench --bench {name}`");
    }
    asked
}
