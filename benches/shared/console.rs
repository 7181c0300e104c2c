//! A signed-in reader of a worker's console.
//!
//! Owns the session. Must never let a refused page pass for one that was shown.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Response, redirect};

/// The token of the worker's console, for readers.
pub(crate) const TOKEN: &str = "console-of-the-bench-0123456789";
const FORM: &str = "application/x-www-form-urlencoded";

/// One browser that is signed in.
pub(crate) struct Console {
    http: Client,
    address: String,
    cookie: String,
}

impl Console {
    /// Signs in at the ops listener `ops`.
    pub(crate) async fn sign_in(ops: &str) -> Result<Self> {
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()?;
        let address = format!("http://{ops}/console");
        let form = format!("name=bench&next=/console&token={TOKEN}");
        let signed_in = http
            .post(format!("{address}/sign-in"))
            .header("content-type", FORM)
            .body(form);
        let response = signed_in.send().await?;
        let cookie = response
            .headers()
            .get(SET_COOKIE)
            .context("no cookie")?
            .to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self {
            http,
            address,
            cookie,
        })
    }

    /// Requests a page by its path behind `/console`. Fails if it is refused.
    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        let get = self.http.get(format!("{}{path}", self.address));
        let response = get.header(COOKIE, &self.cookie).send().await?;
        ensure!(
            response.status().is_success(),
            "/console{path} is refused: {}",
            response.status()
        );
        Ok(response)
    }
}
