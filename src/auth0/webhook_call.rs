//! A call of the webhook, as Auth0's log stream makes it, without its token.
//!
//! Owns the form of the call. Must never send a record nor a secret: the call shows only whether a worker responds.

use std::time::Duration;

use reqwest::{Method, Url};

use super::http::{build_http, exchange};

/// Longest time of the call.
const WITHIN: Duration = Duration::from_secs(8);

/// Calls the webhook at `url`; returns the status of the response.
///
/// # Errors
/// The address is invalid, or nothing responds there.
pub async fn call_webhook(url: &str) -> Result<u16, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let http = build_http(&url, WITHIN, None).map_err(|error| error.to_string())?;
    let request = http.request(Method::POST, url).json(&serde_json::json!([]));
    let answer = exchange(request).await.map_err(|broken| broken.detail)?;
    Ok(answer.status.as_u16())
}
