//! Calls of another client to the Management API.
//!
//! Owns one exchange. Must never pace or retry: the caller decides about a response.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::tenant::Tenant;

/// Longest wait for a response.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A client with its token. It keeps one connection open for consecutive calls.
#[derive(Clone, Debug)]
pub struct Management {
    http: Client,
    base: Arc<str>,
    token: Arc<str>,
}

impl Management {
    /// Fetches a token for the client with its secret.
    pub async fn connect(tenant: &Tenant, client: &str, secret: &str) -> anyhow::Result<Self> {
        // reqwest needs a TLS provider even for plain HTTP; an error means that the process already has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        let base = tenant.base_url();
        let asked = json!({
            "grant_type": "client_credentials", "client_id": client, "client_secret": secret,
            "audience": format!("{base}/api/v2/"),
        });
        let answer = http
            .post(format!("{base}/oauth/token"))
            .json(&asked)
            .send()
            .await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let token = answer["access_token"].as_str().context("no token")?;
        Ok(Self {
            http,
            base: base.into(),
            token: token.into(),
        })
    }

    /// Makes one call about one user: a read, or with `patch` a write.
    pub async fn user(&self, id: &str, patch: Option<&Value>) -> reqwest::Result<Response> {
        let method = if patch.is_some() {
            Method::PATCH
        } else {
            Method::GET
        };
        let id = id.replace('|', "%7C");
        let mut request = self
            .http
            .request(method, format!("{}/api/v2/users/{id}", self.base));
        request = request.bearer_auth(&self.token);
        if let Some(patch) = patch {
            request = request.json(patch);
        }
        request.send().await
    }
}
