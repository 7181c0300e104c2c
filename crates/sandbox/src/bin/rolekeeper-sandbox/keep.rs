//! The guide for a sandbox that keeps running.
//!
//! Owns the list of addresses and a few example commands.

use super::world::{CLIENT, CONSOLE_TOKEN, SECRET, TOKEN, World};
use rolekeeper_sandbox::traffic::THRESHOLD;
use rolekeeper_sandbox::traffic::cast::Cast;

/// Returns addresses and commands.
pub(super) fn guide(world: &World, cast: &Cast) -> String {
    let near = cast.one_short().first();
    let (playlist, owner) = near.map_or(("", ""), |near| {
        (near.id.as_str(), cast.users[near.owner].id.as_str())
    });
    let (webhook, ops) = (&world.worker.webhook, &world.worker.ops);
    let (nats, database, tenant) = (world.nats.url(), &world.database_url, world.tenant.base_url());
    let log = world.worker.log_path();
    format!(
        r#"
Everything keeps running until Ctrl-C, which removes all of it.
  webhook         {webhook}
  metrics         {ops}/metrics
  health          {ops}/healthz and {ops}/readyz
  console         {ops}/console, with any name and the token {CONSOLE_TOKEN}
  NATS            {nats}
  Postgres        {database}
  tenant          {tenant}
  worker's log    {log}

Things to try
  # health and metrics of the worker
  curl -s {ops}/readyz; curl -s {ops}/metrics | grep -v '^#'

  # users who got or lost the role, with the reason
  psql {database} \
    -c 'SELECT user_id, change, plays, event_id, completed_at FROM role_changes ORDER BY 5 DESC LIMIT 9'

  # one more play for {owner}, who has {short}: the role is granted
  # (nats: the command line of NATS, natscli)
  nats -s {nats} pub plays.{playlist} -H Nats-Msg-Id:by-hand-1 '{{"type":"play",
    "event_id":"by-hand-1","playlist_id":"{playlist}","listener_id":"{owner}",
    "song_id":"s_7","played_at":"2026-11-23T10:00:00Z"}}'

  # a log record, as Auth0 posts it
  curl -si {webhook} -H 'Authorization: {TOKEN}' \
    -d '{{"log_id":"by-hand-1","data":{{"type":"s","user_id":"{owner}"}}}}'

  # the user at the tenant
  TOKEN=$(curl -s {tenant}/oauth/token -d grant_type=client_credentials \
    -d client_id={CLIENT} -d client_secret={SECRET} \
    -d audience={tenant}/api/v2/ | cut -d'"' -f4)
  curl -s -H "Authorization: Bearer $TOKEN" '{tenant}/api/v2/users/{encoded}'
"#,
        log = log.display(),
        short = THRESHOLD - 1,
        encoded = owner.replace('|', "%7C"),
    )
}
