//! All stored data of one user, in all tables.
//!
//! Owns the two lists of tables, for export and for erasure: a table that names a user must be in both. Must never
//! leave a user's id behind.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::acts::Naming;
use super::said::Said;
use super::{Store, StoreError, Tx, bases, former_identities, named_letters, said};
use rolekeeper_domain::act::Act;

/// Minimum length of an id at the identity provider that is searched for alone in messages; a shorter one would match
/// too many.
const MIN_BARE_ID_BYTES: usize = 16;

/// Rows of operators' words that may name the users to erase.
pub(super) struct Words {
    acts: Vec<i64>,
    said: Said,
}

impl Words {
    /// Those that a search found, and those that came with later acts.
    pub(super) async fn of(
        tx: &mut Tx<'_>,
        (acts, said): (Vec<i64>, Said),
        later: &[i64],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            said: said.with_acts(tx, later).await?,
            acts: [&acts[..], later].concat(),
        })
    }
}

/// Removes all data of a user; the audit, and these words of operators, name `pseudonym` from then on. Returns the number of rows.
pub(super) async fn erase(
    tx: &mut Tx<'_>,
    user: &str,
    pseudonym: &str,
    words: &Words,
) -> Result<u64, StoreError> {
    let named = spellings(user);
    let queries = [
        // First, in the same order as reconcile: an attempt on this user ends before, or finds its lease gone.
        sqlx::query!("DELETE FROM work_queue WHERE user_id = $1", user),
        // The playlist has no owner and is deleted: late plays change nothing. The next user who saves it owns it, from
        // 0.
        sqlx::query!(
            "UPDATE playlists SET owner_id = NULL, name = NULL, plays = 0, deleted = true WHERE owner_id = $1",
            user
        ),
        sqlx::query!("DELETE FROM owner_totals WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM import_users WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM assignments WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM own_decisions WHERE user_id = $1 OR primary_id = $1", user),
        sqlx::query!("DELETE FROM pins WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM removals WHERE user_id = $1", user),
        sqlx::query!("UPDATE removals SET came_from = NULL WHERE came_from = $1", user),
        sqlx::query!("DELETE FROM gone_users WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM forgotten_holders WHERE user_id = $1", user),
        // The comparison continues behind the previous user, who is already compared.
        sqlx::query!(
            "UPDATE walk SET position = coalesce(greatest(
                 (SELECT max(owner_id) FROM playlists WHERE owner_id < $1), (SELECT max(user_id) FROM assignments WHERE user_id < $1)), '')
             WHERE position = $1",
            user
        ),
        // The same for a release of held changes: only users in these tables are held.
        sqlx::query!(
            "UPDATE brake_releases SET position = coalesce(greatest(
                 (SELECT max(user_id) FROM work_queue WHERE user_id < $1), (SELECT max(user_id) FROM removals WHERE user_id < $1),
                 (SELECT max(user_id) FROM races WHERE user_id < $1)), '')
             WHERE position = $1",
            user
        ),
        sqlx::query!("DELETE FROM profile_writes WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM foreign_writes WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM races WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM display_names WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM display_name_writes WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM songs WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM user_data WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM featured_playlists WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM publish_budgets WHERE user_id = $1", user),
        sqlx::query!("DELETE FROM identities WHERE alias = $1 OR primary_id = $1", user),
        sqlx::query!("DELETE FROM former_identities WHERE alias = $1 OR primary_id = $1", user),
        sqlx::query!("DELETE FROM moves WHERE old_id = $1 OR new_id = $1", user),
        sqlx::query!("DELETE FROM users WHERE user_id = $1", user),
    ];
    bases::forget_owner(tx, user).await?;
    let mut rows = named_letters::forget_recent(tx, &named).await?;
    // Copies of rows that are counted below.
    sqlx::query!(
        "UPDATE playlist_base_counts SET owner_id = NULL WHERE owner_id = $1",
        user
    )
    .execute(&mut *tx)
    .await?;
    for query in queries {
        rows += query.execute(&mut *tx).await?.rows_affected();
    }
    // The audit stays, under the pseudonym; open changes will not be done.
    let spelled = texts(&named);
    said::erase(tx, pseudonym, &spelled, &words.said).await?;
    let audited = sqlx::query_scalar!(
        r#"SELECT erase_from_audit($1, $2, $3, $4) AS "rows!""#,
        user,
        pseudonym,
        &spelled,
        &words.acts
    );
    rows += audited.fetch_one(&mut *tx).await?.unsigned_abs();
    Ok(rows)
}

/// The act with the pseudonym in place of the user.
pub(super) async fn without(
    tx: &mut Tx<'_>,
    act: &Act,
    (user, pseudonym): (&str, &str),
) -> Result<Act, StoreError> {
    said::without(tx, act, pseudonym, &texts(&spellings(user))).await
}

impl Store {
    /// Searches the acts of operators for users, in batches and without blocking others.
    pub(super) async fn acts_of(&self, users: &[String]) -> Result<Naming, StoreError> {
        self.acts_naming(users, &texts(&spellings_of(users))).await
    }

    /// Searches pins and moves of others for users, without blocking others.
    pub(super) async fn said_of(&self, users: &[String]) -> Result<Said, StoreError> {
        said::search(&mut self.begin().await?, &texts(&spellings_of(users))).await
    }

    /// All stored rows of a user and of all ids of the same person, by table.
    pub async fn export(&self, user: &str) -> Result<Map<String, Value>, StoreError> {
        let mut tx = self.begin().await?;
        let ids = former_identities::person(&mut tx, user).await?;
        drop(tx);
        let named = spellings_of(&ids);
        let rows = sqlx::query!(
            r#"SELECT 'users' AS "table!", to_jsonb(t) AS "row!" FROM users t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'playlists', to_jsonb(t) FROM playlists t WHERE owner_id = ANY($1::text[])
               UNION ALL SELECT 'playlist_base_counts', to_jsonb(t) FROM playlist_base_counts t WHERE owner_id = ANY($1::text[])
               UNION ALL SELECT 'owner_totals', to_jsonb(t) FROM owner_totals t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'import_users', to_jsonb(t) FROM import_users t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'work_queue', to_jsonb(t) FROM work_queue t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'gone_users', to_jsonb(t) FROM gone_users t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'forgotten_holders', to_jsonb(t) FROM forgotten_holders t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'assignments', to_jsonb(t) FROM assignments t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'pins', to_jsonb(t) FROM pins t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'own_decisions', to_jsonb(t) FROM own_decisions t WHERE user_id = ANY($1::text[]) OR primary_id = ANY($1::text[])
               UNION ALL SELECT 'removals', to_jsonb(t) FROM removals t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'role_changes', to_jsonb(t) FROM role_changes t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'profile_writes', to_jsonb(t) FROM profile_writes t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'foreign_writes', to_jsonb(t) FROM foreign_writes t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'races', to_jsonb(t) FROM races t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'display_names', to_jsonb(t) FROM display_names t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'display_name_writes', to_jsonb(t) FROM display_name_writes t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'songs', to_jsonb(t) FROM songs t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'user_data', to_jsonb(t) FROM user_data t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'publish_budgets', to_jsonb(t) FROM publish_budgets t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'featured_playlists', to_jsonb(t) FROM featured_playlists t WHERE user_id = ANY($1::text[])
               UNION ALL SELECT 'identities', to_jsonb(t) FROM identities t WHERE primary_id = ANY($1::text[])
               UNION ALL SELECT 'former_identities', to_jsonb(t) FROM former_identities t WHERE primary_id = ANY($1::text[])
               UNION ALL SELECT 'moves', to_jsonb(t) FROM moves t WHERE old_id = ANY($1::text[]) OR new_id = ANY($1::text[])
               UNION ALL SELECT 'walk', to_jsonb(t) FROM walk t WHERE position = ANY($1::text[])
               UNION ALL SELECT 'brake_releases', to_jsonb(t) FROM brake_releases t WHERE position = ANY($1::text[])
               UNION ALL SELECT 'operator_acts', to_jsonb(t) FROM operator_acts t
               WHERE EXISTS (SELECT FROM UNNEST($1::text[]) AS id WHERE position(to_jsonb(id)::text IN t.arguments::text) > 0)
               ORDER BY 1, 2"#,
            &ids
        );
        let mut tables = Map::new();
        for row in rows.fetch_all(&self.pool).await? {
            let rows = tables.entry(row.table).or_insert_with(|| Value::Array(vec![]));
            if let Value::Array(rows) = rows {
                rows.push(row.row);
            }
        }
        let letters = self.letters_naming(&named).await?;
        if !letters.is_empty() {
            tables.insert("dead_letters".to_owned(), Value::Array(letters));
        }
        Ok(tables)
    }
}

/// The forms in which unparsed messages may name users.
pub(super) fn spellings_of(users: &[String]) -> Vec<Vec<u8>> {
    users.iter().flat_map(|id| spellings(id)).collect()
}

/// The forms in which an unparsed message may name a user: plain, inside JSON, inside a URL; and each of these for the
/// id without its provider, as in Auth0's records of a deletion.
fn spellings(user: &str) -> Vec<Vec<u8>> {
    let bare = user.rsplit_once('|').map(|(_, bare)| bare);
    let bare = bare.filter(|bare| bare.len() >= MIN_BARE_ID_BYTES);
    let spelled = |id: &str| {
        let json = Value::from(id).to_string();
        let url = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let gentle: String = url
            .replace("%2D", "-")
            .replace("%2E", ".")
            .replace("%5F", "_")
            .replace("%7E", "~");
        [
            id.to_owned(),
            json.trim_matches('"').to_owned(),
            gentle.to_lowercase(),
            gentle,
            url,
        ]
    };
    let mut all: Vec<Vec<u8>> = [Some(user), bare]
        .into_iter()
        .flatten()
        .flat_map(spelled)
        .map(String::into_bytes)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn texts(spellings: &[Vec<u8>]) -> Vec<String> {
    let text = |spelling: &Vec<u8>| String::from_utf8_lossy(spelling).into_owned();
    spellings.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn a_person_is_found_however_a_message_spells_the_id() {
        let all = spellings("auth0|6132829445244d0069782a78");
        for spelled in [
            "auth0|6132829445244d0069782a78",
            "auth0%7C6132829445244d0069782a78",
            "6132829445244d0069782a78",
        ] {
            assert!(all.contains(&spelled.as_bytes().to_vec()), "{spelled}");
        }
        assert!(
            !spellings("auth0|ann").contains(&b"ann".to_vec()),
            "too short to name one user"
        );
        assert!(spellings("samlp|x|a.b@c").contains(&b"samlp%7Cx%7Ca.b%40c".to_vec()));
        assert!(spellings("auth0|a\"b").contains(&b"auth0|a\\\"b".to_vec()));
    }
}
