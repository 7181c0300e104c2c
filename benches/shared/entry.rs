//! How a bench is begun.
//!
//! Owns telling a bench that is run as one from a test run.

/// Whether cargo runs the bench of this name as one; `cargo test --all-targets` does not say so.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("a measurement of minutes, no test: run it by `cargo bench --bench {name}`");
    }
    asked
}
