//! Searches, role by role and page by page.
//!
//! Owns the loop over the pages, and when searches cannot find all users. Must never move the position without the users before
//! it.

use super::calls::Paid;
use super::progress::Progress;
use super::{DiscoveryError, Run};
use crate::auth0::{Account, CallError, HolderPage, LaterWhy};
use crate::store::StoreError;
use crate::store::discovery::{self, DiscoveredRole, Discovery};
use rolekeeper_domain::discovery::{Position, REACHED, Step};
use rolekeeper_domain::plural::noun;

/// Numbers of users in a page. A smaller one follows if a page is too large to be read, or contains what cannot be read.
const PER_PAGE: [u32; 3] = [100, 10, 1];

/// The result of one page.
enum Page {
    Next(Position),
    Last,
    /// Searches cannot find all users.
    Unreachable(String),
}

impl Run {
    /// Searches for the holders of all roles. Returns the reason if searches cannot find all of them.
    pub(super) async fn search(&mut self, last: Discovery) -> Result<Option<String>, DiscoveryError> {
        for role in last.roles {
            if let Some(why) = self.search_role(role).await? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    async fn search_role(&mut self, of: DiscoveredRole) -> Result<Option<String>, DiscoveryError> {
        let DiscoveredRole {
            role,
            mut position,
            found,
        } = of;
        let (mut progress, mut found, mut smallest) = (Progress::new(), found.all(), 0);
        while let Some(at) = position {
            let per_page = per_page(&at, smallest);
            let reply = self.reader_page(&role, &at, per_page).await;
            let page = match reply {
                Ok(page) => page,
                Err(CallError::Later {
                    why: LaterWhy::BadAnswer,
                    ..
                }) if per_page > PER_PAGE[PER_PAGE.len() - 1] => {
                    smallest += 1;
                    continue;
                }
                Err(error) if is_refused(&error) => {
                    return Ok(Some(format!("Auth0 does not allow this search: {error}")));
                }
                Err(error) => return Err(error.into()),
            };
            let total = page.total;
            let counted = self.take(&role, &at, page, per_page).await?;
            let (next, new) = counted;
            found += new;
            progress.add(to_f64(new));
            match next {
                Page::Unreachable(why) => return Ok(Some(why)),
                Page::Next(next) => position = Some(next),
                Page::Last => position = None,
            }
            let holders = noun(found, "holder", "holders");
            self.report.now_and_then(|| match total {
                // The query finds this page and what follows it.
                Some(total) if !matches!(at, Position::At { .. }) => {
                    let left = to_f64(i64::try_from(total).unwrap_or(i64::MAX) - new).max(0.0);
                    format!(
                        "{role}: {found} {holders} found, {left:.0} to read, {}",
                        progress.left(left)
                    )
                }
                _ => format!("{role}: {found} {holders} found"),
            });
        }
        Ok(None)
    }

    async fn reader_page(&self, role: &str, at: &Position, per_page: u32) -> Result<HolderPage, CallError> {
        self.calls
            .make(Paid::Users, async || {
                self.reader.holders(role, at, per_page).await
            })
            .await
    }

    /// Stores the users of a page, and the position behind them. Returns their number too.
    async fn take(
        &mut self,
        role: &str,
        at: &Position,
        page: HolderPage,
        per_page: u32,
    ) -> Result<(Page, i64), DiscoveryError> {
        let created: Vec<_> = page
            .accounts
            .iter()
            .map(|account| account.as_ref().and_then(|account| account.profile.created_at()))
            .collect();
        let (counted, next) = match at.step(&created, per_page, page.total) {
            Step::Counted(counted, next) => (counted, next),
            Step::Cut => {
                let why = format!("{role}: {REACHED} users or more were created at the same time");
                return Ok((Page::Unreachable(why), 0));
            }
            Step::Unordered => {
                let why = format!("{role}: Auth0's pages are not in the order of creation");
                return Ok((Page::Unreachable(why), 0));
            }
            Step::Empty => {
                return Err(DiscoveryError::Call(format!(
                    "{role}: Auth0 finds {} users and returns an empty page",
                    page.total.unwrap_or_default()
                )));
            }
        };
        let found: Vec<&Account> = page.accounts[counted.clone()].iter().flatten().collect();
        if !found.is_empty() && !found.iter().any(|account| account.shows_app_metadata()) {
            return Err(DiscoveryError::Hidden(found.len()));
        }
        let unreadable = counted.len() - found.len();
        self.lock.check().await?;
        let mut tx = self.store.begin_look_ups().await?;
        let judged = self.store_found(&mut tx, &found, Some(role)).await?;
        let mut new = 0;
        for (role, found) in &judged {
            discovery::add(&mut tx, role, found).await?;
            new += found.all();
        }
        let unreadable = i64::try_from(unreadable).unwrap_or(i64::MAX);
        discovery::advance(&mut tx, role, next.as_ref(), unreadable).await?;
        tx.commit().await.map_err(StoreError::from)?;
        crash_point!("page_stored");
        Ok((next.map_or(Page::Last, Page::Next), new))
    }
}

/// The number of users in a page: the largest that is allowed, and with which the position is the begin of a page.
fn per_page(at: &Position, smallest: usize) -> u32 {
    let allowed = PER_PAGE.iter().skip(smallest.min(PER_PAGE.len() - 1)).copied();
    let begins = |per_page: &u32| match at {
        Position::At { seen, .. } => seen.is_multiple_of(*per_page),
        _ => true,
    };
    allowed.into_iter().find(begins).unwrap_or(1)
}

/// Whether Auth0 refuses the search as such: not for the client's scopes or credentials.
fn is_refused(error: &CallError) -> bool {
    matches!(error, CallError::Refused { status, .. } if *status != 401)
}

fn to_f64(number: i64) -> f64 {
    number as f64
}
