//! Words of operators: reasons and names, in several tables, which may name a user.
//!
//! Owns the list of these tables, apart from the audit. Must never leave an erased user's id in them.

use super::{StoreError, Tx};
use rolekeeper_domain::act::Act;

/// Puts the pseudonym in place of a user, by these spellings of the id.
pub(super) async fn erase(tx: &mut Tx<'_>, pseudonym: &str, spelled: &[String]) -> Result<(), StoreError> {
    let queries = [
        sqlx::query!(
            "UPDATE pins SET why = without_person(why, $1, $2), pinned_by = without_person(pinned_by, $1, $2)
             WHERE (why, pinned_by) <> (without_person(why, $1, $2), without_person(pinned_by, $1, $2))",
            pseudonym,
            spelled
        ),
        sqlx::query!(
            "UPDATE moves SET why = without_person(why, $1, $2), moved_by = without_person(moved_by, $1, $2)
             WHERE (why, moved_by) <> (without_person(why, $1, $2), without_person(moved_by, $1, $2))",
            pseudonym,
            spelled
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
