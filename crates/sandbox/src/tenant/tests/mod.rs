//! Tests of the tenant over real HTTP, from its clients and its webhook.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::*;

mod access;
mod api;
mod exports;
mod faults;
mod links;
mod logs;
mod stream;

const BOUND: Duration = Duration::from_secs(10);

/// A tenant with one client, and a token of it.
struct World {
    tenant: Tenant,
    http: reqwest::Client,
    token: String,
}

impl World {
    async fn new(options: TenantOptions) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(BOUND)
            .build()
            .unwrap();
        let mut clients = vec![Client::new("worker", "secret")];
        clients.extend(options.clients.clone());
        let tenant = Tenant::start(TenantOptions { clients, ..options }).await.unwrap();
        let mut world = Self {
            tenant,
            http,
            token: String::new(),
        };
        world.token = world.token_of("worker").await;
        world
    }

    async fn plain() -> Self {
        Self::new(TenantOptions::default()).await
    }

    async fn token_of(&self, client: &str) -> String {
        let (status, answer) = self
            .ask_for_token(&json!({
                "grant_type": "client_credentials",
                "client_id": client,
                "client_secret": "secret",
                "audience": "https://sandbox.eu.auth0.com/api/v2/",
            }))
            .await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["token_type"], "Bearer");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask_for_token(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/oauth/token", self.tenant.base_url());
        let answer = self.http.post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, format!("{}/api/v2{path}", self.tenant.base_url()))
            .bearer_auth(&self.token)
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    async fn patch(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("PATCH", path, Some(body)).await
    }

    fn seeded(&self, id: &str) {
        self.tenant
            .seed_user(
                id,
                json!({"email": "a@example.com", "app_metadata": {"roles": ["dj"]}}),
            )
            .unwrap();
    }

    fn roles(&self, id: &str) -> Value {
        self.tenant.user(id).unwrap()["app_metadata"]["roles"].clone()
    }
}
