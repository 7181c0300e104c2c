//! Tables `erasures` and `erasure_key`: erased users.
//!
//! Owns that no erased data returns. Must never store an id here, nor compute a hash while no user was erased.

use std::collections::HashSet;

use serde_json::json;

use super::person::Words;
use super::said::Said;
use super::{Store, StoreError, Tx, acts, deletions, former_identities, pause, person};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::erasure::{ErasureKey, Hash, pseudonym};
use rolekeeper_domain::ids::UserId;

/// Longest wait for a lock: the folds wait as long, also for a row that another client has locked.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";

/// Result of an erasure.
#[derive(Clone, Debug)]
pub struct Erased {
    /// Number of rows removed or made anonymous.
    pub rows: u64,
    /// The user had been erased before.
    pub before: bool,
    /// The erased ids: all of the person, the primary first.
    pub ids: Vec<String>,
}

/// The erased users among these. While no user was erased, this reads an empty table.
///
/// # Errors
/// A user was erased, and the key is missing or another one.
pub async fn among(
    tx: &mut Tx<'_>,
    key: Option<&ErasureKey>,
    users: &[&str],
) -> Result<HashSet<String>, StoreError> {
    if users.is_empty() {
        return Ok(HashSet::new());
    }
    let Some(check_value) = check_value(tx).await? else {
        return Ok(HashSet::new());
    };
    let key = matching_key(key, &check_value)?;
    let hashes: Vec<Hash> = users.iter().map(|user| key.hash(user)).collect();
    let asked: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let erased = sqlx::query_scalar!(
        "SELECT user_hash FROM erasures WHERE user_hash = ANY($1::bytea[])",
        &asked as &[&[u8]]
    );
    let erased: HashSet<Vec<u8>> = erased.fetch_all(&mut *tx).await?.into_iter().collect();
    let among = users.iter().zip(&hashes);
    Ok(among
        .filter(|(_, hash)| erased.contains(hash.as_slice()))
        .map(|(user, _)| (*user).to_owned())
        .collect())
}

/// Removes data that has returned of an erased user: from a writer that began before the erasure, or a command that
/// names the user. Returns whether the user is erased.
pub async fn erased_again(tx: &mut Tx<'_>, key: Option<&ErasureKey>, user: &str) -> Result<bool, StoreError> {
    if !among(tx, key, &[user]).await?.contains(user) {
        return Ok(false);
    }
    if let Some(key) = key {
        let recent = acts::recent(tx).await?;
        let words = Words::of(tx, (vec![], Said::default()), &recent).await?;
        person::erase(tx, user, &pseudonym(&key.hash(user)), &words).await?;
    }
    Ok(true)
}

/// Returns the erased users among these, of whom nothing may be stored. An erasure that begins later waits for this transaction,
/// and removes its rows. Call it before any other lock is taken.
///
/// # Errors
/// As [`among`].
pub async fn keep_out(
    tx: &mut Tx<'_>,
    key: Option<&ErasureKey>,
    users: &[&str],
) -> Result<HashSet<String>, StoreError> {
    hold_off(tx).await?;
    among(tx, key, users).await
}

/// Lets an erasure that begins later wait for this transaction, and remove its rows. Call it before any other lock is taken.
pub async fn hold_off(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("LOCK TABLE stream_cursors IN ROW SHARE MODE")
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Refuses to store data of an erased user. An erasure that begins later waits for this transaction, and removes its
/// rows. Call it before any other lock is taken.
///
/// # Errors
/// [`StoreError::Erased`], or the missing key that the check needs.
pub(super) async fn refuse(tx: &mut Tx<'_>, key: Option<&ErasureKey>, user: &str) -> Result<(), StoreError> {
    if keep_out(tx, key, &[user]).await?.is_empty() {
        Ok(())
    } else {
        Err(StoreError::Erased)
    }
}

async fn check_value(tx: &mut Tx<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let check_value = sqlx::query_scalar!("SELECT check_value FROM erasure_key");
    Ok(check_value.fetch_optional(&mut *tx).await?)
}

fn matching_key<'k>(key: Option<&'k ErasureKey>, check_value: &[u8]) -> Result<&'k ErasureKey, StoreError> {
    let wrong = |what: &str| {
        StoreError::ErasureKey(format!(
            "ERASURE_KEY: {what}; users were erased here, and only the key of that time identifies them. Set it \
             to the value that `rolekeeper erase` was run with"
        ))
    };
    let key = key.ok_or_else(|| wrong("not set"))?;
    if key.check_value() == check_value {
        Ok(key)
    } else {
        Err(wrong("not the key that users were erased with"))
    }
}

impl Store {
    /// The same store, with the key that identifies erased users.
    #[must_use]
    pub fn with_erasure_key(mut self, key: Option<ErasureKey>) -> Self {
        self.erasure_key = key;
        self
    }

    /// The key that identifies erased users.
    #[must_use]
    pub fn erasure_key(&self) -> Option<&ErasureKey> {
        self.erasure_key.as_ref()
    }

    /// Refuses to start if users were erased and this worker cannot identify them.
    ///
    /// # Errors
    /// The key is missing or another one, or Postgres is unreachable.
    pub async fn check_erasure_key(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if let Some(check_value) = check_value(&mut tx).await? {
            matching_key(self.erasure_key(), &check_value)?;
        }
        Ok(())
    }

    /// Refuses an erased user.
    ///
    /// # Errors
    /// [`StoreError::Erased`], or the missing key that the check needs.
    pub async fn refuse_erased(&self, user: &UserId<'_>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        refuse(&mut tx, self.erasure_key(), user.as_str()).await
    }

    /// Erases users, each with all ids of the person: first from the dead letters, which are many, then from all other tables in
    /// one transaction. The act names the pseudonyms. With `deleted`, a user stays who was seen at Auth0 meanwhile, and all stay
    /// while rolekeeper is paused.
    ///
    /// # Errors
    /// Other users were erased with another key, or Postgres refused; then nothing was changed.
    pub async fn erase(
        &self,
        users: &[String],
        key: &ErasureKey,
        act: &Act,
        deleted: bool,
    ) -> Result<Vec<Erased>, StoreError> {
        // Checks the key before anything is removed.
        let mut tx = self.begin().await?;
        if let Some(check_value) = check_value(&mut tx).await? {
            matching_key(Some(key), &check_value)?;
        }
        let mut ids = Vec::new();
        for user in users {
            ids.extend(former_identities::person(&mut tx, user).await?);
        }
        drop(tx);
        let Some(letters) = self.forget_letters(&person::spellings_of(&ids), deleted).await? else {
            return Ok(vec![]);
        };
        let naming = self.acts_of(&ids).await?;
        // After the acts, so that what comes meanwhile has a later act.
        let said = self.said_of(&ids).await?;
        let mut tx = self.begin().await?;
        sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut tx).await?;
        // A running batch of the fold ends first; the next one starts after this lock and finds the erased users.
        sqlx::query!("LOCK TABLE stream_cursors IN EXCLUSIVE MODE")
            .execute(&mut tx)
            .await?;
        // After the waits for other locks, so that a pause waits for the erasure alone.
        if deleted && !pause::permits(&mut tx).await? {
            return Ok(vec![]);
        }
        let check = key.check_value();
        sqlx::query!(
            "INSERT INTO erasure_key (check_value) VALUES ($1) ON CONFLICT DO NOTHING",
            check.as_slice()
        )
        .execute(&mut tx)
        .await?;
        if let Some(check_value) = check_value(&mut tx).await? {
            matching_key(Some(key), &check_value)?;
        }
        let mut persons = Vec::new();
        for user in users {
            if !deleted || deletions::is_deleted(&mut tx, user).await? {
                persons.push(note(&mut tx, user, key).await?);
            }
        }
        if persons.is_empty() {
            return Ok(vec![]);
        }
        // An attempt that writes an act about one of them ends first.
        let all = persons.iter().flat_map(|person| &person.ids);
        let all: Vec<&str> = all.map(|(id, _)| id.as_str()).collect();
        sqlx::query!(
            "SELECT user_id FROM work_queue WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE",
            &all as &[&str]
        )
        .fetch_all(&mut tx)
        .await?;
        // Before the users are removed, since the reason may name them.
        keep_act(&mut tx, act, &persons).await?;
        // An id that was linked since the search was not searched for.
        let searched = persons
            .iter()
            .flat_map(|person| &person.ids)
            .all(|(id, _)| ids.contains(id));
        let later = acts::since(&mut tx, if searched { naming.searched_to } else { 0 }).await?;
        let words = Words::of(&mut tx, (naming.acts, said), &later).await?;
        let mut erased = Vec::new();
        for Noted { ids, before } in persons {
            let mut rows = 0;
            for (id, pseudonym) in &ids {
                rows += person::erase(&mut tx, id, pseudonym, &words).await?;
            }
            erased.push(Erased {
                rows,
                before,
                ids: ids.into_iter().map(|(id, _)| id).collect(),
            });
        }
        tx.commit().await?;
        crash_point!("erased");
        if let Some(first) = erased.first_mut() {
            first.rows += letters;
        }
        Ok(erased)
    }

    /// All ids of the person that `user` is an id of, the primary first.
    pub async fn ids_of_person(&self, user: &str) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        former_identities::person(&mut tx, user).await
    }

    /// Readmits an erased user: data that names the user is no longer dropped. Returns whether the user was erased. The act names
    /// the pseudonym, also where its reason names the user.
    ///
    /// # Errors
    /// Users were erased with another key.
    pub async fn readmit(&self, user: &str, key: &ErasureKey, act: &Act) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(check_value) = check_value(&mut tx).await? {
            matching_key(Some(key), &check_value)?;
        }
        let hash = key.hash(user);
        let removed = sqlx::query!("DELETE FROM erasures WHERE user_hash = $1", hash.as_slice());
        if removed.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let pseudonym = pseudonym(&hash);
        let mut act = person::without(&mut tx, act, (user, &pseudonym)).await?;
        act.arguments["user"] = pseudonym.into();
        acts::keep(&mut tx, &act, "readmitted").await?;
        tx.commit().await?;
        crash_point!("readmitted");
        Ok(true)
    }
}

/// A person to erase.
struct Noted {
    /// The ids with their pseudonyms, the primary first.
    ids: Vec<(String, String)>,
    /// All had been erased before.
    before: bool,
}

/// Stores the hashes of one person, under the lock that stops the fold.
async fn note(tx: &mut Tx<'_>, user: &str, key: &ErasureKey) -> Result<Noted, StoreError> {
    // An id that was linked since the letters were searched is found here.
    let (mut ids, mut before) = (Vec::new(), true);
    for id in former_identities::person(tx, user).await? {
        let hash = key.hash(&id);
        let noted = sqlx::query!(
            "INSERT INTO erasures (user_hash) VALUES ($1) ON CONFLICT DO NOTHING",
            hash.as_slice()
        );
        before &= noted.execute(&mut *tx).await?.rows_affected() == 0;
        ids.push((id, pseudonym(&hash)));
    }
    Ok(Noted { ids, before })
}

/// Stores the act, which names the pseudonyms.
async fn keep_act(tx: &mut Tx<'_>, act: &Act, persons: &[Noted]) -> Result<(), StoreError> {
    let mut act = act.clone();
    let all: Vec<&str> = persons
        .iter()
        .flat_map(|person| &person.ids)
        .map(|(_, pseudonym)| pseudonym.as_str())
        .collect();
    let outcome = match persons {
        [one] => {
            act.arguments["user"] = json!(all[0]);
            if all.len() > 1 {
                act.arguments["linked"] = json!(all[1..]);
            }
            if one.before { "erased again" } else { "erased" }.to_owned()
        }
        several => {
            act.arguments["users"] = json!(all);
            format!("erased {} users", several.len())
        }
    };
    acts::keep(tx, &act, &outcome).await
}
