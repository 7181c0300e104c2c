//! Words of operators: reasons and names, in several tables, which may name a user.
//!
//! Owns the list of these tables, apart from the audit. Must never leave an erased user's id in them, nor compare the words of all
//! pins and moves while the folds wait: there may be as many as users.

use super::{StoreError, Tx};
use rolekeeper_domain::act::Act;

/// Rows searched by one statement.
const AT_ONCE: i64 = 5_000;

/// Rows whose words may name users.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// The users of pins.
    pins: Vec<String>,
    /// The old ids of moves.
    moves: Vec<String>,
}

impl Said {
    /// With the rows that came after a search: each pin and each move is stored with its act.
    pub(super) async fn with_acts(mut self, tx: &mut Tx<'_>, acts: &[i64]) -> Result<Self, StoreError> {
        let named = sqlx::query_scalar!(
            r#"SELECT DISTINCT arguments->>'user' AS "user!" FROM operator_acts
               WHERE act_id = ANY($1::bigint[]) AND command IN ('pin', 'move') AND arguments->>'user' IS NOT NULL"#,
            acts
        );
        let named = named.fetch_all(&mut *tx).await?;
        let moves = sqlx::query_scalar!(
            // An id that came along with another one has no act of its own.
            "SELECT old_id FROM moves WHERE old_id = ANY($1::text[]) UNION SELECT old_id FROM moves WHERE new_id = ANY($1::text[])",
            &named
        );
        let moves = moves.fetch_all(&mut *tx).await?.into_iter().flatten();
        self.moves.extend(moves);
        self.pins.extend(named);
        Ok(self)
    }
}

/// Searches pins and moves for users by these spellings, in batches.
pub(super) async fn search(tx: &mut Tx<'_>, spellings: &[String]) -> Result<Said, StoreError> {
    let mut said = Said::default();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let (next, found) = pins_naming(tx, spellings, &last).await?;
        said.pins.extend(found);
        after = next;
    }
    after = Some(String::new());
    while let Some(last) = after {
        let (next, found) = moves_naming(tx, spellings, &last).await?;
        said.moves.extend(found);
        after = next;
    }
    Ok(said)
}

/// The users of those of the next pins behind a user that may name one of these spellings, and the last user of the batch.
async fn pins_naming(
    tx: &mut Tx<'_>,
    spellings: &[String],
    after: &str,
) -> Result<(Option<String>, Vec<String>), StoreError> {
    let batch = sqlx::query!(
        // Many rows have the same words.
        r#"WITH batch AS MATERIALIZED (
               SELECT user_id, concat_ws(' ', why, pinned_by) AS words FROM pins WHERE user_id > $2
               ORDER BY user_id FETCH FIRST ($3) ROWS WITH TIES
           ), naming AS MATERIALIZED (
               SELECT words FROM (SELECT DISTINCT words FROM batch) AS different
               WHERE EXISTS (SELECT FROM UNNEST($1::text[]) AS spelling WHERE position(spelling IN words) > 0)
           )
           SELECT (SELECT max(user_id) FROM batch) AS last,
               ARRAY(SELECT user_id FROM batch WHERE words IN (SELECT words FROM naming)) AS "found!""#,
        spellings,
        after,
        AT_ONCE
    );
    let batch = batch.fetch_one(&mut *tx).await?;
    Ok((batch.last, batch.found))
}

/// The old ids of those of the next moves behind an id that may name one of these spellings, and the last id of the batch.
async fn moves_naming(
    tx: &mut Tx<'_>,
    spellings: &[String],
    after: &str,
) -> Result<(Option<String>, Vec<String>), StoreError> {
    let batch = sqlx::query!(
        r#"WITH batch AS MATERIALIZED (
               SELECT old_id, concat_ws(' ', why, moved_by) AS words FROM moves WHERE old_id > $2 ORDER BY old_id LIMIT $3
           ), naming AS MATERIALIZED (
               SELECT words FROM (SELECT DISTINCT words FROM batch) AS different
               WHERE EXISTS (SELECT FROM UNNEST($1::text[]) AS spelling WHERE position(spelling IN words) > 0)
           )
           SELECT (SELECT max(old_id) FROM batch) AS last,
               ARRAY(SELECT old_id FROM batch WHERE words IN (SELECT words FROM naming)) AS "found!""#,
        spellings,
        after,
        AT_ONCE
    );
    let batch = batch.fetch_one(&mut *tx).await?;
    Ok((batch.last, batch.found))
}

/// Puts the pseudonym in place of a user, by these spellings of the id, in the words of these rows.
pub(super) async fn erase(
    tx: &mut Tx<'_>,
    pseudonym: &str,
    spelled: &[String],
    said: &Said,
) -> Result<(), StoreError> {
    let queries = [
        sqlx::query!(
            "UPDATE pins SET why = without_person(why, $1, $2), pinned_by = without_person(pinned_by, $1, $2)
             WHERE user_id = ANY($3::text[]) AND (why, pinned_by) <> (without_person(why, $1, $2), without_person(pinned_by, $1, $2))",
            pseudonym,
            spelled,
            &said.pins
        ),
        sqlx::query!(
            "UPDATE moves SET why = without_person(why, $1, $2), moved_by = without_person(moved_by, $1, $2)
             WHERE old_id = ANY($3::text[]) AND (why, moved_by) <> (without_person(why, $1, $2), without_person(moved_by, $1, $2))",
            pseudonym,
            spelled,
            &said.moves
        ),
        sqlx::query!(
            "UPDATE brake_releases SET acted_by = without_person(acted_by, $1, $2) WHERE acted_by <> without_person(acted_by, $1, $2)",
            pseudonym,
            spelled
        ),
        sqlx::query!(
            "UPDATE pause SET reason = without_person(reason, $1, $2) WHERE reason <> without_person(reason, $1, $2)",
            pseudonym,
            spelled
        ),
    ];
    for query in queries {
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// The act with the pseudonym in place of a user, in its reason and in the name of the operator.
pub(super) async fn without(
    tx: &mut Tx<'_>,
    act: &Act,
    pseudonym: &str,
    spelled: &[String],
) -> Result<Act, StoreError> {
    let row = sqlx::query!(
        r#"SELECT without_person($1, $3, $4) AS "by!", without_person($2, $3, $4) AS why"#,
        act.by,
        act.why,
        pseudonym,
        spelled
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(Act {
        by: row.by,
        why: row.why,
        ..act.clone()
    })
}
