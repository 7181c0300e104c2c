//! A stateful stand-in for an Auth0 tenant, over real HTTP or HTTPS on loopback.
//!
//! Owns users, tokens, the rate limit, the log and its stream, as Auth0's documentation and recordings of live tenants show
//! them; our own choices are marked. It keeps a full call log and every user's history, so that a test reads the facts from
//! the tenant and not from the worker. Must never know the worker: it offers only the acts of clients and users of any tenant.

mod answer;
mod assertion;
mod authentication;
mod calls;
mod change;
mod errors;
mod exchange;
mod exports;
mod external_actions;
mod faults;
mod handle;
mod import;
mod keys;
mod limits;
mod linking;
mod log_stream;
mod login;
mod logs_api;
mod merge;
mod options;
mod outbox;
mod profile;
mod query;
mod records;
mod render;
mod search;
mod serve;
mod shared;
mod sign_up;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod token_api;
mod users_api;

pub use assertion::PublicKey;
pub use calls::{Actor, Call, Endpoint, Version};
pub use errors::ApiError;
pub use faults::{CallMatch, Fault};
pub use import::UnusableUser;
pub use limits::{Rate, RatePlan, ResetMeans};
pub use options::{Action, Client, Format, LogStream, ProfileLimit, Proof, TenantOptions};
pub use outbox::{Logged, StreamError};
pub use records::{APP_CLIENT, DASHBOARD_ADMIN, DASHBOARD_CLIENT};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use shared::Shared;
use state::State;

/// A running tenant. On drop, it closes its connections and stops its stream.
#[derive(Debug)]
pub struct Tenant {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<tls::Tls>,
    closed: CancellationToken,
    tasks: Mutex<(JoinSet<()>, Option<AbortHandle>)>,
}

impl Tenant {
    /// Starts a tenant on 127.0.0.1; it serves on the present runtime.
    pub async fn start(options: TenantOptions) -> anyhow::Result<Self> {
        let factor = options.clock_factor;
        anyhow::ensure!(
            factor.is_finite() && factor > 0.0,
            "the clock factor must be above 0: {factor}"
        );
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .await
            .context("the tenant cannot listen")?;
        let address = listener.local_addr()?;
        let (tls, acceptor) = options.tls.then(tls::Tls::new).transpose()?.unzip();
        let state = State {
            users: change::Users::new(),
            passwords: std::collections::HashMap::new(),
            keys: keys::Keys::new()?,
            clients: options
                .clients
                .iter()
                .map(|client| (client.id.clone(), client.clone()))
                .collect(),
            tokens: std::collections::HashMap::new(),
            used_assertions: assertion::Used::new(),
            limiter: limits::Limiter::new(options.plan, factor),
            faults: faults::Faults::default(),
            calls: vec![],
            histories: std::collections::HashMap::new(),
            exports: exports::Exports::default(),
            outbox: outbox::Outbox::new(options.seed),
            rng: StdRng::seed_from_u64(options.seed),
        };
        let shared = Shared {
            options,
            started: Instant::now(),
            state: Mutex::new(state),
            logged: Notify::new(),
        };
        let shared = Arc::new(shared);
        let closed = CancellationToken::new();
        let router = Router::new()
            .fallback(answer::answer)
            .with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<serve::Reset>();
        let serving = axum::serve(
            serve::TenantListener::new(listener, acceptor, closed.clone()),
            service,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // This ends only with the tenant: a failure to accept is always temporary.
            let _ = serving.await;
        });
        Ok(Self {
            shared,
            address,
            tls,
            closed,
            tasks: Mutex::new((tasks, None)),
        })
    }

    /// Returns `http://127.0.0.1:<port>`, or `https://…` with TLS; without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns, with TLS, the certificate (PEM) of the authority that clients must trust. The file is removed with the tenant.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.tls.as_ref().map(tls::Tls::ca_file)
    }

    /// Changes the plan of the tenant; its buckets are full at first.
    pub fn change_plan(&self, plan: RatePlan) {
        let factor = self.shared.options.clock_factor;
        self.shared.lock().limiter = limits::Limiter::new(plan, factor);
    }

    /// Adds a client, or changes one. Tokens that it has keep their scopes, as at Auth0.
    pub fn register_client(&self, client: Client) {
        self.shared.lock().clients.insert(client.id.clone(), client);
    }

    /// Makes the client's tokens invalid; it may request new ones.
    pub fn revoke_tokens(&self, client_id: &str) {
        self.shared
            .lock()
            .tokens
            .retain(|_, grant| grant.client != client_id);
    }

    /// Signs users' tokens with a new key from now on. The previous key stays among the public keys until the next rotation.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn rotate_signing_key(&self) -> anyhow::Result<()> {
        self.shared.lock().keys.rotate()
    }

    /// Applies this fault to the next matching call.
    pub fn fault_once(&self, on: CallMatch, what: Fault) {
        self.shared.lock().faults.once(on, what);
    }

    /// Applies this fault to every matching call until [`Self::clear_faults`].
    pub fn hold_fault(&self, on: CallMatch, what: Fault) {
        self.shared.lock().faults.hold(on, what);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Returns the number of unused faults for one call.
    #[must_use]
    pub fn faults_waiting(&self) -> usize {
        self.shared.lock().faults.waiting()
    }

    /// Sends records to this webhook from now on. Records that a previous webhook has not received go to this one. Must be
    /// called on a runtime, which then delivers.
    pub fn stream_logs(&self, stream: LogStream) -> anyhow::Result<()> {
        // reqwest needs a TLS provider even for plain HTTP; an error means that the process already has one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .context("no HTTP client")?;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = tasks.1.take() {
            before.abort();
        }
        let generation = self.shared.lock().outbox.connect(stream.clone());
        let delivering = log_stream::run(Arc::clone(&self.shared), generation, stream, client);
        tasks.1 = Some(tasks.0.spawn(delivering));
        Ok(())
    }

    /// Makes the stream silent: records are logged, but never delivered, not even later.
    pub fn silence(&self, silent: bool) {
        self.shared.lock().outbox.silence(silent);
    }

    /// Ends the retention of all records so far: no call shows them any more. From now on a checkpoint that the log does not
    /// hold is refused, or else returns an empty page.
    pub fn expire_logs(&self, refused: bool) {
        self.shared.lock().outbox.expire(refused);
    }

    /// Returns a user as GET does.
    #[must_use]
    pub fn user(&self, user_id: &str) -> Option<Value> {
        self.shared.lock().users.get(user_id).cloned().map(Value::from)
    }

    /// Returns all users, in the order of their ids.
    #[must_use]
    pub fn users(&self) -> Vec<Value> {
        self.shared
            .lock()
            .users
            .values()
            .cloned()
            .map(Value::from)
            .collect()
    }

    /// Returns all calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.with_calls(<[Call]>::to_vec)
    }

    /// Passes all calls so far to a function, without a copy; the tenant is locked meanwhile.
    pub fn with_calls<T>(&self, read: impl FnOnce(&[Call]) -> T) -> T {
        read(&self.shared.lock().calls)
    }

    /// Returns the versions of one user, oldest first; empty for a user who never existed.
    #[must_use]
    pub fn history(&self, user_id: &str) -> Vec<Version> {
        self.shared
            .lock()
            .histories
            .get(user_id)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns every record logged so far, delivered or not.
    #[must_use]
    pub fn logged(&self) -> Vec<Logged> {
        self.shared.lock().outbox.logged.clone()
    }

    /// Returns the number of records logged so far.
    #[must_use]
    pub fn logged_count(&self) -> usize {
        self.shared.lock().outbox.logged.len()
    }

    /// Returns the ids of records that the webhook accepted, in that order; a record delivered twice appears twice.
    #[must_use]
    pub fn delivered_log_ids(&self) -> Vec<String> {
        self.shared.lock().outbox.delivered.clone()
    }

    /// Returns the ids of records that were never sent because the stream was silent.
    #[must_use]
    pub fn silenced_log_ids(&self) -> Vec<String> {
        self.shared.lock().outbox.silenced.clone()
    }

    /// Returns the number of records that the stream must still deliver, with duplicates.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.shared.lock().outbox.undelivered()
    }

    /// Returns the batches that were given up.
    #[must_use]
    pub fn stream_errors(&self) -> Vec<StreamError> {
        self.shared.lock().outbox.errors.clone()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}
