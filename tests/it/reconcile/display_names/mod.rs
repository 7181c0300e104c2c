//! Display names: defaults, requested names, failed writes, and their share of the calls.

mod default;
mod failures;
mod made_again;
mod rate;
mod requested;
mod shadow;
