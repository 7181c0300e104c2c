//! A listener: accepts connections and serves HTTP/1 on them.
//!
//! Owns how many connections there are at once, how long each part of a request may take, and a clean stop. Connections
//! above the bound wait in the kernel's queue. Must never drop a handler because its client went away: each runs as a task
//! of its own, to its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, debug, error, warn};

use super::body::Guarded;
use super::stream::Watched;

/// Longest time to the end of a request's header, from its first byte, or from the connection's begin.
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// Longest time from a request's header to its response.
const RESPONSE_WITHIN: Duration = Duration::from_mins(1);
/// Longest time between a response and the first byte of the next request; longer than load balancers keep a connection,
/// so that it is the balancer that closes it.
const IDLE_WITHIN: Duration = Duration::from_secs(75);
/// How long a stop waits for what clients have begun to send or to receive.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(1);
/// Delay after the system refused a connection, such as for want of files.
const REFUSED_DELAY: Duration = Duration::from_millis(200);

/// What a connection waits for, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The rest of a request's header.
    Header(Instant),
    /// The response of a handler.
    Response(Instant),
    /// The client: to take the response, and to send the next request.
    Idle(Instant),
}

impl Phase {
    /// When the connection is closed.
    fn ends(self, stopped: Option<Instant>) -> Instant {
        let ends = match self {
            Self::Header(since) => since + HEADER_WITHIN,
            Self::Response(since) => since + RESPONSE_WITHIN,
            Self::Idle(since) => since + IDLE_WITHIN,
        };
        match (self, stopped) {
            // The handler's own deadlines, and the grace period, bound what is in flight.
            (Self::Response(_), _) | (_, None) => ends,
            (_, Some(stopped)) => ends.min(stopped + STOP_WITHIN),
        }
    }
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Shared {
    routes: TowerToHyperService<Router>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Serves until told to stop, then finishes the requests in flight. At most `connections` are open at once.
///
/// # Errors
/// None.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    connections: usize,
    stop: CancellationToken,
) -> io::Result<()> {
    let shared = Shared {
        routes: TowerToHyperService::new(routes),
        slots: Arc::new(Semaphore::new(connections)),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    };
    stop.run_until_cancelled(shared.accept(&listener)).await;
    drop(listener);
    shared.tasks.close();
    shared.tasks.wait().await;
    Ok(())
}

impl Shared {
    async fn accept(&self, listener: &TcpListener) {
        // Closed by nothing.
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = self.clone().connection(stream, slot);
                    self.tasks.spawn(connection.instrument(Span::current()));
                }
                Err(why) if is_of_the_client(&why) => {}
                Err(why) => {
                    warn!("a connection was not accepted, trying again: {why}");
                    sleep(REFUSED_DELAY).await;
                }
            }
        }
    }

    async fn connection(self, stream: TcpStream, _slot: OwnedSemaphorePermit) {
        // A response must not wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let (phase, mut phases) = watch::channel(Phase::Header(Instant::now()));
        let service = service_fn(|request| self.respond(request, &phase));
        let stream = TokioIo::new(Watched::new(stream, phase.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .serve_connection(stream, service);
        tokio::pin!(connection);
        let mut stopped = None;
        loop {
            let ends = phases.borrow_and_update().ends(stopped);
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(why) = ended {
                        debug!("a connection broke off: {why}");
                    }
                    return;
                }
                changed = phases.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(ends) => {
                    debug!("a connection was closed: its client was too slow");
                    return;
                }
                () = self.stop.cancelled(), if stopped.is_none() => {
                    stopped = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// The response to one request. Its handler is a task of its own: a client that goes away ends no handler half-way.
    async fn respond(
        &self,
        request: Request<Incoming>,
        phase: &watch::Sender<Phase>,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        phase.send_replace(Phase::Response(Instant::now()));
        let request = request.map(|body| Guarded::body(body, self.stop.clone()));
        let handler = self.routes.call(request).instrument(Span::current());
        let mut response = match self.tasks.spawn(handler).await {
            Ok(Ok(response)) => response,
            Err(why) => {
                error!(
                    "a handler failed, its request is answered with 500 and everything else goes on: {why}"
                );
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        // Other clients wait for a place.
        if self.slots.available_permits() == 0 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        phase.send_replace(Phase::Idle(Instant::now()));
        Ok(response)
    }
}

/// Whether a connection was lost before it was accepted.
fn is_of_the_client(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn fault() -> &'static str {
        panic!("a fault of the program")
    }

    #[tokio::test]
    async fn l17_a_handler_that_panics_fails_its_own_request_only() {
        let routes = Router::new()
            .route("/broken", get(|| async { fault() }))
            .route("/", get(|| async { "well" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(serve(listener, routes, 2, stop.clone()));
        for (path, status) in [("/broken", "500"), ("/", "200"), ("/broken", "500")] {
            let mut client = TcpStream::connect(address).await.expect("a connection");
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("it is written");
            let mut response = String::new();
            client.read_to_string(&mut response).await.expect("a response");
            assert_eq!(response.split(' ').nth(1), Some(status), "{path}");
        }
        stop.cancel();
        let ended = serving.join_next().await.expect("it was started");
        ended.expect("no panic").expect("in order");
    }
}
