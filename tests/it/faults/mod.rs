//! Workers and servers that die, freeze, return or are restored.

mod cluster;
mod crash_points;
mod late_results;
mod late_writes;
mod postgres;
mod replica;
mod soak;
mod stop;
mod takeover;
mod term_ends;
