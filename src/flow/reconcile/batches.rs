//! Requests of concurrent attempts, served in batches.
//!
//! Owns the queue of requests and the turns: each caller waits for its turn, and the first to have one serves all requests
//! that have come by then. A lone request waits for no other. Must never serve two batches at once, nor outlive its
//! callers: a request whose caller was dropped is served with the others or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Most requests of a batch.
const MOST: usize = 64;
/// From this size of the last batch on, the next one collects requests for a while. Smaller batches wait for nothing: at a few
/// dozen attempts a second the wait would delay each role by more than the shared statements save.
const BUSY: usize = 8;
/// Time for which requests are collected: long enough for some of them at hundreds a second, and far shorter than a profile
/// may age.
const COLLECT: Duration = Duration::from_millis(40);

/// Collects requests `Q`, each of which gets a response `A`.
#[derive(Debug)]
pub(super) struct Batches<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    turn: tokio::sync::Mutex<()>,
    last: AtomicUsize,
}

impl<Q, A> Default for Batches<Q, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            last: AtomicUsize::new(0),
        }
    }
}

impl<Q, A> Batches<Q, A> {
    /// Has the request served in a batch by `serve`, which returns a response for each request, in order. None if the batch
    /// failed, or was dropped.
    pub(super) async fn ask<S>(&self, request: Q, serve: impl Fn(Vec<Q>) -> S) -> Option<A>
    where
        S: Future<Output = Option<Vec<A>>>,
    {
        let (sender, mut response) = oneshot::channel();
        self.with_waiting(|waiting| waiting.push((request, sender)));
        loop {
            let turn = self.turn.lock().await;
            match response.try_recv() {
                Ok(served) => return Some(served),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            if self.last.load(Ordering::Relaxed) >= BUSY {
                tokio::time::sleep(COLLECT).await;
            }
            let batch: Vec<_> =
                self.with_waiting(|waiting| waiting.drain(..waiting.len().min(MOST)).collect());
            self.last.store(batch.len(), Ordering::Relaxed);
            let (requests, senders): (Vec<Q>, Vec<_>) = batch.into_iter().unzip();
            if let Some(served) = serve(requests).await {
                for (sender, served) in senders.into_iter().zip(served) {
                    // The caller may be gone.
                    let _ = sender.send(served);
                }
            }
            drop(turn);
        }
    }

    fn with_waiting<T>(&self, act: impl FnOnce(&mut Vec<(Q, oneshot::Sender<A>)>) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_request_gets_its_own_response_in_few_batches() {
        let batches = Arc::new(Batches::<u32, u32>::default());
        let served = Arc::new(AtomicUsize::new(0));
        let ask = async |n: u32| {
            let serve = |requests: Vec<u32>| {
                assert!(!requests.is_empty() && requests.len() <= MOST);
                served.fetch_add(1, Ordering::Relaxed);
                let double = || requests.into_iter().map(|n| n * 2).collect();
                tokio::time::sleep(Duration::from_millis(5)).map(move |()| Some(double()))
            };
            (n, batches.ask(n, serve).await)
        };
        for (n, response) in join_all((0..300).map(ask)).await {
            assert_eq!(response, Some(n * 2));
        }
        assert!(
            served.load(Ordering::Relaxed) <= 7,
            "{served:?} batches for 300 requests"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_batch_and_a_dropped_caller_leave_the_others_working() {
        let batches = Batches::<u32, u32>::default();
        let never = batches.ask(1, |_| std::future::pending());
        let _ = tokio::time::timeout(Duration::from_millis(1), never).await;
        assert_eq!(batches.ask(2, async |_| None).await, None);
        let echo = async |requests: Vec<u32>| Some(requests);
        assert_eq!(batches.ask(3, echo).await, Some(3));
    }
}
