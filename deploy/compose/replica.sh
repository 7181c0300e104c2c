#!/usr/bin/env bash
# Owns the start of the replica: copies the primary once, then follows it. To promote it: `pg_ctl promote`, then point the
# workers at it; docs/operating.md says what they do by themselves.
set -euo pipefail

export PGDATA="${PGDATA:-/var/lib/postgresql/data}"
password="$(cat "${SECRETS:-/run/secrets}/replication_password")"
primary="host=${PRIMARY:-postgres} user=replication password=$password"
# A copy that was interrupted leaves files without the mark. A promoted server keeps it, so that it is never copied over.
if [ ! -e "$PGDATA/copied" ]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  find "$PGDATA" -mindepth 1 -delete
  pg_basebackup --dbname="$primary" --pgdata="$PGDATA" --slot=replica --write-recovery-conf --checkpoint=fast
  touch "$PGDATA/copied"
fi
exec postgres -c hot_standby=on "$@"
