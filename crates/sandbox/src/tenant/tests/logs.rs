//! The tenant's log, read over HTTP.

use super::*;

/// Waits until the log shows this many records: each is shown from the time in its id on, seconds later.
async fn shown(world: &World, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + BOUND;
    loop {
        let (status, logs) = world.get("/logs?per_page=100").await;
        assert_eq!(status, 200, "{logs}");
        let logs = logs.as_array().unwrap().clone();
        if logs.len() == count {
            return logs;
        }
        assert!(Instant::now() < deadline, "{} records, not {count}", logs.len());
        sleep(Duration::from_millis(20)).await;
    }
}

fn ids(logs: &[Value]) -> Vec<&str> {
    logs.iter()
        .map(|record| record["_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_behind_a_record_hold_the_rest_in_the_order_of_ids() {
    let world = World::plain().await;
    for n in 0..12 {
        world
            .tenant
            .create_user(
                &format!("auth0|u{n}"),
                json!({"email": format!("u{n}@example.com")}),
            )
            .unwrap();
    }
    let all = shown(&world, 12).await;
    let dates: Vec<&str> = all
        .iter()
        .map(|record| record["date"].as_str().unwrap())
        .collect();
    assert!(
        dates.is_sorted_by(|one, next| one >= next),
        "newest first: {dates:?}"
    );
    let record = &all[0];
    assert_eq!(
        (&record["_id"], record["type"].as_str()),
        (&record["log_id"], Some("ss"))
    );
    assert!(
        record.as_object().unwrap().contains_key("location_info"),
        "{record}"
    );

    let mut sorted = ids(&all);
    sorted.sort_unstable();
    let mut next = format!("/logs?from={}&take=5", sorted[0]);
    let mut seen = vec![];
    let mut sizes = vec![];
    while sizes.last() != Some(&0) {
        let answer = world.request("GET", &next).send().await.unwrap();
        let link = answer.headers()["link"].to_str().unwrap().to_owned();
        let (address, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        let path = address.split_once("/api/v2").unwrap().1.to_owned();
        let page: Vec<Value> = answer.json().await.unwrap();
        sizes.push(page.len());
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        if page.is_empty() {
            assert_eq!(path, next, "an empty page repeats its link");
        }
        next = path;
    }
    assert_eq!(
        (sizes, seen),
        (
            vec![5, 5, 1, 0],
            sorted[1..].iter().map(|id| (*id).to_owned()).collect()
        )
    );
}

#[tokio::test]
async fn searches_have_their_bounds_and_refusals_their_reasons() {
    let world = World::new(TenantOptions {
        clients: vec![Client::new("reader", "secret").with_scopes(["read:users"])],
        ..TenantOptions::default()
    })
    .await;
    world.tenant.create_user("auth0|a", json!({})).unwrap();
    let log_id = shown(&world, 1).await[0]["log_id"].as_str().unwrap().to_owned();
    let (_, totals) = world.get("/logs?include_totals=true&sort=date%3A1").await;
    assert_eq!(
        (&totals["total"], &totals["logs"][0]["log_id"]),
        (&json!(1), &json!(log_id))
    );
    for bad in [
        "per_page=101",
        "page=20&per_page=50",
        "sort=type:1",
        "q=type:s",
        "from=1",
        "page=x",
    ] {
        let (status, answer) = world.get(&format!("/logs?{bad}")).await;
        assert_eq!(
            (status, &answer["errorCode"]),
            (400, &json!("invalid_query_string")),
            "{bad}"
        );
    }
    let (status, _) = world.get(&format!("/logs?from={log_id}&take=101")).await;
    assert_eq!(status, 400);
    let token = world.token_of("reader").await;
    let url = format!("{}/api/v2/logs", world.tenant.base_url());
    let answer = world.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    world.tenant.expire_logs(true);
    assert_eq!(world.get(&format!("/logs?from={log_id}")).await.0, 400);
    world.tenant.expire_logs(false);
    assert_eq!(world.get(&format!("/logs?from={log_id}")).await, (200, json!([])));
}

#[tokio::test]
async fn one_record_is_returned_by_its_id_once_the_log_has_it() {
    let world = World::new(TenantOptions {
        clients: vec![Client::new("reader", "secret").with_scopes(["read:users"])],
        ..TenantOptions::default()
    })
    .await;
    world.tenant.create_user("auth0|a", json!({})).unwrap();
    let log_id = world.tenant.logged()[0].log_id.clone();
    // The record is not shown before the time in its id.
    assert_eq!(world.get(&format!("/logs/{log_id}")).await.0, 404);
    let listed = shown(&world, 1).await;
    assert_eq!(
        world.get(&format!("/logs/{log_id}")).await,
        (200, listed[0].clone())
    );
    assert_eq!(world.get("/logs/900").await.0, 404);
    let token = world.token_of("reader").await;
    let url = format!("{}/api/v2/logs/{log_id}", world.tenant.base_url());
    let answer = world.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}
