//! The style, the script and the icon of the console, in the binary.
//!
//! Owns them and their version, which changes with their content. Must never need a file, a build step or another host.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest([STYLE, SCRIPT].concat());
    URL_SAFE_NO_PAD.encode(&digest[..9])
});

/// The version in the addresses of style and script.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// Responds with one of them; a browser keeps it while its version stays.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_assets_together_are_small_and_name_no_other_host() {
        let all = [STYLE, SCRIPT, ICON].concat();
        assert!(all.len() < 150 << 10, "{} bytes", all.len());
        let hosts = all.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !hosts.contains("http:") && !hosts.contains("https:"),
            "an address of another host"
        );
    }
}
