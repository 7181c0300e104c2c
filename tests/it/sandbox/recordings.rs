//! The stand-in tenant compared with recorded calls on the users of live tenants.
//!
//! Owns the replay: each recorded request is sent in its place, and the response must have the recorded status, content
//! type and body; only values that a tenant generates (ids, times, hashes) may differ. The recordings are those of
//! `$SAMPLES_DIR/http/mgmt-users-recordings.json`, extracted from the test suites of auth0/terraform-provider-auth0 and
//! auth0/go-auth0; they are not part of this project. Without the variable the test prints that and compares nothing.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;

use reqwest::Method;
use rolekeeper_sandbox::tenant::{Client, Tenant, TenantOptions};
use serde::Deserialize;
use serde_json::{Value, json};

/// One call of a live tenant.
#[derive(Deserialize)]
struct Recorded {
    /// With `file`, the name of the recording; calls of one recording are in their order.
    repo: String,
    file: String,
    id: u64,
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    code: u16,
    headers: HashMap<String, Vec<String>>,
    body: String,
}

impl Recorded {
    /// Path and query below `/api/v2`.
    fn target(&self) -> &str {
        self.request
            .url
            .split_once("/api/v2")
            .expect("a call of the Management API")
            .1
    }

    /// The user in the path, in its original spelling.
    fn user(&self) -> Option<&str> {
        let path = self.target().split('?').next().unwrap_or_default();
        path.strip_prefix("/users/")?.split('/').next()
    }

    /// `GET /users/{id}/roles`
    fn endpoint(&self) -> String {
        let path = self.target().split('?').next().unwrap_or_default();
        let path = self
            .user()
            .map_or_else(|| path.to_owned(), |user| path.replacen(user, "{id}", 1));
        format!("{} {path}", self.request.method)
    }

    /// The reason why the tenant does not have to respond as recorded; `None` for replayed calls.
    fn left_out(&self) -> Option<&'static str> {
        let body: Value = serde_json::from_str(&self.response.body).unwrap_or_default();
        match self.endpoint().split_once("{id}/") {
            Some(_) => {
                Some("the stand-in has no roles and permissions of the RBAC kind, and the worker calls none")
            }
            None if body["errorCode"] == "custom_domain_conflict" => {
                Some("the stand-in has no custom domains")
            }
            None => None,
        }
    }
}

#[tokio::test]
async fn recorded_calls_are_answered_as_recorded() {
    let Some(folder) = std::env::var_os("SAMPLES_DIR") else {
        say("recordings: SAMPLES_DIR is not set, so the stand-in tenant is held against no recording");
        return;
    };
    let file = Path::new(&folder).join("http/mgmt-users-recordings.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let recorded: Vec<Recorded> = serde_json::from_slice(&text).unwrap();

    let (mut replayed, mut left_out, mut wrong) = (0, BTreeMap::new(), vec![]);
    for recording in recorded.chunk_by(|one, next| (&one.repo, &one.file) == (&next.repo, &next.file)) {
        let mut replay = Replay::new().await;
        for call in recording {
            if let Some(why) = call.left_out() {
                *left_out.entry((call.endpoint(), why)).or_insert(0) += 1;
                continue;
            }
            replayed += 1;
            if let Err(difference) = replay.call(call).await {
                wrong.push(format!(
                    "{} {} {}: {difference}",
                    call.file,
                    call.id,
                    call.endpoint()
                ));
            }
        }
    }
    say(&format!(
        "recordings: {} of {} calls with the recorded response",
        replayed - wrong.len(),
        recorded.len()
    ));
    for ((endpoint, why), count) in &left_out {
        say(&format!("recordings: {count} x {endpoint} left out: {why}"));
    }
    assert!(replayed > 0, "nothing was replayed");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Printed to the terminal also when the test passes: the harness captures only the output of macros.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

/// One recording against a tenant of its own.
struct Replay {
    tenant: Tenant,
    http: reqwest::Client,
    token: String,
    /// Ids of the live tenant's users, mapped to the ids here.
    ids: HashMap<String, String>,
}

impl Replay {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = TenantOptions {
            clients: vec![Client::new("recorder", "secret")],
            ..TenantOptions::default()
        };
        let tenant = Tenant::start(options).await.expect("a free port");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("no TLS is needed");
        let credentials = json!({
            "grant_type": "client_credentials",
            "client_id": "recorder",
            "client_secret": "secret",
            "audience": "https://sandbox.eu.auth0.com/api/v2/",
        });
        let request = http
            .post(format!("{}/oauth/token", tenant.base_url()))
            .json(&credentials);
        let answer: Value = request
            .send()
            .await
            .expect("a response")
            .json()
            .await
            .expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Self {
            tenant,
            http,
            token,
            ids: HashMap::new(),
        }
    }

    async fn call(&mut self, recorded: &Recorded) -> Result<(), String> {
        let method = Method::from_bytes(recorded.request.method.as_bytes()).expect("a method");
        let user = recorded.user().map(|user| self.meet(user, recorded));
        let mut target = recorded.target().to_owned();
        if let (Some(written), Some(here)) = (recorded.user(), &user) {
            target = target.replacen(written, &here.replace('|', "%7C"), 1);
        }
        let mut request = self
            .http
            .request(
                method.clone(),
                format!("{}/api/v2{target}", self.tenant.base_url()),
            )
            .bearer_auth(&self.token);
        if let Some(body) = recorded.request.body.clone().filter(|body| !body.is_empty()) {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get("content-type").cloned();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        same("status", &status, &recorded.response.code)?;
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let expected = recorded.response.headers["Content-Type"].first();
        same("content type", &content_type, &expected.map(String::as_str))?;
        let (seen, expected) = (body(&text), body(&recorded.response.body));
        if method == Method::POST
            && let (Some(there), Some(here)) = (expected["user_id"].as_str(), seen["user_id"].as_str())
        {
            self.ids.insert(there.to_owned(), here.to_owned());
        }
        if method == Method::DELETE
            && let Some(here) = user
        {
            same("user afterwards", &self.tenant.user(&here), &None)?;
        }
        same("body", &self.comparable(&seen), &self.comparable(&expected))
    }

    /// The id here of a user of the live tenant. A user who was created by a call that was not recorded, and whose
    /// deletion shows the existence, is created now.
    fn meet(&mut self, written: &str, recorded: &Recorded) -> String {
        let there = written.replace("%7C", "|");
        if !self.ids.contains_key(&there) && recorded.request.method == "DELETE" {
            self.tenant.seed_user(&there, json!({})).expect("a new user");
            self.ids.insert(there.clone(), there.clone());
        }
        self.ids.get(&there).cloned().unwrap_or(there)
    }

    /// The value with every generated part replaced by its kind.
    fn comparable(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.comparable_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.comparable(item)).collect(),
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.comparable(value)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }

    fn comparable_text(&self, text: &str) -> String {
        if is_timestamp(text) {
            return "<time>".to_owned();
        }
        // With the provider (`auth0|…`) or, among the identities, without.
        let is_or_ends = |id: &str| id == text || id.split_once('|').is_some_and(|(_, own)| own == text);
        if let Some((there, _)) = self
            .ids
            .iter()
            .find(|(there, here)| is_or_ends(there) || is_or_ends(here))
        {
            let provider = if text.contains('|') { "auth0|" } else { "" };
            return format!("{provider}<id of {there}>");
        }
        match text.split_once("gravatar.com/avatar/") {
            Some((before, rest)) => format!(
                "{before}gravatar.com/avatar/<hash>{}",
                &rest[rest.len().min(32)..]
            ),
            None => text.to_owned(),
        }
    }
}

/// An empty body is null.
fn body(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| json!({"no JSON": text}))
}

/// `2026-04-22T17:49:56.235Z`
fn is_timestamp(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}\n    is  {seen:?}\n    not {expected:?}"))
}
