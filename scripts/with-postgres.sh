#!/usr/bin/env bash
# Owns a throw-away PostgreSQL: starts one in a temporary folder, reachable by a Unix socket only, applies migrations/,
# runs the command with DATABASE_URL set, and removes everything, also after a signal. Its data is temporary,
# so it does not wait for the disk. It never touches a cluster of the system.
#
#   scripts/with-postgres.sh COMMAND [ARGUMENTS…]
#
# Needs `scripts/install.sh test` (sqlx-cli).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin"

[ "$#" -gt 0 ] || {
  echo "usage: scripts/with-postgres.sh COMMAND [ARGUMENTS…]" >&2
  exit 2
}

bin="$(scripts/postgres-bin.sh)"

# Not below TMPDIR: a socket's path has 107 bytes at most.
folder="$(mktemp -d /tmp/rolekeeper-pg.XXXXXX)"
server=""
command=""
# shellcheck disable=SC2317 # called by the trap
stop() {
  if [ -n "$command" ]; then kill "$command" 2>/dev/null || true; fi
  if [ -n "$server" ]; then
    kill -INT "$server" 2>/dev/null || true # fast shutdown
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# PostgreSQL refuses to run as root, and it must not outlive this script: it also stops when
# the script is killed (only the folder stays then).
as_server=(setpriv --pdeathsig INT)
if [ "$(id -u)" = 0 ]; then
  chown postgres: "$folder"
  as_server+=(--reuid postgres --regid postgres --init-groups)
fi
"${as_server[@]}" "$bin/initdb" --pgdata "$folder/data" --username postgres --auth trust --encoding UTF8 --locale C \
  --no-sync >"$folder/initdb.log" 2>&1 || {
  cat "$folder/initdb.log" >&2
  exit 1
}
"${as_server[@]}" "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c fsync=off \
  >"$folder/postgres.log" 2>&1 &
server=$!

for _ in $(seq 300); do
  "$bin/pg_isready" --quiet --host "$folder" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
"$bin/pg_isready" --quiet --host "$folder" || {
  cat "$folder/postgres.log" >&2
  exit 1
}

export DATABASE_URL="postgres://postgres@localhost/postgres?host=$folder"
cargo sqlx migrate run --source migrations >"$folder/migrate.log" 2>&1 || {
  cat "$folder/migrate.log" >&2
  exit 1
}
# In the background, because the shell handles a signal only between commands: a `wait` ends at once.
"$@" <&0 &
command=$!
wait "$command"
