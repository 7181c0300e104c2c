//! `rolekeeper queue`: the users whose attempts are next, and all users in the work queue by id.
//!
//! Owns the sentence about a user. Must never print a profile.

use anyhow::Result;
use clap::Args;

use super::output::{self, say};
use crate::app;
use crate::config::DatabaseArgs;
use rolekeeper_domain::explanation::{Queued, moment, plain};
use rolekeeper_domain::view::figures::{grouped, whole};
use rolekeeper_domain::view::queue::Queue;

/// Shows how many users are in the work queue, and how fast attempts end; then the users whose attempts are next, the most urgent first,
/// and all users in the queue by id. It changes nothing.
#[derive(Args, Debug)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Most users to show whose attempts are next
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32))]
    next: u32,
    /// Most users to show by id
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32))]
    limit: u32,
    /// Show by id only users behind this one: the last of an earlier list
    #[arg(long, value_name = "USER", default_value = "")]
    after: String,
    /// One JSON object with all that is shown
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: QueueArgs) -> Result<()> {
    let QueueArgs {
        database,
        next,
        limit,
        after,
        json,
    } = args;
    let store = app::connect_to_read(&database.checked()?).await?;
    let queue = store.queue_page(&after, next.into(), limit.into()).await?;
    if json {
        output::json(&queue)?;
    } else {
        shown(&queue);
    }
    Ok(())
}

fn shown(queue: &Queue) {
    say!("as of {}", moment(queue.at));
    say!("in the queue: {}", grouped(queue.users));
    say!("wait for an attempt: {}", grouped(queue.drain.waiting));
    let ended = grouped(whole(queue.drain.ended_per_min));
    say!("attempts ended in the last minute: {ended}");
    say!("remaining at this rate: {}", queue.remaining());
    say!("parked: {}", grouped(queue.parked));
    say!("held: {}", grouped(queue.held));
    list("next attempts", &queue.next);
    list("by id", &queue.page);
    if let Some(last) = queue.page.last().filter(|_| queue.more) {
        say!("  and more: --after '{}'", plain(&last.user_id));
    }
}

fn list(title: &str, users: &[Queued]) {
    if users.is_empty() {
        return;
    }
    say!("{title}:");
    for one in users {
        say!("  {}: {}", plain(&one.user_id), sentence(one));
    }
}

/// The state of a user: a line of its own, which a narrow terminal may wrap.
fn sentence(one: &Queued) -> String {
    let (state, due, waits_for) = (one.state(), moment(one.due_at), one.waits_for());
    let failed = match (one.attempts, &one.last_error) {
        (0, _) => String::new(),
        (attempts, None) => format!("; failed attempts: {attempts}"),
        (attempts, Some(why)) => format!("; failed attempts: {attempts}, the last: {}", plain(why)),
    };
    format!("{state}, due at {due}: {waits_for}{failed}")
}
