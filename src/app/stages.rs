//! The stages that need Postgres: they start once it is reachable.
//!
//! Owns their wiring, and the order in which they start. Must never start a stage before Postgres is prepared.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use uuid::Uuid;

use super::prepare::{prepare, stay_bound};
use super::shared::Shared;
use crate::auth0::{Client, LogReader, Reader, Writer};
use crate::bus::Bus;
use crate::config::{FoldConfig, ReconcileConfig, RestoreConfig};
use crate::flow::fold::{Fold, Source};
use crate::flow::leader::{Deps, Leader};
use crate::flow::limits::{LimitsInForce, LimitsKeeper};
use crate::flow::rules::{RulesKeeper, this_worker};
use crate::flow::rules_file::RulesFile;
use crate::store::StoreError;
use rolekeeper_domain::rule::Rules;

/// The stages of one worker, as configured.
pub(super) struct Stages {
    pub(super) fold: Option<FoldConfig>,
    pub(super) reconcile: Option<ReconcileConfig>,
    pub(super) rules_file: Option<PathBuf>,
    pub(super) restores: RestoreConfig,
    /// One connection for each fold.
    pub(super) deliveries: Vec<Bus>,
    pub(super) client: Option<Client>,
    /// Canonical domain of the tenant, where the settings name one.
    pub(super) tenant: Option<String>,
    /// Set once the data API may be served.
    pub(super) serving: Option<Arc<AtomicBool>>,
}

impl Stages {
    /// Prepares Postgres, starts the stages, and runs until the stop is requested.
    pub(super) async fn run(self, shared: Shared) -> Result<(), StoreError> {
        let Self {
            fold,
            reconcile,
            rules_file,
            restores,
            deliveries,
            client,
            tenant,
            serving,
        } = self;
        let Shared {
            store,
            metrics,
            readiness,
            lifecycle,
            ..
        } = &shared;
        let stop = lifecycle.stopping();
        let own = reconcile.as_ref().map(|reconcile| reconcile.own_limits);
        let mut keeper = RulesKeeper {
            file: rules_file.map(RulesFile::new),
            forbidden: restores.forbidden.clone(),
            worker: this_worker(own.unwrap_or_default()),
            store: store.clone(),
            metrics: Arc::clone(metrics),
            rules: watch::Sender::new(Arc::default()),
            limits: LimitsKeeper::new(store.clone(), own.unwrap_or_default(), readiness.clone()),
            readiness: readiness.clone(),
            said: None,
        };
        let (rules, limits) = (keeper.rules.subscribe(), keeper.limits.subscribe());
        let writes_facts = fold.is_some() || reconcile.is_some();
        if writes_facts || serving.is_some() {
            let first = writes_facts.then_some(&mut keeper);
            if !prepare(store, first, tenant.as_deref(), readiness, &stop).await? {
                return Ok(());
            }
            if let Some(serving) = &serving {
                serving.store(true, Ordering::Relaxed);
            }
            readiness.ready_for_good("start", "prepared");
        }
        if writes_facts {
            lifecycle.spawn("rules", keeper.run(stop.clone()));
        }
        if let Some(tenant) = tenant.filter(|_| writes_facts || serving.is_some()) {
            lifecycle.spawn("tenant", stay_bound(store.clone(), tenant, stop.clone()));
        }
        if let Some(fold) = fold {
            start_folds(&shared, fold, deliveries, &rules);
        }
        if let (Some(config), Some(client)) = (reconcile, client) {
            start_leader(&shared, config, &client, restores, (rules, limits));
        }
        // A stage that ends before the stop is a crash.
        stop.cancelled().await;
        Ok(())
    }
}

/// Starts the fold of each stream.
fn start_folds(
    shared: &Shared,
    config: FoldConfig,
    deliveries: Vec<Bus>,
    rules: &watch::Receiver<Arc<Rules>>,
) {
    let FoldConfig {
        batch,
        dedup_window,
        trim,
        own_client_id,
        tenant,
    } = config;
    let (process, search) = (Uuid::now_v7(), Arc::default());
    for (source, deliveries) in [Source::AppEvents, Source::Auth0Logs].into_iter().zip(deliveries) {
        let stage = Fold {
            source,
            store: shared.store.clone(),
            bus: shared.bus.clone(),
            deliveries,
            process,
            search: Arc::clone(&search),
            metrics: Arc::clone(&shared.metrics),
            readiness: shared.readiness.clone(),
            rules: rules.clone(),
            batch,
            dedup_window,
            trim,
            own_client_id: own_client_id.clone(),
            tenant: tenant.clone(),
            other_tenant: Arc::default(),
        };
        let lifecycle = &shared.lifecycle;
        lifecycle.spawn(source.stage(), stage.run(lifecycle.stopping()));
    }
}

/// Starts what one worker does alone.
fn start_leader(
    shared: &Shared,
    config: ReconcileConfig,
    client: &Client,
    restores: RestoreConfig,
    (rules, limits): (watch::Receiver<Arc<Rules>>, LimitsInForce),
) {
    let stage = Leader::new(Deps {
        store: shared.store.clone(),
        bus: shared.bus.clone(),
        reader: Reader::new(client),
        writer: Writer::new(client),
        logs: LogReader::new(client),
        metrics: Arc::clone(&shared.metrics),
        readiness: shared.readiness.clone(),
        rules,
        restores,
        limits,
        config,
    });
    let lifecycle = &shared.lifecycle;
    lifecycle.spawn("reconcile", stage.run(lifecycle.stopping()));
}
