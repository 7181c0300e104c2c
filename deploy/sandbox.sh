#!/usr/bin/env bash
# Owns the way from a fresh checkout to a look at rolekeeper at work: installs what is missing, builds, and runs
# `rolekeeper-sandbox` with the arguments given (`--logs FILE`, `--keep`; see `deploy/sandbox.sh --help`). The optimised
# build, because what is shown are times; from cold it is no slower to build than the other.
set -euo pipefail
# Arguments may name files from where the caller stands.
checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

"$checkout/deploy/install.sh" sandbox
# Built from within the checkout, because that names the toolchain.
(
  cd "$checkout"
  if [ ! -x target/release/rolekeeper-sandbox ]; then
    echo "sandbox: building rolekeeper; from cold that is a few minutes on 2 cores" >&2
  fi
  SQLX_OFFLINE=true cargo build --locked --release --bins --target-dir target
)
export NATS_SERVER_BIN="${NATS_SERVER_BIN:-$checkout/.tools/nats/bin/nats-server}"
exec "$checkout/target/release/rolekeeper-sandbox" "$@"
