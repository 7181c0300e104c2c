# shellcheck shell=bash
# Owns the environment of the checks; sourced in the root of the checkout.
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"
# Builds read .sqlx; a part of the checks compares it.
export SQLX_OFFLINE=true
# A missing program is a failure: scripts/install.sh installs all.
export CI=true
# The tests run against the current nats-server, and a smoke part against the oldest supported one.
export NATS_SERVER_BIN="$PWD/.tools/nats/bin/nats-server"
export NATS_SERVER_OLDEST_BIN="$PWD/.tools/nats-oldest/bin/nats-server"
