//! Compares the stored sums of users with their playlists.
//!
//! Owns the walk over all users, for `verify` and `rebuild`. Must never have more than a slice of users in memory, beside the listed differences.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::listed::list;
use crate::flow::kept::KeptError;
use crate::flow::recount::RecountError;
use crate::store::Store;
use crate::store::wrong_totals::{Compared, WrongTotal};

/// The result of the comparison of sums.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sums {
    /// Users with a stored sum.
    pub users: u64,
    /// Users whose sum differs.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<SumDifference>,
}

/// A user whose stored sum is not that of the playlists.
#[derive(Clone, Debug, Serialize)]
pub struct SumDifference {
    /// The user.
    pub user_id: String,
    /// Plays of the user's playlists together, as Postgres has them.
    pub counted: i64,
    /// The stored sum.
    pub stored: i64,
}

/// Compares all sums.
///
/// # Errors
/// Postgres does not respond, or the stop was requested.
pub async fn sums(store: &Store, stop: &CancellationToken) -> Result<Sums, RecountError> {
    let mut sums = Sums::default();
    slices(store, stop, async |compared| {
        sums.users += compared.users;
        sums.differing += compared.wrong.len() as u64;
        list(
            &mut sums.differences,
            compared.wrong.into_iter().map(SumDifference::of),
        );
        Ok::<(), RecountError>(())
    })
    .await?;
    Ok(sums)
}

/// Passes on the comparison of all users, slice by slice.
///
/// # Errors
/// Postgres does not respond, the stop was requested, or `with` failed.
pub async fn slices<E: From<RecountError>>(
    store: &Store,
    stop: &CancellationToken,
    mut with: impl AsyncFnMut(Compared) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = String::new();
    loop {
        let compared = stop.run_until_cancelled(store.compare_totals(&after)).await;
        let compared = compared.ok_or(RecountError::Kept(KeptError::Interrupted))?;
        let compared = compared.map_err(RecountError::from)?;
        let Some(last) = compared.last.clone() else {
            return Ok(());
        };
        after = last;
        with(compared).await?;
    }
}

impl SumDifference {
    fn of(wrong: WrongTotal) -> Self {
        let WrongTotal {
            user_id,
            counted,
            stored,
        } = wrong;
        Self {
            user_id,
            counted,
            stored,
        }
    }
}
