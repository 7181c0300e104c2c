//! Compares the stored sums of users with their playlists.
//!
//! Must never have more than a slice of users in memory, beside the listed differences.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::listed::list;
use crate::flow::kept::KeptError;
use crate::flow::recount::RecountError;
use crate::store::Store;
use crate::store::wrong_totals::WrongTotal;

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
    let (mut sums, mut after) = (Sums::default(), String::new());
    loop {
        if stop.is_cancelled() {
            return Err(KeptError::Interrupted.into());
        }
        let compared = store.compare_totals(&after).await?;
        let Some(last) = compared.last else {
            return Ok(sums);
        };
        after = last;
        sums.users += compared.users;
        sums.differing += compared.wrong.len() as u64;
        list(
            &mut sums.differences,
            compared.wrong.into_iter().map(SumDifference::of),
        );
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
