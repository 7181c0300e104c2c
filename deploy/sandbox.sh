#!/usr/bin/env bash
# Owns the way from a fresh checkout to a running rolekeeper: installs missing programs, builds, and runs
# `rolekeeper-sandbox` with the arguments given (`--logs FILE`, `--keep`; see `deploy/sandbox.sh --help`). The optimised
# build, because the output shows times; a cold build takes no longer than the other.
set -euo pipefail
# Arguments may name files relative to the caller's folder.
checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

"$checkout/scripts/install.sh" sandbox
# Built from within the checkout, because that names the toolchain.
(
  cd "$checkout"
  if [ ! -x target/release/rolekeeper-sandbox ]; then
    echo "sandbox: building rolekeeper; a cold build takes a few minutes on 2 cores" >&2
  fi
  SQLX_OFFLINE=true cargo build --locked --release --bins --target-dir target
)
export NATS_SERVER_BIN="${NATS_SERVER_BIN:-$checkout/.tools/nats/bin/nats-server}"
exec "$checkout/target/release/rolekeeper-sandbox" "$@"
