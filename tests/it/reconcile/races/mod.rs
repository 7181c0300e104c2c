//! Writes of another client to the same roles at the same time.

mod ends;
mod forgeries;
mod rules;
mod storms;
mod writes;
