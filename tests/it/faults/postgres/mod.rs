//! Postgres in trouble: silent, shared, behind a pooler, restored.

mod connections;
mod leases;
mod pooler;
mod refusals;
mod restored;
mod sessions;
mod shared;
