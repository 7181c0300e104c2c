//! Browsers that have the first page of the console open: each loads it again at every event, as the script of the page does.
//!
//! Owns their requests. Must never let a browser that failed pass for one that is open.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, redirect};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The token of the worker's console.
pub(crate) const TOKEN: &str = "console-of-the-bench-0123456789";
const FORM: &str = "application/x-www-form-urlencoded";

/// Open browsers.
pub(crate) struct Browsers {
    open: JoinSet<Result<u64>>,
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
            let http = Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .build()?;
            let address = format!("http://{ops}/console");
            let form = format!("name=bench&next=/console&token={TOKEN}");
            let signed_in = http
                .post(format!("{address}/sign-in"))
                .header("content-type", FORM)
                .body(form);
            let answer = signed_in.send().await?;
            let cookie = answer.headers().get(SET_COOKIE).context("no cookie")?.to_str()?;
            let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
            let close = browsers.close.clone();
            browsers.open.spawn(async move {
                let watched = close.run_until_cancelled(watch(&http, &address, &cookie)).await;
                watched.unwrap_or(Ok(0))
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
async fn watch(http: &Client, address: &str, cookie: &str) -> Result<u64> {
    let get = |path: &str| http.get(format!("{address}{path}")).header(COOKIE, cookie).send();
    loop {
        let mut events = get("/events").await?;
        ensure!(
            events.status().is_success(),
            "the events are refused: {}",
            events.status()
        );
        while events.chunk().await?.is_some() {
            let page = get("").await?;
            ensure!(
                page.status().is_success(),
                "the page is refused: {}",
                page.status()
            );
            page.bytes().await?;
        }
    }
}
