#!/usr/bin/env bash
# Owns the sabotages: each patch in tests/sabotage takes one guard out of the worker. The test that the patch names must pass with the
# worker of this checkout, and fail with one that is built from a scratch copy of the last commit with the patch. Prints at the end
# `N found, N not found`; exits 1 if one was not found.
#
#   scripts/sabotage.sh [NAME…]    all of tests/sabotage/*.patch, or those named
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh

# A test that waits for ever must not block the machine.
TEST_LIMIT=10m

tests="$(cargo test --locked --test it --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')"
[ -n "$tests" ] || exit 1
tests="$PWD/$tests"
# shellcheck source=scripts/patched.sh
. scripts/patched.sh

# The line of the test with this name: `test NAME ... ok` or `… FAILED`.
tested() {
  timeout --kill-after=30s "$TEST_LIMIT" "$tests" --exact "$1" >"$scratch/output" 2>&1
  grep -F "test $1 ... " "$scratch/output"
}
# shellcheck disable=SC2317 # called by `each_patch`
turns_red() {
  local name
  name="$(field 'Turns red')"
  # A test that fails anyway proves nothing.
  tested "$name" | grep 'ok$' || {
    tail -40 "$scratch/output"
    echo "not green without the sabotage: $name"
    return 1
  }
  cargo build --quiet --locked --bin rolekeeper || return 1
  ROLEKEEPER_BIN="$CARGO_TARGET_DIR/debug/rolekeeper" tested "$name" | grep 'FAILED$' || {
    tail -40 "$scratch/output"
    echo "not red with the sabotage: $name"
    return 1
  }
  grep -A4 -m1 'panicked at' "$scratch/output" | cut -c1-300
}
each_patch tests/sabotage turns_red "$@"
