#!/usr/bin/env bash
# Owns a trial of Postgres as deploy/compose.yaml starts it: the passwords of secrets.sh, the roles, primary.sh, and a replica that
# copies the primary, follows it, and follows it again after a restart. Both servers are private, on loopback, and end with this
# script. It never touches a cluster of the system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin="$(scripts/postgres-bin.sh)"
PATH="$bin:$PATH"

# Not below TMPDIR: a socket's path has 107 bytes at most.
folder="$(mktemp -d /tmp/rolekeeper-pg.XXXXXX)"
# shellcheck disable=SC2317 # called by the trap
stop() {
  local data
  for data in replica primary; do
    if [ -e "$folder/$data/postmaster.pid" ]; then as_server pg_ctl -D "$folder/$data" --mode=immediate stop >/dev/null || true; fi
  done
  rm -rf "$folder"
}
trap stop EXIT

export SECRETS="$folder/secrets"
AUTH0_CLIENT_SECRET=none SECRETS_DIR="$SECRETS" deploy/compose/secrets.sh 2>/dev/null
cp -r deploy/compose deploy/postgres "$folder/"
# PostgreSQL refuses to run as root.
as_server() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  chown -R postgres: "$folder"
  as_server() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }
fi

PGPORT="$(scripts/free-port.sh)"
replica_port="$(scripts/free-port.sh)"
export PGPORT PGDATA="$folder/primary" PGHOST="$folder" PGUSER=postgres

# primary ADDRESSES: (re)starts the primary.
primary() {
  as_server pg_ctl --wait --log="$folder/primary.log" start \
    --options="-c listen_addresses='$1' -c unix_socket_directories=$folder -c wal_level=replica -c max_wal_senders=4 -c fsync=off" >/dev/null
}
# replica: starts it as the container does, in the background.
replica() {
  PGDATA="$folder/replica" PRIMARY=127.0.0.1 as_server bash "$folder/compose/replica.sh" -c fsync=off -c "port=$replica_port" \
    -c listen_addresses= -c "unix_socket_directories=$folder" >>"$folder/replica.log" 2>&1 &
}
# follows NUMBER: waits until the replica has that row.
follows() {
  local _
  for _ in $(seq 200); do
    [ "$(psql --port="$replica_port" -Atc "SELECT pg_is_in_recovery(), max(n) FROM rows" rolekeeper 2>/dev/null)" = "t|$1" ] && return
    sleep 0.1
  done
  cat "$folder/replica.log"
  echo "the replica does not follow"
  return 1
}

as_server initdb --username=postgres --auth-local=trust --auth-host=scram-sha-256 --no-sync >/dev/null
# As the image does: the scripts run while the server listens on its socket alone.
echo "host all all all scram-sha-256" | as_server tee -a "$PGDATA/pg_hba.conf" >/dev/null
primary ""
createdb rolekeeper
psql -q -o /dev/null -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql rolekeeper
as_server bash "$folder/compose/primary.sh" >/dev/null
as_server pg_ctl --wait stop >/dev/null
primary 127.0.0.1

url() { sed "s/@postgres/@127.0.0.1:$PGPORT/" "$SECRETS/$1"; }
psql -q -v ON_ERROR_STOP=1 -c "CREATE TABLE rows (n int); INSERT INTO rows VALUES (1)" "$(url database_url_migrate)"
[ "$(psql -Atc "SELECT current_user" "$(url database_url_run)")" = rolekeeper_run ]
replica
follows 1
as_server pg_ctl -D "$folder/replica" --wait stop >/dev/null
psql -q -v ON_ERROR_STOP=1 -c "INSERT INTO rows VALUES (2)" "$(url database_url_migrate)"
replica
follows 2
# A promoted replica is never copied over.
as_server pg_ctl -D "$folder/replica" --wait promote >/dev/null
as_server pg_ctl -D "$folder/replica" --wait stop >/dev/null
psql -q -v ON_ERROR_STOP=1 -c "INSERT INTO rows VALUES (3)" "$(url database_url_migrate)"
replica
for _ in $(seq 200); do
  kept="$(psql --port="$replica_port" -Atc "SELECT pg_is_in_recovery(), max(n) FROM rows" rolekeeper 2>/dev/null || true)"
  [ -n "$kept" ] && break
  sleep 0.1
done
[ "$kept" = "f|2" ] || {
  echo "a promoted replica became '$kept'"
  exit 1
}
echo "the replica copies, follows, restarts, and stays promoted"
