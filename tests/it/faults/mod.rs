//! Workers and servers that die, freeze, return or are restored.

mod late_writes;
mod postgres;
mod stop;
mod takeover;
mod term_ends;
