//! The checks of Postgres.
//!
//! Owns their order: nothing is asked of a server that cannot be reached. Must never write.

use super::finding::{Finding, bounded, without_settings};
use crate::app;
use crate::auth0::canonical_domain;
use crate::bus::STREAMS;
use crate::config::{DatabaseConfig, DoctorConfig};
use crate::store::{Altered, Store, StoreError};

/// The oldest supported version: the major number.
const OLDEST: i32 = 15;
/// Missing rights, or triggers and functions, that are named.
const NAMED: usize = 4;

pub(super) async fn check(config: &DoctorConfig) -> Vec<Finding> {
    let Some(database) = &config.database else {
        return without_settings("postgres");
    };
    let store = match open(database, config) {
        Ok(store) => store,
        Err(why) => return vec![Finding::fault("postgres", format!("{why:#}"))],
    };
    let mut findings = vec![bounded("postgres.server", server(&store)).await];
    if findings[0].is_fault() {
        findings.push(Finding::unchecked(
            "postgres",
            "all other checks of Postgres need a server",
        ));
        return findings;
    }
    findings.push(bounded("postgres.sessions", sessions(&store)).await);
    if findings[1].is_fault() {
        findings.push(Finding::unchecked(
            "postgres",
            "all other checks of Postgres need sessions",
        ));
        return findings;
    }
    findings.push(bounded("postgres.writes", writes(&store)).await);
    findings.extend(in_clear(&store));
    let schema = bounded("postgres.schema", schema(&store)).await;
    let has_schema = !schema.is_fault();
    findings.push(schema);
    if has_schema {
        findings.push(bounded("postgres.rights", rights(&store)).await);
        findings.push(bounded("postgres.triggers", triggers(&store)).await);
        findings.push(bounded("postgres.foreign", foreign(&store)).await);
        findings.push(bounded("postgres.tenant", tenant(&store, config)).await);
        findings.push(bounded("postgres.erasures", erasures(&store)).await);
        findings.push(bounded("postgres.rules", rules(&store)).await);
        findings.push(bounded("postgres.losses", losses(&store)).await);
    }
    findings
}

fn open(database: &DatabaseConfig, config: &DoctorConfig) -> anyhow::Result<Store> {
    Ok(app::store(database)?.with_erasure_key(config.erasure_key.clone()))
}

async fn server(store: &Store) -> Finding {
    let name = "postgres.server";
    let unreachable = |why: StoreError| {
        Finding::fault(
            name,
            format!("{why}; check DATABASE_URL, and that the server runs"),
        )
    };
    if let Some(why) = store.unreachable().await {
        return unreachable(why);
    }
    let server = match store.server().await {
        Ok(server) => server,
        Err(why) => return unreachable(why),
    };
    let version = &server.version;
    if server.number / 10_000 < OLDEST {
        return Finding::fault(
            name,
            format!("PostgreSQL {version} is too old: upgrade it to {OLDEST} or newer"),
        );
    }
    if server.is_standby {
        return Finding::fault(
            name,
            "this server is a standby, which cannot be written: set DATABASE_URL to an address of the primary",
        );
    }
    if !server.syncs {
        return Finding::warning(
            name,
            format!(
                "PostgreSQL {version} runs with fsync = off: a crash of its host loses data; set fsync = on"
            ),
        );
    }
    Finding::ok(name, format!("PostgreSQL {version}, a primary"))
}

async fn sessions(store: &Store) -> Finding {
    let checked = store.check_sessions().await;
    Finding::of(
        "postgres.sessions",
        checked
            .map(|()| "advisory locks hold, and no pooler in transaction mode lies before them".to_owned()),
    )
}

async fn writes(store: &Store) -> Finding {
    let name = "postgres.writes";
    match store.unusable_sessions().await {
        Err(why) => Finding::fault(name, why.to_string()),
        Ok(settings) if settings.is_empty() => Finding::ok(name, "sessions of this user may write"),
        Ok(settings) => {
            let (what, remedies): (Vec<_>, Vec<_>) =
                settings.into_iter().map(|one| (one.what, one.remedy)).unzip();
            let text = format!(
                "sessions of this user have {}, so a worker cannot write as it must: {}",
                what.join(" and "),
                remedies.join("; ")
            );
            Finding::fault(name, text)
        }
    }
}

async fn triggers(store: &Store) -> Finding {
    let name = "postgres.triggers";
    match store.stopped_triggers().await {
        Err(why) => Finding::fault(name, why.to_string()),
        Ok(stopped) if stopped.is_empty() => Finding::ok(name, "every trigger of the migrations runs"),
        Ok(stopped) => {
            let text = format!(
                "a trigger that guards or counts rows does not run: {}",
                listed(&stopped)
            );
            Finding::fault(name, text)
        }
    }
}

async fn foreign(store: &Store) -> Finding {
    let name = "postgres.foreign";
    match store.foreign_objects().await {
        Err(why) => Finding::fault(name, why.to_string()),
        Ok(foreign) if foreign.is_empty() => Finding::ok(
            name,
            "the schema has no function or trigger that no migration made",
        ),
        Ok(foreign) => {
            let text = format!(
                "no migration made these, and they may change what a worker reads or writes; unless they are yours, drop them: {}",
                listed(&foreign)
            );
            Finding::warning(name, text)
        }
    }
}

/// The first ones, and the statements for them by the role that owns the schema.
fn listed(altered: &[Altered]) -> String {
    let named = &altered[..altered.len().min(NAMED)];
    let what: Vec<&str> = named.iter().map(|one| one.what.as_str()).collect();
    let remedies: Vec<&str> = named.iter().map(|one| one.remedy.as_str()).collect();
    let more = more(altered.len());
    format!(
        "{}{more}. As the owner of the schema: {}",
        what.join(", "),
        remedies.join("; ")
    )
}

/// The number of those that are not named.
fn more(all: usize) -> String {
    match all.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

fn in_clear(store: &Store) -> Vec<Finding> {
    let warned = store.in_clear().into_iter();
    warned
        .map(|clear| Finding::warning("postgres.tls", clear.to_string()))
        .collect()
}

async fn schema(store: &Store) -> Finding {
    let checked = store.check_schema().await;
    Finding::of(
        "postgres.schema",
        checked.map(|()| "the schema is the one of this release".to_owned()),
    )
}

async fn rights(store: &Store) -> Finding {
    let name = "postgres.rights";
    match store.missing_rights().await {
        Err(why) => Finding::fault(name, why.to_string()),
        Ok(missing) if missing.is_empty() => {
            Finding::ok(name, "this user has every right that a worker needs")
        }
        Ok(missing) => {
            let more = more(missing.len());
            let named = missing[..missing.len().min(NAMED)].join(", ");
            Finding::fault(
                name,
                format!(
                    "this user lacks {named}{more}: run deploy/postgres/roles.sql, or grant these rights"
                ),
            )
        }
    }
}

async fn tenant(store: &Store, config: &DoctorConfig) -> Finding {
    let name = "postgres.tenant";
    let Some(tenant) = &config.tenant else {
        return Finding::ok(
            name,
            "AUTH0_DOMAIN is not set, so the tenant of the database is not compared",
        );
    };
    let domain = match canonical_domain(&tenant.domain, tenant.audience.as_deref()) {
        Ok(domain) => domain,
        Err(why) => return Finding::fault(name, why.to_string()),
    };
    let checked = store.check_tenant(&domain).await;
    Finding::of(
        name,
        checked.map(|is_bound| {
            if is_bound {
                format!("the database belongs to {domain}")
            } else {
                format!("the database belongs to no tenant yet; a worker gives it to {domain}")
            }
        }),
    )
}

async fn erasures(store: &Store) -> Finding {
    let checked = store.check_erasure_key().await;
    Finding::of(
        "postgres.erasures",
        checked.map(|()| "erased users can be identified, or there are none".to_owned()),
    )
}

async fn rules(store: &Store) -> Finding {
    let read: Result<_, StoreError> = store.rules_in_force().await;
    Finding::of(
        "postgres.rules",
        read.map(|rules| match rules {
            Some(rules) => format!("version {} of the rules is in force", rules.version),
            None => "no rules are in force yet; the first worker puts them in force".to_owned(),
        }),
    )
}

async fn losses(store: &Store) -> Finding {
    let name = "postgres.losses";
    for stream in STREAMS {
        match store.open_loss(stream).await {
            Err(why) => return Finding::fault(name, why.to_string()),
            Ok(Some(loss)) => {
                let text = format!(
                    "{stream} {}: {}; the fold is stopped until `rolekeeper accept-stream {stream}`",
                    loss.kind, loss.detail
                );
                return Finding::fault(name, text);
            }
            Ok(None) => {}
        }
    }
    Finding::ok(name, "no stream has lost events")
}
