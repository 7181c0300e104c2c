//! Table `rebuild`, and the correction of counts that differ from the events.
//!
//! Owns that no attempt begins meanwhile, and that the counts of a partition, the sums of their owners and the entries of the work
//! queue change in one transaction. Must never undo an event that was folded since the comparison.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::recount::{locked, move_home};
use super::{
    Base, Channel, Enqueue, Priority, Store, StoreError, Tx, acts, bases, erasures, identities, kept_letters,
    owner_totals, playlists, work_queue,
};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::replay::{Difference, Life};
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::tally::Playlist;

/// Rows changed with one statement.
const AT_ONCE: usize = 5_000;

/// The result of a correction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Playlists whose stored state was changed. A later message saved or deleted the others: compare them again.
    pub playlists: u64,
    /// Users who were enqueued.
    pub users: u64,
    /// Partitions to which rows were moved that had a wrong one; their counts are not corrected yet.
    pub moved_to: BTreeSet<i16>,
}

impl Store {
    /// Lets no attempt begin for `lasting`, or extends that. Returns false, and does nothing, while another run holds.
    pub async fn hold_for_rebuild(&self, run: Uuid, lasting: Duration) -> Result<bool, StoreError> {
        let held = sqlx::query_scalar!(
            r#"INSERT INTO rebuild AS r (run, holds_until) VALUES ($1, now() + $2::double precision * interval '1 second')
               ON CONFLICT (only_row) DO UPDATE SET run = excluded.run, holds_until = excluded.holds_until
               WHERE r.run = excluded.run OR r.holds_until < now()
               RETURNING true AS "held!""#,
            run,
            lasting.as_secs_f64()
        );
        let held = held.fetch_optional(&self.pool).await?.is_some();
        crash_point!("held");
        Ok(held)
    }

    /// Ends that.
    pub async fn end_rebuild(&self, run: Uuid) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!("DELETE FROM rebuild WHERE run = $1", run)
            .execute(&mut tx)
            .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("ended");
        Ok(())
    }

    /// Number of attempts in flight.
    pub async fn attempts_in_flight(&self) -> Result<i64, StoreError> {
        let count =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM work_queue WHERE lease_until > now()"#);
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Corrects playlists of one partition in one transaction, while no fold runs, and enqueues their owners. Returns nothing, and
    /// changes nothing, if the operator has set the cursor since, or other rules came into force. A base that was made since the
    /// comparison has the wrong counts, and is removed; so is one from which an erased user would be an owner.
    pub async fn mend(
        &self,
        differences: &[Difference],
        (rules, epoch, base): (&Rules, i64, &Base),
        act: &Act,
    ) -> Result<Option<Mended>, StoreError> {
        let mut tx = self.begin().await?;
        let stopped = kept_letters::stop_folds(&mut tx, "APP_EVENTS", &rules.fingerprint()).await?;
        if stopped != Some((epoch, true)) {
            return Ok(None);
        }
        // No link of accounts changes sums and owners meanwhile.
        identities::serialize(&mut tx).await?;
        let erased = self.erased_owners(&mut tx, differences).await?;
        bases::forget_unless(&mut tx, base, erased.is_empty()).await?;
        let (mut mended, mut owners) = (Mended::default(), BTreeSet::new());
        for some in differences.chunks(AT_ONCE) {
            let ids: Vec<&str> = some.iter().map(|one| one.id.as_str()).collect();
            let moved = move_home(&mut tx, &ids).await?;
            let homes: Vec<&str> = moved.iter().map(String::as_str).collect();
            mended.moved_to.extend(playlists::partitions(&homes));
            // Those were not compared with their row.
            let some = some.iter().filter(|one| !moved.contains(&one.id));
            let rows = changed(&mut tx, some, (&erased, &mut owners)).await?;
            mended.playlists += (rows.len() + moved.len()) as u64;
            put(&mut tx, &rows).await?;
        }
        mended.users = self.enqueue_owners(&mut tx, owners, rules).await?;
        if mended.playlists > 0 {
            let outcome = format!(
                "{} {} corrected, {} {} enqueued",
                mended.playlists,
                noun(mended.playlists, "playlist", "playlists"),
                mended.users,
                noun(mended.users, "user", "users")
            );
            acts::keep(&mut tx, act, &outcome).await?;
        }
        tx.commit().await?;
        crash_point!("mended");
        Ok(Some(mended))
    }

    /// The erased users among the owners by the events.
    async fn erased_owners(
        &self,
        tx: &mut Tx<'_>,
        differences: &[Difference],
    ) -> Result<HashSet<String>, StoreError> {
        let owners = differences
            .iter()
            .filter_map(|one| one.counted.playlist.owner.as_ref());
        let owners: BTreeSet<&str> = owners.map(UserId::as_str).collect();
        let owners: Vec<&str> = owners.into_iter().collect();
        erasures::among(tx, self.erasure_key(), &owners).await
    }

    /// Sums up the owners again where a rule needs their sums, and enqueues them; returns their number.
    pub(super) async fn enqueue_owners(
        &self,
        tx: &mut Tx<'_>,
        owners: BTreeSet<String>,
        rules: &Rules,
    ) -> Result<u64, StoreError> {
        let ids: Vec<&str> = owners.iter().map(String::as_str).collect();
        let persons = identities::persons(tx, &ids).await?;
        let persons: Vec<&str> = persons.iter().map(String::as_str).collect();
        if rules.need_totals() {
            owner_totals::sum_again(tx, &persons).await?;
        }
        let entry = |user: &&str| Enqueue {
            user: (*user).to_owned(),
            priority: Priority::Revoke,
            force_fetch: false,
            cause: None,
            flapping: false,
        };
        let mut entries: Vec<Enqueue> = persons.iter().map(entry).collect();
        work_queue::enqueue(tx, &mut entries).await?;
        Ok(persons.len() as u64)
    }
}

/// The new state of the playlists that can be corrected, without erased owners; their owners before and after go to `owners`.
async fn changed<'d>(
    tx: &mut Tx<'_>,
    differences: impl Iterator<Item = &'d Difference> + Clone,
    (erased, owners): (&HashSet<String>, &mut BTreeSet<String>),
) -> Result<Vec<(&'d str, Life)>, StoreError> {
    let ids: Vec<&str> = differences.clone().map(|one| one.id.as_str()).collect();
    let now = locked(tx, &ids).await?;
    let unknown = Life::default();
    let mut rows = Vec::new();
    for one in differences {
        let now = now.get(&one.id).unwrap_or(&unknown);
        let Some(mut mended) = one.mended(now) else {
            continue;
        };
        let owner = mended.playlist.owner.as_ref().map(UserId::as_str);
        if owner.is_some_and(|owner| erased.contains(owner)) {
            // As the erasure leaves their playlists.
            mended.playlist = Playlist {
                deleted: true,
                ..Playlist::default()
            };
        }
        let both = [now, &mended]
            .into_iter()
            .filter_map(|life| life.playlist.owner.as_ref());
        owners.extend(both.map(|owner| owner.as_str().to_owned()));
        rows.push((one.id.as_str(), mended));
    }
    Ok(rows)
}

/// Writes the state of playlists; their names stay.
async fn put(tx: &mut Tx<'_>, rows: &[(&str, Life)]) -> Result<(), StoreError> {
    let ids: Vec<&str> = rows.iter().map(|(id, _)| *id).collect();
    let plays: Vec<i64> = rows.iter().map(|(_, life)| life.playlist.plays).collect();
    let deleted: Vec<bool> = rows.iter().map(|(_, life)| life.playlist.deleted).collect();
    let owners = rows
        .iter()
        .map(|(_, life)| life.playlist.owner.as_ref().map(UserId::as_str));
    let owners: Vec<Option<&str>> = owners.collect();
    let since: Vec<Option<i64>> = rows.iter().map(|(_, life)| life.saved_again_ns).collect();
    let changed: Vec<Option<i64>> = rows.iter().map(|(_, life)| life.changed_ns).collect();
    sqlx::query!(
        "INSERT INTO playlists (playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns, partition)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::boolean[], $4::text[], $5::bigint[], $6::bigint[], $7::smallint[])
         ON CONFLICT (playlist_id) DO UPDATE
         SET plays = excluded.plays, deleted = excluded.deleted, owner_id = excluded.owner_id,
             saved_again_ns = excluded.saved_again_ns, changed_ns = excluded.changed_ns",
        &ids as &[&str],
        &plays,
        &deleted,
        &owners as &[Option<&str>],
        &since as &[Option<i64>],
        &changed as &[Option<i64>],
        &playlists::partitions(&ids)
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
