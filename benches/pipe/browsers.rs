//! Browsers that have the first page of the console open: each loads it again at every event, as the script of the page does.
//!
//! Owns their requests. Must never let a browser that failed pass for one that is open.

use anyhow::Result;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::console::Console;

/// Open browsers.
pub(crate) struct Browsers {
    open: JoinSet<Result<()>>,
    close: CancellationToken,
}

impl Browsers {
    /// Opens `number` browsers at the ops listener `ops`; each is signed in when this returns.
    pub(crate) async fn open(ops: &str, number: usize) -> Result<Self> {
        let mut browsers = Self {
            open: JoinSet::new(),
            close: CancellationToken::new(),
        };
        for _ in 0..number {
            let (console, close) = (Console::sign_in(ops).await?, browsers.close.clone());
            browsers.open.spawn(async move {
                let watched = close.run_until_cancelled(watch(&console)).await;
                watched.unwrap_or(Ok(()))
            });
        }
        Ok(browsers)
    }

    /// Closes all of them. Fails if one failed before.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.close.cancel();
        while let Some(ended) = self.open.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Loads the page at each event, for ever.
async fn watch(console: &Console) -> Result<()> {
    loop {
        let mut events = console.get("/events").await?;
        while events.chunk().await?.is_some() {
            console.get("").await?.bytes().await?;
        }
    }
}
