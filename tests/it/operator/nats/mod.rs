//! Settings of NATS: logins, TLS, JetStream, versions.

mod config;
mod jetstream;
mod login;
mod tls;
mod versions;
