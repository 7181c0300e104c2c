#!/usr/bin/env bash
# Owns the tests that take too long for the checks: the models and their mutants, sabotages of the worker, a soak, the fuzzing of all
# parsers with a new seed, the release binary in a folder with nothing but its libraries, as in its image, the book and the files of a
# release, then the integration tests of faults, at larger sizes, for several rounds. Prints at the end
# `N passed, N failed`, tests of all rounds together; exits 1 if any failed.
#
#   scripts/long.sh [--rounds N] [FILTER…]    3 rounds of the tests named f01 to f60, races, exactly once, models, takeover, discover and crash points
#
# Each test has its own oracle; seeds, order and timing differ from round to round.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
# Tests with a larger size use it.
export LONG_TESTS=1

# A round that hangs must not block the machine.
ROUND_LIMIT=90m

rounds=3
if [ "${1:-}" = --rounds ]; then
  rounds="${2:?--rounds needs a number}"
  shift 2
fi
filters=("$@")
if [ "${#filters[@]}" = 0 ]; then
  filters=(::f0 ::f1 ::f2 ::f3 ::f4 ::f5 ::f60 reconcile::races:: fold::exactly_once:: fold::model_store:: reconcile::model_queue:: takeover:: discover:: crash_points::)
fi

scripts/install.sh test || exit 1
cargo test --quiet --locked --no-run || exit 1

passed=0
failed=0
# one NAME COMMAND…: counts as one test.
one() {
  local name="$1"
  shift
  printf '\n== %s ==\n' "$name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}
one models timeout --kill-after=30s "$ROUND_LIMIT" cargo test --quiet --locked -p rolekeeper-models --lib
one mutants scripts/mutants.sh
one sabotages scripts/sabotage.sh
one soak scripts/soak.sh
# The same two numbers make the same inputs.
fuzz=(env "FUZZ_SEED=${FUZZ_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}" "FUZZ_CASES=${FUZZ_CASES:-20000}")
echo "fuzzing; to repeat: ${fuzz[*]:1} cargo test --lib -- fuzz_"
one fuzzing "${fuzz[@]}" timeout --kill-after=30s "$ROUND_LIMIT" cargo test --quiet --locked --lib -- fuzz_
# shellcheck disable=SC2317 # called by `one`
image() { cargo build --quiet --locked --release --package rolekeeper && scripts/check-image.sh target/release/rolekeeper; }
one "the release binary in a folder of its own" image
one "the book" scripts/book.sh
one "the bill of materials" scripts/sbom.sh
one "the source archive" scripts/package.sh

for ((round = 1; round <= rounds; round++)); do
  printf '\n== round %s of %s ==\n' "$round" "$rounds"
  output="$(mktemp)"
  timeout --kill-after=30s "$ROUND_LIMIT" \
    cargo test --quiet --locked --test it -- "${filters[@]}" 2>&1 | tee "$output"
  ended="${PIPESTATUS[0]}"
  counts="$(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$output")"
  rm -f "$output"
  read -r ok bad <<<"${counts:-0 0}"
  if [ "$ok" = 0 ] || { [ "$ended" != 0 ] && [ "$bad" = 0 ]; }; then
    echo "round $round did not finish (exit $ended)"
    bad=$((bad + 1))
  fi
  passed=$((passed + ok))
  failed=$((failed + bad))
done
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
