//! Workers and servers that die, freeze, return or are restored.

mod crash_points;
mod late_writes;
mod postgres;
mod stop;
mod takeover;
mod term_ends;
