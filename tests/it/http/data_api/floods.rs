//! Wrong tokens by the thousand.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::json;

use crate::world::data_api::{ANNA, DataApi, SigningKey, encoded, unsigned};

const WRONG: u64 = 6_000;
const AT_ONCE: usize = 100;
/// Requests of a user meanwhile.
const OF_A_USER: usize = 40;

/// A wrong token of each kind in turn: of another key, of a key that no tenant has, cut, as long as a header may be, and none.
fn wrong(api: &DataApi, forged: &str, number: u64) -> String {
    match number % 5 {
        0 => forged.to_owned(),
        1 => {
            let header = json!({"alg": "RS256", "kid": format!("unknown-{number}")});
            format!("{}.{}", unsigned(&header, &api.claims(ANNA)), encoded(&[0; 256]))
        }
        2 => forged[..forged.len() / 2].to_owned(),
        3 => "x".repeat(8_000),
        _ => String::new(),
    }
}

#[tokio::test]
async fn wrong_tokens_by_the_thousand_hold_up_no_user() {
    let api = DataApi::start().await;
    assert_eq!(api.get(ANNA, "/songs").await.status, 200);
    let before = api.worker.peak_memory_mib();
    let forged = SigningKey::rsa().token(&api.rsa.header("rsa"), &api.claims(ANNA));
    let flood = stream::iter(0..WRONG).map(async |number| {
        let token = wrong(&api, &forged, number);
        api.ask(Method::GET, "/songs", &token, None).await.status
    });
    let flood = flood.buffer_unordered(AT_ONCE).all(async |status| status == 401);
    let user = async {
        for number in 0..OF_A_USER {
            assert_eq!(api.get(ANNA, "/songs").await.status, 200, "{number}");
            let health = api.worker.get("/healthz").await.map(|(status, _)| status);
            assert_eq!(health, Some(200), "{number}");
        }
    };
    let (all_refused, ()) = tokio::join!(flood, user);
    assert!(all_refused, "each wrong token is refused");
    let mut counted = 0;
    for reason in ["missing", "malformed", "key", "signature"] {
        let series = format!("rolekeeper_api_refused_tokens_total{{reason=\"{reason}\"}}");
        counted += api.worker.count(&series).await.expect("a number");
    }
    assert_eq!(u64::try_from(counted), Ok(WRONG));
    let more = api.worker.peak_memory_mib() - before;
    assert!(more < 60, "{more} MiB more than before");
}
