#!/usr/bin/env bash
# Owns where PostgreSQL's programs are: prints the folder of the newest installed version.
set -euo pipefail

bin="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV | head -n 1)"
[ -x "$bin/postgres" ] || bin="$(dirname "$(command -v postgres || echo missing/postgres)")"
[ -x "$bin/postgres" ] || {
  echo "postgres-bin: no PostgreSQL server found; run scripts/install.sh test" >&2
  exit 1
}
printf '%s\n' "$bin"
