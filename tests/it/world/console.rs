//! The console as a browser sees it: a cookie, pages and forms over HTTP.
//!
//! Owns the form of requests, written out by hand. Must never follow a redirect by itself.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, redirect};

use super::{Builder, Worker, World};

/// The token that reads.
pub(crate) const READ_TOKEN: &str = "console-read-0123456789";
/// The token that acts.
pub(crate) const OPERATOR_TOKEN: &str = "console-act-0123456789";

/// A response.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// A browser at the console of one worker.
#[derive(Debug)]
pub(crate) struct Browser {
    address: String,
    http: Client,
    pub(crate) cookie: String,
}

/// A world whose workers serve the console.
pub(crate) fn with_console() -> Builder {
    World::builder()
        .env("CONSOLE_READ_TOKEN", READ_TOKEN)
        .env("CONSOLE_OPERATOR_TOKEN", OPERATOR_TOKEN)
}

impl Browser {
    /// A browser without a session.
    pub(crate) async fn at(worker: &Worker) -> Self {
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none());
        Self {
            address: format!("http://{}", worker.address("OPS_LISTEN").await),
            http: http.build().expect("a client"),
            cookie: String::new(),
        }
    }

    /// A browser with the session of an operator or a reader.
    pub(crate) async fn signed_in(worker: &Worker, name: &str, token: &str) -> Self {
        let mut browser = Self::at(worker).await;
        let answer = browser.sign_in(name, token).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    /// Sends the form to sign in, and keeps the cookie.
    pub(crate) async fn sign_in(&mut self, name: &str, token: &str) -> Shown {
        let form = [("name", name), ("token", token), ("next", "/console/queue")];
        let answer = self.post("/console/sign-in", &form).await;
        if let Some(cookie) = answer.header(SET_COOKIE.as_str()) {
            self.cookie = cookie.split(';').next().expect("a pair").to_owned();
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        self.send(self.http.get(format!("{}{path}", self.address))).await
    }

    /// A page that must be shown.
    pub(crate) async fn page(&self, path: &str) -> String {
        let shown = self.get(path).await;
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        shown.text
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Shown {
        self.try_post(path, form).await.expect("a response")
    }

    /// The same for a worker that may die: none without a response.
    pub(crate) async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> Option<Shown> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = self.http.post(format!("{}{path}", self.address));
        let kind = "application/x-www-form-urlencoded";
        self.try_send(request.header("content-type", kind).body(body))
            .await
    }

    async fn send(&self, request: RequestBuilder) -> Shown {
        self.try_send(request).await.expect("a response")
    }

    async fn try_send(&self, request: RequestBuilder) -> Option<Shown> {
        let answer = request.header(COOKIE, &self.cookie).send().await.ok()?;
        Some(Shown {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.ok()?,
        })
    }
}

impl Shown {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a text"))
    }

    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION.as_str()).unwrap_or_default()
    }
}

/// The value of a field of the first form with this action.
pub(crate) fn field(page: &str, action: &str, name: &str) -> String {
    let form = page.split(&format!("action=\"{action}\"")).nth(1);
    let form = form.unwrap_or_else(|| panic!("no form {action} in {page}"));
    let value = form.split(&format!("name=\"{name}\" value=\"")).nth(1);
    let value = value.unwrap_or_else(|| panic!("no field {name} in {form}"));
    value.split('"').next().unwrap_or_default().to_owned()
}
