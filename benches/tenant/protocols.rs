//! The rows that compare HTTP/1.1 with HTTP/2 for the calls to a tenant.
//!
//! Owns loads, rounds and figures. A client has a thread of its own: its CPU is that of the thread.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::mass::LATENCY;
use crate::protocol_clients::{Clients, Protocol};
use crate::protocol_server::Server;
use crate::table::{Goal, Table, median};

/// Calls of each caller before all begin together: so many callers have opened all connections.
const FIRST_CALLS: usize = 2;
/// Time until the calls are spread; it is not measured.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
/// Where HTTP/1.1 costs more than this times what HTTP/2 costs at the rate of the goal, the worker has the wrong protocol.
const NOISE: f64 = 1.1;

/// The load of the clients.
#[derive(Clone, Copy, Debug)]
struct Load {
    name: &'static str,
    in_flight: usize,
    /// Time between two calls of a caller; without it the next call follows at once.
    period: Option<Duration>,
}

const LOADS: [Load; 2] = [
    Load {
        name: "1000 calls/s",
        in_flight: 200,
        period: Some(Duration::from_millis(200)),
    },
    Load {
        name: "512 in flight",
        in_flight: 512,
        period: None,
    },
];

/// Figures of one client in one round.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_second: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
    connections: f64,
}

/// Measures all clients in turns.
pub(crate) async fn all(rounds: usize, table: &mut Table, say: &impl Fn(&str)) -> Result<()> {
    // This fails only if the process already has a provider, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Arc::new(Server::start()?);
    for load in LOADS {
        let mut measured = Protocol::ALL.map(|_| Vec::new());
        for round in 1..=rounds {
            for (protocol, figures) in Protocol::ALL.into_iter().zip(&mut measured) {
                let server = Arc::clone(&server);
                let round_figures = spawn_blocking(move || measure(load, protocol, &server)).await??;
                say(&format!(
                    "round {round}: {}, {}: {round_figures:?}",
                    load.name,
                    protocol.name()
                ));
                figures.push(round_figures);
            }
        }
        add_rows(table, load, &measured);
    }
    Ok(())
}

/// Measures one client on the calling thread.
fn measure(load: Load, protocol: Protocol, server: &Server) -> Result<Figures> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let clients = Arc::new(Clients::new(protocol, server));
    let before = server.connections();
    let (mut times, cpu) = runtime.block_on(async {
        let together = Arc::new(Barrier::new(load.in_flight + 1));
        let mut callers = JoinSet::new();
        for number in 0..load.in_flight {
            callers.spawn(caller(Arc::clone(&clients), load, number, Arc::clone(&together)));
        }
        tokio::select! {
            _ = together.wait() => {}
            Some(failed) = callers.join_next() => {
                failed??;
                anyhow::bail!("a caller ended before the others had begun");
            }
        }
        let begin = Instant::now() + WARM_UP;
        sleep_until(begin).await;
        let cpu = thread_cpu()?;
        sleep_until(begin + MEASURED).await;
        let cpu = thread_cpu()?.saturating_sub(cpu);
        let mut times = Vec::new();
        while let Some(of_caller) = callers.join_next().await {
            times.extend(of_caller??);
        }
        anyhow::Ok((times, cpu))
    })?;
    anyhow::ensure!(!times.is_empty(), "no call ended in {MEASURED:?}");
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok(Figures {
        per_second: times.len() as f64 / MEASURED.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / times.len() as f64,
        p50_ms: percentile(50),
        p99_ms: percentile(99),
        connections: (server.connections() - before) as f64,
    })
}

/// Calls until the end, one call after the other; returns the times of those that lie in the measured time.
async fn caller(
    clients: Arc<Clients>,
    load: Load,
    number: usize,
    together: Arc<Barrier>,
) -> Result<Vec<Duration>> {
    for _ in 0..FIRST_CALLS {
        clients.call(number, false).await?;
    }
    together.wait().await;
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    let share = number as f64 / load.in_flight as f64;
    sleep(load.period.unwrap_or(LATENCY).mul_f64(share)).await;
    // A late turn is made up for.
    let mut turns = load.period.map(interval);
    let (mut times, mut write) = (Vec::new(), false);
    while Instant::now() < end {
        if let Some(turns) = &mut turns {
            turns.tick().await;
        }
        let asked = Instant::now();
        clients.call(number, write).await?;
        if asked >= begin && Instant::now() < end {
            times.push(asked.elapsed());
        }
        write = !write;
    }
    Ok(times)
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn add_rows(table: &mut Table, load: Load, measured: &[Vec<Figures>; 3]) {
    let of = |figures: &[Figures], what: fn(&Figures) -> f64| figures.iter().map(what).collect::<Vec<f64>>();
    for (protocol, figures) in Protocol::ALL.into_iter().zip(measured) {
        let mut row = |what: &str, figure: fn(&Figures) -> f64| {
            let what = format!("{}, {}: {what}", load.name, protocol.name());
            table.rounds(&what, Goal::None, &of(figures, figure), &[], false);
        };
        row("calls/s", |it| it.per_second);
        row("CPU a call, µs", |it| it.cpu_us);
        row("p50, ms", |it| it.p50_ms);
        row("p99, ms", |it| it.p99_ms);
        row("connections", |it| it.connections);
    }
    let [http1, _, many] = measured;
    let mut ratio = |what: &str, figure: fn(&Figures) -> f64| {
        let what = format!("{}, HTTP/1.1 over HTTP/2, 50 each: {what}", load.name);
        let ratio = median(&of(http1, figure)) / median(&of(many, figure));
        // The goal of the worker is that rate; what a client can do beyond it is only shown.
        let goal = load.period.map_or(Goal::None, |_| Goal::AtMost(NOISE));
        table.count(&what, goal, ratio);
    };
    ratio("CPU", |it| it.cpu_us);
    ratio("p99", |it| it.p99_ms);
}
