#!/usr/bin/env bash
# Owns the mutants: each patch in tests/mutants makes one decision, or one statement of the models' small stores, wrong. In a scratch
# copy of the last commit, the models must find each of them; prints the trace of each. Prints at the end `N found, N not found`;
# exits 1 if one was not found.
#
#   scripts/mutants.sh [NAME…]    all of tests/mutants/*.patch, or those named
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin"
# shellcheck source=scripts/patched.sh
. scripts/patched.sh

# An exploration that finds nothing must not block the machine.
MUTANT_LIMIT=10m

# shellcheck disable=SC2317 # called by `each_patch`
explored() {
  local expected output
  expected="$(field 'Found by')"
  output="$(timeout --kill-after=30s "$MUTANT_LIMIT" cargo test --quiet --locked -p rolekeeper-models --lib -- "$(field Test)" 2>&1)"
  if grep -qF "broken: $expected" <<<"$output"; then
    sed -n '/^broken: /,/^note: /p' <<<"$output" | grep -v '^note: '
  else
    printf '%s\n' "$output" | tail -40
    echo "it was not found by \"$expected\""
    return 1
  fi
}
each_patch tests/mutants explored "$@"
