//! The checks of NATS.
//!
//! Owns what is read of the server and of the streams. Must never publish, nor change a stream.

use super::finding::{Finding, bounded, without_settings};
use crate::app;
use crate::bus::{Bus, BusError, From, ROLE_CHANGES, Replicas, STREAMS, StreamState};
use crate::config::DoctorConfig;
use rolekeeper_domain::plural::noun;

pub(super) async fn check(config: &DoctorConfig) -> Vec<Finding> {
    let Some(settings) = &config.bus else {
        return without_settings("nats");
    };
    let bus = match app::bus(settings).await {
        Ok(bus) => bus,
        Err(why) => return vec![Finding::fault("nats", format!("{why:#}"))],
    };
    let server = bounded("nats.server", server(&bus)).await;
    // The time is over: the last attempt to connect says why.
    let server = if bus.is_connected() {
        server
    } else {
        let why = bus.why_unconnected();
        Finding::fault(
            "nats.server",
            format!("no server is connected{why}; check NATS_URL and the login"),
        )
    };
    let mut findings = vec![server];
    if let Some(host) = settings.in_clear() {
        let text = format!(
            "{host} may be reached without TLS, with the password or token in clear: set NATS_TLS=require, or tls:// in NATS_URL"
        );
        findings.push(Finding::warning("nats.tls", text));
    }
    if findings[0].is_fault() {
        findings.push(Finding::unchecked(
            "nats.streams",
            "the checks of the streams need a server",
        ));
        return findings;
    }
    for stream in STREAMS.into_iter().chain([ROLE_CHANGES]) {
        findings.push(bounded("nats.streams", shape(&bus, stream)).await);
        if findings.last().is_some_and(Finding::is_fault) {
            continue;
        }
        findings.push(bounded("nats.replicas", replicas(&bus, stream)).await);
        if stream != ROLE_CHANGES {
            findings.push(bounded("nats.permissions", permissions(&bus, stream)).await);
        }
    }
    findings
}

async fn server(bus: &Bus) -> Finding {
    let connected = bus.wait_for_supported_server().await;
    Finding::of(
        "nats.server",
        connected.map(|()| format!("nats-server {}", bus.server_version())),
    )
}

async fn shape(bus: &Bus, stream: &'static str) -> Finding {
    let name = "nats.streams";
    match bus.stream_state(stream).await {
        Err(why) => Finding::fault(name, why.to_string()),
        Ok(state) => match fault_of(&state) {
            Some(fault) => Finding::fault(name, format!("{stream}: {fault}")),
            None if state.denies_purge => Finding::warning(
                name,
                format!(
                    "{stream} has deny_purge, so it is never trimmed; docs/operating.md says the way out"
                ),
            ),
            None => Finding::ok(
                name,
                format!(
                    "{stream}: {} {}, {} bytes",
                    state.messages,
                    noun(state.messages, "message", "messages"),
                    state.bytes
                ),
            ),
        },
    }
}

fn fault_of(state: &StreamState) -> Option<String> {
    if state.is_mirror {
        return Some(
            "it is a mirror and takes no messages: promote it, then run `rolekeeper migrate`".to_owned(),
        );
    }
    (!state.differences.is_empty()).then(|| {
        let all = state.differences.join("; ");
        format!("its configuration is wrong: {all}; run `rolekeeper migrate`")
    })
}

async fn replicas(bus: &Bus, stream: &'static str) -> Finding {
    let name = "nats.replicas";
    let Replicas {
        number,
        in_cluster,
        behind,
    } = match bus.replicas(stream).await {
        Ok(replicas) => replicas,
        Err(why) => return Finding::fault(name, why.to_string()),
    };
    if !behind.is_empty() {
        let text = format!(
            "{stream}: {} of {number} replicas are offline or behind ({}): check these servers",
            behind.len(),
            behind.join(", ")
        );
        return Finding::warning(name, text);
    }
    let text = match (number, in_cluster) {
        (1, true) => {
            "one replica in a cluster: a lost server stops it; set the replicas to 3 and run `rolekeeper migrate`"
        }
        (1, false) => {
            "one replica, which loses acknowledged messages with the power unless the server syncs each of them: set \
             `sync_interval: always` (nats-server does not report it), or use three servers"
        }
        _ => return Finding::ok(name, format!("{stream}: {number} replicas in sync")),
    };
    Finding::warning(name, format!("{stream}: {text}"))
}

/// A consumer that delivers nothing, and is deleted at once, needs the permissions of a fold.
async fn permissions(bus: &Bus, stream: &'static str) -> Finding {
    let tried: Result<_, BusError> = bus.waiting(stream, From::StoredAfter(i64::MAX - 1)).await;
    Finding::of(
        "nats.permissions",
        tried.map(|_| format!("{stream}: this user may read it; permissions to publish are not tried")),
    )
}
