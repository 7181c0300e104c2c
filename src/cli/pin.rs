//! `rolekeeper pin` and `pins`: the operator decides a role of one user, in place of the rules.
//!
//! Owns the checks of a pin and the output about pins. Must never pin a role that no rule in force names, nor pin a
//! forbidden role `on`.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::ask::id;
use super::output::{self, remark, say};
use crate::app;
use crate::config::{DatabaseArgs, ErasureArgs, ForbiddenArgs, ReasonedArgs};
use crate::store::{PinOutcome, Pinned, Store, StoreError};
use rolekeeper_domain::date;
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::limits::Limit;
use rolekeeper_domain::pin::Pin;

/// Pins a role of a user: `on`, the user holds the role; `off`, the user does not hold it, even if another client gives it.
/// A pin outweighs rules and `manual`, and passes brakes and the loss of a stream. It stays with the id and counts for the whole
/// person, where off outweighs on. It ends at --until, or with `rolekeeper unpin`; then the rules decide again.
#[derive(Args, Debug)]
pub(super) struct PinArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// Auth0 user id, such as `auth0|6132829445244d0069782a78`
    #[arg(value_name = "USER_ID")]
    user: String,
    /// The role, as the rules name it
    role: String,
    /// Whether the user holds the role
    #[arg(value_enum)]
    state: State,
    /// Time at which the pin ends by itself, such as 2026-12-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    act: ReasonedArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    On,
    Off,
}

/// Shows the pins that stand, newest first.
#[derive(Args, Debug)]
pub(super) struct PinsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only the pins of this user, at all ids of the person
    #[arg(long, value_name = "USER_ID")]
    user: Option<String>,
    /// Only the pins of this role
    #[arg(long)]
    role: Option<String>,
    /// Most pins to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// One JSON object per line: `user_id`, `role`, `state`, `until`, `why`, `by`, `at`
    #[arg(long)]
    json: bool,
}

pub(super) async fn pin(args: PinArgs) -> Result<()> {
    let PinArgs {
        database,
        erasure,
        forbidden,
        user,
        role,
        state,
        until,
        act,
    } = args;
    let (database, key) = erasure.checked_if_set(&database)?;
    id(&user)?;
    let on = state == State::On;
    if on && forbidden.roles().has(&role) {
        bail!("{role}: FORBIDDEN_ROLES lists this role, so it is never granted, by no pin either");
    }
    let until = until.map(|text| time_of(&text)).transpose()?;
    let store = app::connect(&database).await?.with_erasure_key(key);
    known(&store, &role).await?;
    let shown = until.map(shown).transpose()?;
    let word = if on { "on" } else { "off" };
    let arguments = json!({"user": user, "role": role, "state": word, "until": shown});
    let act = act.act("pin", arguments);
    let pin = Pin { role, on, until };
    let outcome = match store.pin(&user, &pin, &act).await {
        Err(StoreError::Erased) => bail!(
            "{user}: the user was erased, so no data is stored and rolekeeper never changes the user's roles: nothing to pin"
        ),
        other => other?,
    };
    let before = match outcome {
        PinOutcome::Stands(before) => before,
        PinOutcome::IsOff(off) => bail!(
            "{user}: {role} is pinned off, by {}: {}. A pin off is removed first: rolekeeper unpin '{}' {role}",
            off.by,
            off.why,
            off.user,
            role = pin.role
        ),
        PinOutcome::Ended => bail!("--until: expected a time in the future"),
        PinOutcome::Unaware(why) => bail!("{user}: not pinned: {why}"),
    };
    let end = shown.map_or_else(String::new, |until| format!(" until {until}"));
    say!(
        "{user}: {} is pinned {word}{end}; the user is reconciled next",
        pin.role
    );
    if let Some(before) = before {
        let was = if before.on { "on" } else { "off" };
        say!("  in place of the pin {was} by {}: {}", before.by, before.why);
    }
    later(&store).await
}

/// Prints why a pin takes effect later.
pub(super) async fn later(store: &Store) -> Result<()> {
    if store.paused().await?.is_some() {
        say!("  rolekeeper is paused: the role changes after `rolekeeper resume`");
    }
    if store.limits().await?.get(Limit::Writes) <= 0.0 {
        say!("  writes are off: the role changes after `rolekeeper limits set writes on`");
    }
    Ok(())
}

pub(super) async fn pins(args: PinsArgs) -> Result<()> {
    let PinsArgs {
        database,
        user,
        role,
        limit,
        json,
    } = args;
    let store = app::connect(&database.checked()?).await?;
    let pins = store
        .pins(user.as_deref(), role.as_deref(), i64::from(limit) + 1)
        .await?;
    let (shown, more) = pins.split_at(pins.len().min(limit as usize));
    let text = if json {
        lines(shown)?
    } else {
        listed(&store, shown).await?
    };
    output::to_stdout(format_args!("{text}"));
    if !more.is_empty() {
        remark!("the newest {limit} pins shown; --limit shows more");
    }
    Ok(())
}

fn lines(pins: &[Pinned]) -> Result<String> {
    let mut text = String::new();
    for pin in pins {
        let object = json!({
            "user_id": pin.user, "role": pin.role, "state": if pin.on { "on" } else { "off" },
            "until": pin.until.map(shown).transpose()?, "why": pin.why, "by": pin.by, "at": shown(pin.at)?,
        });
        writeln!(text, "{object}")?;
    }
    Ok(text)
}

async fn listed(store: &Store, pins: &[Pinned]) -> Result<String> {
    if pins.is_empty() {
        return Ok("no pin stands\n".to_owned());
    }
    let managed = managed(store).await?;
    let mut text = String::new();
    for pin in pins {
        let state = if pin.on { "on" } else { "off" };
        let until = pin.until.map(shown).transpose()?;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let idle = if managed.contains(&pin.role) {
            ""
        } else {
            " (without effect: no rule names this role)"
        };
        let (by, why, at) = (plain(&pin.by), plain(&pin.why), shown(pin.at)?);
        writeln!(
            text,
            "{}  {} {state}{until}{idle}: pinned {at} by {by}: {why}",
            pin.user, pin.role
        )?;
    }
    Ok(text)
}

/// The roles that the rules in force name.
async fn managed(store: &Store) -> Result<Vec<String>> {
    let in_force = store.rules_in_force().await?;
    let rules = in_force.iter().flat_map(|in_force| in_force.rules.as_slice());
    Ok(rules.map(|rule| rule.role.clone()).collect())
}

/// Refuses a role that no rule in force names: a pin of it would have no effect.
async fn known(store: &Store, role: &str) -> Result<()> {
    let managed = managed(store).await?;
    if managed.is_empty() {
        bail!("{role}: no rules are in force yet, so no role can be pinned: start a worker first");
    }
    if !managed.iter().any(|one| one == role) {
        bail!(
            "{role}: no rule in force names this role, so a pin would have no effect; the rules name: {}",
            managed.join(", ")
        );
    }
    Ok(())
}

fn time_of(text: &str) -> Result<OffsetDateTime> {
    date::of_text(text.trim())
        .with_context(|| format!("--until {text:?}: expected a time such as 2026-12-31T12:00:00Z"))
}

fn shown(at: OffsetDateTime) -> Result<String> {
    Ok(at
        .to_offset(UtcOffset::UTC)
        .replace_nanosecond(0)?
        .format(&Rfc3339)?)
}
