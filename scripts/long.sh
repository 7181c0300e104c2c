#!/usr/bin/env bash
# Owns the tests that take too long for the checks: the models, their coverage and their mutants, sabotages of the worker, a soak, the
# fuzzing of all parsers with a new seed, the release binary in a folder with nothing but its libraries, as in its image, the book and
# the files of a release, then the integration tests of faults, at larger sizes, for several rounds. Prints at the end what passed, by
# part and by the faults' numbers; exits 1 if a part failed.
#
#   scripts/long.sh [--rounds N] [--parts NAME,NAME] [FILTER…]
#       3 rounds of the tests f01 to f60 and those of races, exactly once, models, takeover, discover and crash points;
#       parts: models coverage mutants sabotages soak fuzzing image book materials archive tests; all, unless named
#
# Each test has its own oracle; seeds, order and timing differ from round to round.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
# shellcheck source=scripts/parts.sh
. scripts/parts.sh
# Tests with a larger size use it.
export LONG_TESTS=1

# A round that hangs must not block the machine.
ROUND_LIMIT=90m

rounds=3
ALL=models,coverage,mutants,sabotages,soak,fuzzing,image,book,materials,archive,tests
parts="$ALL"
while [[ "${1:-}" == --* ]]; do
  case "$1" in
    --rounds) rounds="${2:?--rounds needs a number}" ;;
    --parts) parts="${2:?--parts needs names}" ;;
    *)
      echo "long: $1 is no option; see the head of scripts/long.sh"
      exit 1
      ;;
  esac
  shift 2
done
filters=("$@")
if [ "${#filters[@]}" = 0 ]; then
  filters=(::f{0..6}{0..9}_ races:: exactly_once:: model_store:: model_queue:: takeover:: discover:: crash_points::)
fi
for name in ${parts//,/ }; do
  [[ ",$ALL," == *",$name,"* ]] || {
    echo "long: --parts: $name is no part; the parts are ${ALL//,/ }"
    exit 1
  }
done
wanted() { [[ ",$parts," == *",$1,"* ]]; }

scripts/install.sh test || exit 1
cargo test --quiet --locked --no-run || exit 1

# The same two numbers make the same inputs.
fuzz=(env "FUZZ_SEED=${FUZZ_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}" "FUZZ_CASES=${FUZZ_CASES:-20000}")
# shellcheck disable=SC2317 # the functions are called by `part`
models() { timeout --kill-after=30s "$ROUND_LIMIT" cargo test --quiet --locked -p rolekeeper-models --lib; }
# shellcheck disable=SC2317
fuzzing() {
  echo "to repeat: ${fuzz[*]:1} cargo test --lib -- fuzz_"
  "${fuzz[@]}" timeout --kill-after=30s "$ROUND_LIMIT" cargo test --quiet --locked --lib -- fuzz_
}
# shellcheck disable=SC2317
image() { cargo build --quiet --locked --release --package rolekeeper && scripts/check-image.sh target/release/rolekeeper; }
if wanted models; then part models models; fi
if wanted coverage; then part "coverage of the models" scripts/coverage.sh; fi
if wanted mutants; then part mutants scripts/mutants.sh; fi
if wanted sabotages; then part sabotages scripts/sabotage.sh; fi
if wanted soak; then part soak scripts/soak.sh; fi
if wanted fuzzing; then part fuzzing fuzzing; fi
if wanted image; then part "the binary without a system" image; fi
if wanted book; then part "the book" scripts/book.sh; fi
if wanted materials; then part "the bill of materials" scripts/sbom.sh; fi
if wanted archive; then part "the source archive" scripts/package.sh; fi

output="$(mktemp)"
trap 'rm -f "$output"' EXIT
# shellcheck disable=SC2317 # called by `part`
round() { timeout --kill-after=30s "$ROUND_LIMIT" cargo test --locked --test it -- "${filters[@]}" 2>&1 | tee -a "$output"; }
if wanted tests; then
  for ((round = 1; round <= rounds; round++)); do part "tests, round $round of $rounds" round; done
fi

# The tests of each fault, of all rounds together.
by_fault() {
  printf '\n%-6s  %-6s  %6s\n' fault passed failed
  awk '$1 == "test" && $3 == "..." && match($2, /::f[0-9][0-9]_/) {
      fault = "F" (substr($2, RSTART + 3, 2) + 0)
      if ($4 == "ok") passed[fault]++; else failed[fault]++
    }
    END { for (n = 1; n <= 60; n++) { f = "F" n; if (f in passed || f in failed) printf "%-6s  %6d  %6d\n", f, passed[f], failed[f] } }' "$output"
}
printf '\n%s, commit %s\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)"
table
if wanted tests; then by_fault; fi
printf '\nparts: %s passed, %s failed\n' "$(counted passed)" "$(counted FAILED)"
if wanted tests; then
  ended() { grep -cE "^test .* \.\.\. $1\$" "$output"; }
  printf 'tests of all rounds: %s passed, %s failed\n' "$(ended ok)" "$(ended FAILED)"
fi
exit "$failed"
