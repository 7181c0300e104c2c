#!/usr/bin/env bash
# Owns the start of the replica: copies the primary once, then follows it. To promote it: `pg_ctl promote`, then point the
# workers at it; docs/operating.md says what they do by themselves.
set -euo pipefail

export PGDATA=/var/lib/postgresql/data
password="$(cat /run/secrets/replication_password)"
primary="host=postgres user=replication password=$password"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  chmod 700 "$PGDATA"
  # A copy that was interrupted leaves files and no server.
  find "$PGDATA" -mindepth 1 -delete
  pg_basebackup --dbname="$primary" --pgdata="$PGDATA" --slot=replica --write-recovery-conf --checkpoint=fast
fi
exec postgres -c hot_standby=on
