#!/usr/bin/env bash
# Owns the checks: installs missing programs, runs every part, also after a failed one, and prints at the end which passed
# and how many minutes each took. Exits 1 if any part failed. Cheap parts come first. CI and `just check` run this file.
#
# SAMPLES_DIR, if set, names a folder of recorded tenant data that some tests read; they say so if it is not set.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
# shellcheck source=scripts/parts.sh
. scripts/parts.sh

# A test that hangs must not block the machine: the longest known run is far shorter.
TEST_LIMIT=45m
NODE_TEST_LIMIT=4m
BROWSER_TEST_LIMIT=5m

# shellcheck disable=SC2317 # called by `part`
sql_cache() {
  local output
  # Unused entries are only a warning there; here the folder must match the queries exactly.
  output="$(scripts/with-postgres.sh cargo sqlx prepare --check -- --all-targets 2>&1)" || {
    printf '%s\n' "$output"
    echo "the queries and .sqlx differ: run \`just prepare\` and commit .sqlx"
    return 1
  }
  ! grep 'potentially unused queries' <<<"$output"
}

# The tests mostly wait for servers: two more at once than there are cores.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) + 2))}"

part "install" scripts/install.sh test
part "format" cargo fmt --all --check
part "shell scripts" shellcheck .ci/run deploy/*.sh deploy/compose/*.sh scripts/*.sh
part "alerts" scripts/check-files.sh alerts
part "deploy files" scripts/check-files.sh deploy
part "contracts" scripts/check-files.sh contracts
part "docs" scripts/check-files.sh docs
part "dependencies" cargo deny --locked check --hide-inclusion-graph bans licenses sources
part "Postgres with a replica" scripts/check-replica.sh
part "inside Auth0" timeout --kill-after=30s "$NODE_TEST_LIMIT" node --test --test-reporter=spec tests/auth0/*.test.mjs
part "clippy" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
part "instructions an event" scripts/instructions.sh
part "SQL against the schema" sql_cache
part "build the tests" cargo test --quiet --locked --no-run
part "console in a browser" timeout --kill-after=30s "$BROWSER_TEST_LIMIT" node --test --test-reporter=spec tests/console/*.test.mjs
part "tests" timeout --kill-after=30s "$TEST_LIMIT" cargo test --locked
table
printf '\nparts: %s passed, %s failed\n' "$(counted passed)" "$(counted FAILED)"
exit "$failed"
