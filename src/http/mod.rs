//! Listens: the webhook and the data API on the public listener, metrics and health on the ops listener.
//!
//! Owns what is served where. Must never hold a secret of Auth0's, and never answer for another stage.

pub mod api;
pub mod ops;
pub mod webhook;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until told to stop, then finishes the requests in hand.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
