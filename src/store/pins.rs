//! Table `pins`: roles that users hold or do not hold by the operator's word.
//!
//! Owns that a pin and its act share one transaction, and that the user is enqueued with it. Must never replace a pin
//! `off` by a pin `on`: the operator removes the `off` first. Must never store a pin of an erased user.

use serde_json::json;
use time::OffsetDateTime;

use super::removals::AnnouncedChange;
use super::{Priority, Store, StoreError, Tx, acts, erasures, own_pins, work_queue, workers};
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

/// Removes the pins of a user that have ended at `now`.
pub async fn remove_ended(tx: &mut Tx<'_>, user: &str, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM pins WHERE user_id = $1 AND until <= $2", user, now)
        .execute(&mut *tx)
        .await?;
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
    let by = "the worker that reconciles";
    let client = told.client.as_deref().unwrap_or("an unknown client");
    sqlx::query!(
        "INSERT INTO pins (user_id, role, state, why, pinned_by, log_id, client_id, released) VALUES ($1, $2, 'off', $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING",
        user,
        role,
        format!("removed by {client}"),
        by,
        told.log_id,
        told.client,
        released
    )
    .execute(&mut *tx)
    .await?;
    let act = Act {
        by: by.to_owned(),
        command: "pin",
        arguments: json!({"user": user, "role": role, "state": "off", "client": told.client, "log_id": told.log_id}),
        why: None,
    };
    acts::keep(tx, &act, "pinned off: another client removed the role").await
}

/// The pin of the user and role, unless it has ended.
async fn standing(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<Option<Pinned>, StoreError> {
    let pinned = sqlx::query_as!(
        Pinned,
        r#"SELECT user_id AS "user", role, state = 'on' AS "on!", until, why, pinned_by AS "by", pinned_at AS "at"
           FROM pins WHERE user_id = $1 AND role = $2 AND (until IS NULL OR until > now())"#,
        user,
        role
    );
    Ok(pinned.fetch_optional(&mut *tx).await?)
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
        let before = standing(&mut tx, user, &pin.role).await?;
        if let Some(off) = before.clone().filter(|before| pin.on && !before.on) {
            return Ok(PinOutcome::IsOff(off));
        }
        let pinned = sqlx::query!(
            "INSERT INTO pins (user_id, role, state, until, why, pinned_by)
             SELECT $1, $2, $3, $4, $5, $6 WHERE $4::timestamptz IS NULL OR $4 > now()
             ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
                 pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = NULL, client_id = NULL, released = false,
                 moved_from = NULL",
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
        own_pins::forget(&mut tx, user, &pin.role).await?;
        acts::keep(&mut tx, act, &outcome(pin.on, before.as_ref())).await?;
        tx.commit().await?;
        Ok(PinOutcome::Stands(before))
    }

    /// Removes the pin of a user and role: from then on the rules decide. Returns the pin; `None` if there was none.
    pub async fn unpin(&self, user: &str, role: &str, act: &Act) -> Result<Option<Pinned>, StoreError> {
        let mut tx = self.begin().await?;
        let Some(before) = standing(&mut tx, user, role).await? else {
            return Ok(None);
        };
        let priority = if before.on {
            Priority::Revoke
        } else {
            Priority::Grant
        };
        work_queue::read_next(&mut tx, user, priority).await?;
        let removed = sqlx::query!("DELETE FROM pins WHERE user_id = $1 AND role = $2", user, role);
        if removed.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(None);
        }
        own_pins::forget(&mut tx, user, role).await?;
        let mut act = act.clone();
        act.arguments["was"] = json!(state(before.on));
        acts::keep(&mut tx, &act, "unpinned: the rules decide").await?;
        tx.commit().await?;
        Ok(Some(before))
    }

    /// The pins of an id and of all ids that were moved to it, also where they are in force at another id by now.
    pub async fn pins_of_ids(&self, user: &str) -> Result<Vec<Pinned>, StoreError> {
        let rows = sqlx::query_as!(
            Pinned,
            r#"WITH RECURSIVE ids(id) AS (
                   SELECT $1::text COLLATE "C" UNION SELECT m.old_id FROM moves m JOIN ids ON m.new_id = ids.id
               ), own AS (
                   SELECT user_id, role, state, until, why, pinned_by, pinned_at FROM own_pins
                   UNION ALL SELECT user_id, role, state, until, why, pinned_by, pinned_at FROM pins WHERE moved_from IS NULL
               )
               SELECT user_id AS "user!", role AS "role!", state = 'on' AS "on!", until, why AS "why!", pinned_by AS "by!",
                   pinned_at AS "at!"
               FROM own WHERE user_id IN (SELECT id FROM ids) AND (until IS NULL OR until > now()) ORDER BY role, user_id"#,
            user
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The pins that stand, of one user or one role if named, newest first and at most `most`.
    pub async fn pins(
        &self,
        user: Option<&str>,
        role: Option<&str>,
        most: i64,
    ) -> Result<Vec<Pinned>, StoreError> {
        let rows = sqlx::query_as!(
            Pinned,
            r#"SELECT user_id AS "user", role, state = 'on' AS "on!", until, why, pinned_by AS "by", pinned_at AS "at"
               FROM pins
               WHERE (until IS NULL OR until > now()) AND ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR role = $2)
               ORDER BY pinned_at DESC, user_id, role LIMIT $3"#,
            user,
            role,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
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
