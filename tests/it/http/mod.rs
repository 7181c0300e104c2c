//! The listeners: connections, the webhook, and the data API.

mod connections;
mod console;
mod data_api;
mod webhook;
