//! The data API from the app's side: a key server that signs tokens, and a worker that only listens.
//!
//! Owns the keys of the tests. The tests build tokens by hand and sign them with ring, so that a token can be wrong in
//! every way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::world::key_pair::KeyPair;
use crate::world::{Builder, Worker, World};

/// The user of most requests.
pub(crate) const ANNA: &str = "auth0|anna";
/// The `aud` that the worker requires.
pub(crate) const AUDIENCE: &str = "https://api.music.example";
/// Seconds between two fetches of keys.
pub(crate) const COOL_DOWN: Duration = Duration::from_secs(1);

/// A key that signs.
pub(crate) enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl SigningKey {
    pub(crate) fn rsa() -> Self {
        let pem = KeyPair::new();
        let der = PrivatePkcs8KeyDer::from_pem_file(pem.file()).expect("PKCS#8 by openssl");
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key by openssl");
        Self::Rsa(Box::new(pair))
    }

    pub(crate) fn ec() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random);
        Self::Ec(Box::new(pair.expect("the key just made")))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    /// Modulus and exponent, or the two coordinates.
    pub(crate) fn numbers(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Rsa(pair) => {
                let public: PublicKeyComponents<Vec<u8>> = pair.public().into();
                (public.n, public.e)
            }
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                (point[1..33].to_vec(), point[33..].to_vec())
            }
        }
    }

    fn jwk(&self, id: &str) -> Value {
        let (first, second) = self.numbers();
        let (first, second) = (encoded(&first), encoded(&second));
        match self {
            Self::Rsa(_) => {
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": first, "e": second})
            }
            Self::Ec(_) => {
                json!({"kty": "EC", "use": "sig", "crv": "P-256", "kid": id, "x": first, "y": second})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Self::Ec(pair) => pair
                .sign(&random, message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
        }
    }

    /// A token with these parts, signed.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        format!("{message}.{}", encoded(&self.sign(message.as_bytes())))
    }

    /// The header of a valid token.
    pub(crate) fn header(&self, id: &str) -> Value {
        json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": id})
    }
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// The response of the key server.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

/// Serves public keys, and counts requests.
#[derive(Clone)]
pub(crate) struct KeyServer {
    pub(crate) url: String,
    answer: Arc<Mutex<Answer>>,
    fetches: Arc<AtomicU64>,
}

impl KeyServer {
    pub(crate) async fn start(keys: &[(&str, &SigningKey)]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let server = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            answer: Arc::new(Mutex::new(set(keys))),
            fetches: Arc::default(),
        };
        let routes = Router::new()
            .route("/.well-known/jwks.json", get(serve))
            .with_state(server.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        server
    }

    pub(crate) fn has(&self, keys: &[(&str, &SigningKey)]) {
        self.answers(set(keys));
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }
}

fn set(keys: &[(&str, &SigningKey)]) -> Answer {
    let keys: Vec<Value> = keys.iter().map(|(id, key)| key.jwk(id)).collect();
    Answer {
        status: 200,
        body: json!({ "keys": keys }).to_string(),
        delay: Duration::ZERO,
    }
}

async fn serve(State(server): State<KeyServer>) -> (StatusCode, String) {
    server.fetches.fetch_add(1, Ordering::Relaxed);
    let answer = server
        .answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    tokio::time::sleep(answer.delay).await;
    (
        StatusCode::from_u16(answer.status).expect("a status"),
        answer.body,
    )
}

/// A response of the API.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The `code` of a problem; this checks the problem's form too.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().expect("a code").to_owned()
    }
}

/// A world with a worker that serves the API, beside one that folds and reconciles.
pub(crate) struct DataApi {
    pub(crate) world: World,
    pub(crate) keys: KeyServer,
    pub(crate) rsa: SigningKey,
    pub(crate) worker: Worker,
    pub(crate) url: String,
    /// The settings of that worker.
    env: Vec<(String, String)>,
    http: reqwest::Client,
}

/// A worker with these settings that is connected to the bus, and its address.
async fn listening(world: &World, env: &[(String, String)]) -> (Worker, String) {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (&**name, &**value)).collect();
    let worker = world.start_worker_with(&env).await;
    let connected = async || worker.count("rolekeeper_bus_up").await == Some(1);
    world.eventually("it is connected to the bus", connected).await;
    let url = format!("http://{}", worker.address("LISTEN").await);
    (worker, url)
}

impl DataApi {
    pub(crate) async fn start() -> Self {
        Self::start_in(World::builder(), &[]).await
    }

    /// The worker that listens has these settings as well, and no secret of Auth0.
    pub(crate) async fn start_in(builder: Builder, env: &[(&str, &str)]) -> Self {
        let world = builder.start().await;
        let rsa = SigningKey::rsa();
        let keys = KeyServer::start(&[("rsa", &rsa)]).await;
        let cool_down = COOL_DOWN.as_secs().to_string();
        // The key server acts as the tenant's custom domain.
        let audience = format!("{}/api/v2/", world.tenant.base_url());
        let mut all = vec![
            ("AUTH0_AUDIENCE", audience.as_str()),
            ("ONLY", "http"),
            ("AUTH0_CLIENT_ID", ""),
            ("AUTH0_CLIENT_SECRET", ""),
            ("AUTH0_DOMAIN", keys.url.as_str()),
            ("API_AUDIENCE", AUDIENCE),
            ("API_KEYS_COOL_DOWN_S", cool_down.as_str()),
            ("API_BURST", "100000"),
        ];
        all.extend(env);
        let env = all
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env: Vec<(String, String)> = env.collect();
        let (worker, url) = listening(&world, &env).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self {
            world,
            keys,
            rsa,
            worker,
            url,
            env,
            http,
        }
    }

    /// Starts the worker that listens again.
    pub(crate) async fn start_again(&mut self) {
        (self.worker, self.url) = listening(&self.world, &self.env).await;
    }

    /// The claims of a valid token.
    pub(crate) fn claims(&self, user: &str) -> Value {
        let now = rolekeeper::clock::now().unix_timestamp();
        json!({"iss": format!("{}/", self.keys.url), "aud": [AUDIENCE, "https://t.example/userinfo"], "sub": user,
            "iat": now, "exp": now + 3600, "scope": "openid read:app write:app"})
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.rsa.token(&self.rsa.header("rsa"), &self.claims(user))
    }

    /// Sends a request with a token, and a JSON body if there is one.
    pub(crate) async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Got {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::got(request).await
    }

    pub(crate) async fn got(request: reqwest::RequestBuilder) -> Got {
        let answer = request.send().await.expect("the API responds");
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a body"),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Got {
        self.ask(Method::GET, path, &self.token(user), None).await
    }

    pub(crate) async fn send(&self, user: &str, method: Method, path: &str, body: Value) -> Got {
        self.ask(method, path, &self.token(user), Some(body)).await
    }

    pub(crate) async fn delete(&self, user: &str, path: &str) -> Got {
        self.ask(Method::DELETE, path, &self.token(user), None).await
    }
}
