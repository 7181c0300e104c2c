//! The user's app: signs up and logs in at the tenant, and calls the data API.
//!
//! Owns the format of these requests. Must never judge a token: the API does.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::tenant::APP_CLIENT;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An app, with its tenant and its API.
#[derive(Clone, Debug)]
pub struct App {
    client: Client,
    tenant: String,
    api: String,
    audience: String,
}

/// A response.
#[derive(Clone, Debug)]
pub struct AppResponse {
    /// HTTP status.
    pub status: u16,
    /// The JSON body; null without one.
    pub body: Value,
}

/// The tokens of a login.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Claims of the ID token.
    pub id: Value,
    /// The access token for the API.
    pub access: String,
}

impl App {
    /// Returns an app; `tenant` and `api` are addresses without a slash at the end.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(tenant: &str, api: &str, audience: &str) -> anyhow::Result<Self> {
        // reqwest needs a TLS provider even for plain HTTP; an error means that the process already has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build();
        Ok(Self {
            client: client.context("no HTTP client")?,
            tenant: tenant.to_owned(),
            api: api.to_owned(),
            audience: audience.to_owned(),
        })
    }

    /// Signs up with a password.
    ///
    /// # Errors
    /// The tenant does not respond.
    pub async fn sign_up(&self, email: &str, password: &str) -> anyhow::Result<AppResponse> {
        let body = json!({
            "client_id": APP_CLIENT, "connection": "Username-Password-Authentication",
            "email": email, "password": password,
        });
        let url = format!("{}/dbconnections/signup", self.tenant);
        said(self.client.post(url).json(&body)).await
    }

    /// Logs in with a password, and requests the roles in the tokens.
    ///
    /// # Errors
    /// The tenant does not respond, or refuses.
    pub async fn log_in(&self, email: &str, password: &str) -> anyhow::Result<Tokens> {
        let body = json!({
            "grant_type": "password", "client_id": APP_CLIENT, "username": email, "password": password,
            "audience": self.audience, "scope": "openid profile roles read:app write:app",
        });
        let url = format!("{}/oauth/token", self.tenant);
        let said = said(self.client.post(url).json(&body)).await?;
        let token = |name: &str| said.body[name].as_str().map(str::to_owned);
        let (id, access) = token("id_token")
            .zip(token("access_token"))
            .with_context(|| format!("no tokens: {} {}", said.status, said.body))?;
        Ok(Tokens {
            id: claims(&id).context("the ID token cannot be read")?,
            access,
        })
    }

    /// Sends a GET to the data API.
    ///
    /// # Errors
    /// The data API does not respond.
    pub async fn get(&self, tokens: &Tokens, path: &str) -> anyhow::Result<AppResponse> {
        said(self.request(Method::GET, tokens, path)).await
    }

    /// Sends a POST to the data API.
    ///
    /// # Errors
    /// The data API does not respond.
    pub async fn post(&self, tokens: &Tokens, path: &str, body: &Value) -> anyhow::Result<AppResponse> {
        said(self.request(Method::POST, tokens, path).json(body)).await
    }

    /// Sends a PUT to the data API.
    ///
    /// # Errors
    /// The data API does not respond.
    pub async fn put(&self, tokens: &Tokens, path: &str, body: &Value) -> anyhow::Result<AppResponse> {
        said(self.request(Method::PUT, tokens, path).json(body)).await
    }

    fn request(&self, method: Method, tokens: &Tokens, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.api));
        request.bearer_auth(&tokens.access)
    }
}

async fn said(request: RequestBuilder) -> anyhow::Result<AppResponse> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok(AppResponse {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    })
}

fn claims(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
