//! The Management API as a client without rolekeeper's care sees it.
//!
//! Owns one exchange: no pacing, no retry. Shares no code with the worker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, Method, Response};
use rolekeeper::sandbox::tenant::Tenant;
use serde_json::{Value, json};

use crate::world::SECRET;

/// A client with its token.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Client,
    base: Arc<str>,
    token: Arc<str>,
}

impl Api {
    /// Fetches a token for the client.
    pub(crate) async fn connect(tenant: &Tenant, client: &str) -> Result<Self> {
        // reqwest asks for a provider of TLS even for plain HTTP; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        let base = tenant.base_url();
        let asked = json!({
            "grant_type": "client_credentials", "client_id": client, "client_secret": SECRET,
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

    /// One call about one user: a read, or with `patch` a write.
    pub(crate) async fn user(&self, id: &str, patch: Option<&Value>) -> reqwest::Result<Response> {
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
