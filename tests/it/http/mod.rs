//! The listeners: connections, the webhook, and the data API.

mod connections;
mod data_api;
mod webhook;
