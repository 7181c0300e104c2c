//! Table `pins`: roles that users hold or do not hold by the operator's word.
//!
//! Owns that a pin and its act share one transaction, and that the user is enqueued with it. A pin stays with its id, and counts for
//! the person. Must never replace a pin `off` by a pin `on`: the operator removes the `off` first, also that of another id of the
//! person. Must never store a pin of an erased user.

use serde_json::json;
use time::OffsetDateTime;

use super::removals::AnnouncedChange;
use super::{Priority, Store, StoreError, Tx, acts, erasures, identities, work_queue, workers};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::pin::Pin;
use rolekeeper_domain::rule::FORMAT_SINCE;

/// Format of rules since which workers know pins.
const KNOWS_PINS: i32 = 2;

/// A stored pin.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The user.
    pub user: String,
    /// The role.
    pub role: String,
    /// Whether the user holds the role while the pin stands.
    pub on: bool,
    /// Time at which it ends by itself.
    pub until: Option<OffsetDateTime>,
    /// The reason.
    pub why: String,
    /// The operator, or the worker for a removal by hand.
    pub by: String,
    /// Time of the pin.
    pub at: OffsetDateTime,
}

/// Result of the operator's pin.
#[derive(Clone, Debug)]
pub enum PinOutcome {
    /// It stands from now on; beside it the pin that it replaced.
    Stands(Option<Pinned>),
    /// Nothing was done: a pin `off` stands, which a pin `on` does not replace.
    IsOff(Pinned),
    /// Nothing was done: the end is not in the future.
    Ended,
    /// Nothing was done: this live worker would ignore the pin.
    Unaware(String),
}

/// Result of the removal of a pin.
#[derive(Clone, Debug)]
pub enum UnpinOutcome {
    /// It is removed; these pins of the role still stand at other ids of the person.
    Removed(Pinned, Vec<Pinned>),
    /// Nothing was done: the id has none, other ids of the person have these.
    Others(Vec<Pinned>),
}

/// Removes the pins of a user, also of the linked ids, that have ended at `now`, with an act for each.
pub async fn remove_ended(tx: &mut Tx<'_>, user: &str, now: OffsetDateTime) -> Result<(), StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM pins WHERE user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = $1) || $1::text) AND until <= $2
         RETURNING user_id, role, state",
        user,
        now
    );
    for ended in ended.fetch_all(&mut *tx).await? {
        let act = Act {
            by: acts::WORKER.to_owned(),
            command: "unpin",
            arguments: json!({"user": ended.user_id, "role": ended.role, "was": ended.state}),
            why: None,
        };
        acts::keep(tx, &act, "the pin ended: its time is over").await?;
    }
    Ok(())
}

/// Pins a role off because another client removed it, as a confirmed record reports. A pin that stands stays.
pub async fn respect(
    tx: &mut Tx<'_>,
    user: &str,
    role: &str,
    told: &AnnouncedChange,
    released: bool,
) -> Result<(), StoreError> {
    let client = told.client.as_deref().unwrap_or("an unknown client");
    sqlx::query!(
        "INSERT INTO pins (user_id, role, state, why, pinned_by, log_id, client_id, released) VALUES ($1, $2, 'off', $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING",
        user,
        role,
        format!("removed by {client}"),
        acts::WORKER,
        told.log_id,
        told.client,
        released
    )
    .execute(&mut *tx)
    .await?;
    let act = Act {
        by: acts::WORKER.to_owned(),
        command: "pin",
        arguments: json!({"user": user, "role": role, "state": "off", "client": told.client, "log_id": told.log_id}),
        why: None,
    };
    acts::keep(tx, &act, "pinned off: another client removed the role").await
}

/// The pins of a role at all ids of the person that have not ended: that of `user`, and those of the other ids, the one that counts
/// first.
async fn standing(
    tx: &mut Tx<'_>,
    user: &str,
    role: &str,
) -> Result<(Option<Pinned>, Vec<Pinned>), StoreError> {
    let ids = identities::person(tx, user).await?;
    let pinned = sqlx::query_as!(
        Pinned,
        r#"SELECT user_id AS "user", role, state = 'on' AS "on!", until, why, pinned_by AS "by", pinned_at AS "at"
           FROM pins WHERE user_id = ANY($1::text[]) AND role = $2 AND (until IS NULL OR until > now())
           ORDER BY state = 'on', until DESC NULLS FIRST, user_id"#,
        &ids,
        role
    );
    let pinned = pinned.fetch_all(&mut *tx).await?;
    let (own, others): (Vec<_>, Vec<_>) = pinned.into_iter().partition(|pinned| pinned.user == user);
    Ok((own.into_iter().next(), others))
}

impl Store {
    /// Pins a role of a user, in place of an earlier pin. A parked user is attempted again.
    ///
    /// # Errors
    /// The user was erased, or Postgres refused.
    pub async fn pin(&self, user: &str, pin: &Pin, act: &Act) -> Result<PinOutcome, StoreError> {
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user).await?;
        if let Some(unaware) = workers::unaware_of(&mut tx, KNOWS_PINS).await? {
            return Ok(PinOutcome::Unaware(format!(
                "the running worker {unaware} does not know pins and would undo this one: start release {FORMAT_SINCE} or newer \
                 in its place"
            )));
        }
        // Locks the queue first, in the same order as reconcile.
        let priority = if pin.on { Priority::Grant } else { Priority::Revoke };
        work_queue::read_next(&mut tx, user, priority).await?;
        let (before, others) = standing(&mut tx, user, &pin.role).await?;
        let off = before.iter().chain(&others).find(|before| pin.on && !before.on);
        if let Some(off) = off {
            return Ok(PinOutcome::IsOff(off.clone()));
        }
        let pinned = sqlx::query!(
            "INSERT INTO pins (user_id, role, state, until, why, pinned_by)
             SELECT $1, $2, $3, $4, $5, $6 WHERE $4::timestamptz IS NULL OR $4 > now()
             ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
                 pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = NULL, client_id = NULL, released = false",
            user,
            pin.role,
            state(pin.on),
            pin.until,
            act.why.clone().unwrap_or_default(),
            act.by
        );
        if pinned.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(PinOutcome::Ended);
        }
        acts::keep(&mut tx, act, &outcome(pin.on, before.as_ref())).await?;
        tx.commit().await?;
        crash_point!("pinned");
        Ok(PinOutcome::Stands(before))
    }

    /// Removes the pin of an id and role: from then on the rules decide, unless another id of the person has one.
    pub async fn unpin(&self, user: &str, role: &str, act: &Act) -> Result<UnpinOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let (before, others) = standing(&mut tx, user, role).await?;
        let Some(before) = before else {
            return Ok(UnpinOutcome::Others(others));
        };
        let priority = if before.on {
            Priority::Revoke
        } else {
            Priority::Grant
        };
        work_queue::read_next(&mut tx, user, priority).await?;
        let removed = sqlx::query!("DELETE FROM pins WHERE user_id = $1 AND role = $2", user, role);
        if removed.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(UnpinOutcome::Others(others));
        }
        let mut act = act.clone();
        act.arguments["was"] = json!(state(before.on));
        let outcome = others.first().map_or_else(
            || "unpinned: the rules decide".to_owned(),
            |other| format!("unpinned: {} is still pinned {}", other.user, state(other.on)),
        );
        acts::keep(&mut tx, &act, &outcome).await?;
        tx.commit().await?;
        crash_point!("unpinned");
        Ok(UnpinOutcome::Removed(before, others))
    }

    /// The pins of an id and of all ids that were moved to it.
    pub async fn pins_of_ids(&self, user: &str) -> Result<Vec<Pinned>, StoreError> {
        let rows = sqlx::query_as!(
            Pinned,
            r#"WITH RECURSIVE ids(id) AS (
                   SELECT $1::text COLLATE "C" UNION SELECT m.old_id FROM moves m JOIN ids ON m.new_id = ids.id
               )
               SELECT user_id AS "user", role, state = 'on' AS "on!", until, why, pinned_by AS "by", pinned_at AS "at"
               FROM pins WHERE user_id IN (SELECT id FROM ids) AND (until IS NULL OR until > now()) ORDER BY role, user_id"#,
            user
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The pins that stand, of one person, by any of the ids, or one role if named, newest first and at most `most`.
    pub async fn pins(
        &self,
        user: Option<&str>,
        role: Option<&str>,
        most: i64,
    ) -> Result<Vec<Pinned>, StoreError> {
        let mut tx = self.begin().await?;
        let ids = match user {
            Some(user) => Some(identities::person(&mut tx, user).await?),
            None => None,
        };
        let rows = sqlx::query_as!(
            Pinned,
            r#"SELECT user_id AS "user", role, state = 'on' AS "on!", until, why, pinned_by AS "by", pinned_at AS "at"
               FROM pins
               WHERE (until IS NULL OR until > now()) AND ($1::text[] IS NULL OR user_id = ANY($1)) AND ($2::text IS NULL OR role = $2)
               ORDER BY pinned_at DESC, user_id, role LIMIT $3"#,
            ids.as_deref(),
            role,
            most
        );
        Ok(rows.fetch_all(&mut tx).await?)
    }
}

fn state(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The result for the audit.
fn outcome(on: bool, before: Option<&Pinned>) -> String {
    let now = state(on);
    match before {
        None => format!("pinned {now}"),
        Some(before) => format!("pinned {now}, in place of {} by {}", state(before.on), before.by),
    }
}
