//! One user's walk through the app: from the sign-up to the role, to its revoke, and to a second account that is linked.
//!
//! Owns the steps and the expected result of each. It runs with separate servers, so that the counts of the traffic do not
//! include it. Must never continue after a step with another result.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::world::{AUDIENCE, NAMESPACE, World};
use rolekeeper_sandbox::now;
use rolekeeper_sandbox::tenant::{Actor, Tenant};
use rolekeeper_sandbox::traffic::app::{App, AppResponse, Tokens};
use rolekeeper_sandbox::traffic::cast::{Kind, Playlist, User};
use rolekeeper_sandbox::traffic::event::Event;
use rolekeeper_sandbox::traffic::publish::Publisher;
use rolekeeper_sandbox::traffic::{ROLE, THRESHOLD};

const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "correct horse battery staple";
/// Her second account.
const GOOGLE: &str = "google-oauth2|7";
/// Longest time of one step.
const STEP_WITHIN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The user and her app.
struct Walk<'w> {
    tenant: &'w Tenant,
    app: App,
    publisher: Publisher,
    id: String,
}

/// Runs the walk; prints the response to each step.
pub(super) async fn walk(world: &World) -> Result<()> {
    let app = App::new(&world.tenant.base_url(), &world.worker.api, AUDIENCE)?;
    let publisher = Publisher::connect(&world.nats.url()).await?;
    println!("\nOne user's walk");
    let user = app.sign_up(EMAIL, PASSWORD).await?;
    let id = format!("auth0|{}", user.body["_id"].as_str().unwrap_or_default());
    step("signs up", is(&user, 200)?, &id);
    let walk = Walk {
        tenant: &world.tenant,
        app,
        publisher,
        id,
    };
    let tokens = walk.comes_in().await?;
    let playlist = walk.makes_a_playlist(&tokens).await?;
    let tokens = walk.earns_the_role(&tokens, &playlist).await?;
    walk.loses_it(&tokens, &playlist).await?;
    walk.links_an_account().await
}

impl Walk<'_> {
    async fn comes_in(&self) -> Result<Tokens> {
        let tokens = self.log_in("user", &Value::Null).await?;
        let me = self.app.get(&tokens, "/me").await?;
        ensure!(me.body["greeting"] == "USER", "greeted otherwise: {}", me.body);
        step("asks GET /me", is(&me, 200)?, "greeted USER");
        let wish = json!({"displayName": "Ann"});
        let requested = self.app.put(&tokens, "/displayName", &wish).await?;
        step("PUT /displayName Ann", is(&requested, 202)?, "requested");
        self.until("the name is written", |user| {
            user["user_metadata"]["displayName"] == "Ann"
        })
        .await?;
        Ok(tokens)
    }

    async fn makes_a_playlist(&self, tokens: &Tokens) -> Result<String> {
        let made = self
            .app
            .post(tokens, "/playlists", &json!({"name": "Road trip"}))
            .await?;
        let playlist = made.body["playlist_id"].as_str().unwrap_or_default().to_owned();
        step("POST /playlists", is(&made, 202)?, &playlist);
        let refused = self.feature(tokens, &playlist).await?;
        step("PUT /playlists/featured", is(&refused, 403)?, "not an editor");
        Ok(playlist)
    }

    async fn earns_the_role(&self, tokens: &Tokens, playlist: &str) -> Result<Tokens> {
        self.publish("walk", playlist, vec![]).await?;
        self.until("100 plays: the role is there", |user| {
            roles(user) == json!([ROLE])
        })
        .await?;
        let deadline = Instant::now() + STEP_WITHIN;
        while self.app.get(tokens, "/me").await?.body["greeting"] != "EDITOR" {
            ensure!(Instant::now() < deadline, "never greeted EDITOR");
            sleep(POLL_INTERVAL).await;
        }
        let tokens = self.log_in("Ann", &json!([ROLE])).await?;
        step("asks GET /me", 200, "greeted EDITOR");
        let featured = self.feature(&tokens, playlist).await?;
        step("PUT /playlists/featured", is(&featured, 204)?, "featured");
        Ok(tokens)
    }

    async fn loses_it(&self, tokens: &Tokens, playlist: &str) -> Result<()> {
        let back = Event::retraction(
            "walk_back".into(),
            playlist,
            "walk_7",
            &user("auth0|listener"),
            now(),
        );
        self.publisher.send(&[&back]).await?;
        self.until("1 play retracted: the role is gone", |user| {
            roles(user) == json!([])
        })
        .await?;
        let deadline = Instant::now() + STEP_WITHIN;
        // The token still claims the role.
        let refused = loop {
            let said = self.feature(tokens, playlist).await?;
            if said.status == 403 {
                break said;
            }
            ensure!(Instant::now() < deadline, "featuring was never refused");
            sleep(POLL_INTERVAL).await;
        };
        step(
            "PUT /playlists/featured",
            is(&refused, 403)?,
            "no longer an editor",
        );
        self.log_in("Ann", &json!([])).await?;
        Ok(())
    }

    /// Her account with Google earns the role, and the app links it: the role follows to the first account.
    async fn links_an_account(&self) -> Result<()> {
        self.tenant.create_user(GOOGLE, json!({"email": EMAIL}))?;
        step("signs up with Google", 201, GOOGLE);
        let (owner, playlist) = (user(GOOGLE), "pl_google".to_owned());
        let saved = Playlist {
            id: playlist.clone(),
            owner: 0,
            plays: 0,
        };
        self.publish("google", &playlist, vec![Event::saved(&saved, &owner)])
            .await?;
        self.until_at(GOOGLE, "100 plays there: the role is there", |user| {
            roles(user) == json!([ROLE])
        })
        .await?;
        self.tenant
            .link(Actor::Client("app".to_owned()), &self.id, GOOGLE)?;
        step(
            "the app links both accounts",
            201,
            "the second one ends, with its roles",
        );
        self.until("linked: the role has followed", |user| {
            roles(user) == json!([ROLE])
        })
        .await?;
        let tokens = self.log_in("Ann", &json!([ROLE])).await?;
        let lists = self.app.get(&tokens, "/playlists").await?;
        ensure!(
            lists.body.to_string().contains(&playlist),
            "not hers: {}",
            lists.body
        );
        step("GET /playlists", is(&lists, 200)?, "those of both accounts");
        println!();
        Ok(())
    }

    /// Publishes these events and enough plays of the playlist for the role.
    async fn publish(&self, name: &str, playlist: &str, mut events: Vec<Event>) -> Result<()> {
        let listener = user("auth0|listener");
        let play = |number| Event::play(format!("{name}_{number}"), playlist, &listener, now());
        events.extend((0..THRESHOLD).map(play));
        self.publisher.send(&events.iter().collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// Logs in; the ID token must have this name and these roles.
    async fn log_in(&self, name: &str, roles: &Value) -> Result<Tokens> {
        let tokens = self.app.log_in(EMAIL, PASSWORD).await?;
        let claim = |name: &str| &tokens.id[format!("{NAMESPACE}/{name}")];
        let said = format!(
            "token: displayName {}, roles {}",
            claim("displayName"),
            claim("roles")
        );
        ensure!(
            claim("displayName") == name && claim("roles") == roles,
            "expected {name} and {roles}; {said}"
        );
        step("logs in", 200, &said);
        Ok(tokens)
    }

    async fn feature(&self, tokens: &Tokens, playlist: &str) -> Result<AppResponse> {
        let body = json!({"playlist_id": playlist});
        self.app.put(tokens, "/playlists/featured", &body).await
    }

    /// Waits until the user at the tenant meets the condition, and prints how long it took.
    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        self.until_at(&self.id, what, is_so).await
    }

    /// The same for another account.
    async fn until_at(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let began = Instant::now();
        while !self.tenant.user(id).is_some_and(|user| is_so(&user)) {
            ensure!(
                began.elapsed() < STEP_WITHIN,
                "not within {STEP_WITHIN:?}: {what}"
            );
            sleep(POLL_INTERVAL).await;
        }
        let took = format!("at the tenant after {} ms", began.elapsed().as_millis());
        println!("  {what:<36}      {took}");
        Ok(())
    }
}

fn roles(user: &Value) -> Value {
    user["app_metadata"]["roles"].clone()
}

fn user(id: &str) -> User {
    User {
        id: id.into(),
        kind: Kind::Member,
        profile: json!({}),
    }
}

fn is(said: &AppResponse, status: u16) -> Result<u16> {
    ensure!(
        said.status == status,
        "expected status {status}, got {}: {}",
        said.status,
        said.body
    );
    Ok(status)
}

fn step(what: &str, status: u16, said: &str) {
    println!("  {what:<36} {status}  {said}");
}
