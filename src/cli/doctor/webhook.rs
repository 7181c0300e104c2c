//! The check of the webhook: whether a call of Auth0's log stream would arrive.
//!
//! Owns the one call, which has no token: a worker refuses it and stores nothing. Must never send a record.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::finding::{Finding, bounded};
use crate::auth0::call_webhook;
use crate::config::{DoctorConfig, Webhook};

const NAME: &str = "webhook";

pub(super) async fn check(config: &DoctorConfig) -> Vec<Finding> {
    let finding = match &config.webhook {
        Webhook::None => Finding::ok(NAME, "this worker has no webhook"),
        Webhook::Url(url) => bounded(NAME, called(url)).await,
        Webhook::Listener(address) => bounded(NAME, own(*address)).await,
    };
    vec![finding]
}

async fn called(url: &str) -> Finding {
    match call_webhook(url).await {
        Ok(status) => judged(url, status),
        Err(why) => Finding::fault(
            NAME,
            format!("{url}: {why}; check the address, its certificate and the proxy in between"),
        ),
    }
}

/// A worker that does not run yet is no fault.
async fn own(address: SocketAddr) -> Finding {
    let url = format!("http://{}/auth0/logs", reachable(address));
    match call_webhook(&url).await {
        Ok(status) => judged(&url, status),
        Err(_) => Finding::unchecked(
            NAME,
            format!(
                "no worker listens on {address} (LISTEN) here: start it, or set --webhook-url to the address that Auth0 calls"
            ),
        ),
    }
}

fn judged(url: &str, status: u16) -> Finding {
    if status == 401 {
        return Finding::ok(
            NAME,
            format!("{url} responds, and refuses a call without the token"),
        );
    }
    Finding::fault(
        NAME,
        format!(
            "{url} returned {status} instead of 401 to a call without a token: it is not the webhook of a worker; check the path and the proxy"
        ),
    )
}

/// An address that listens on all interfaces is reached on the host itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
