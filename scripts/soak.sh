#!/usr/bin/env bash
# Owns the soak: for some minutes, random traffic and random faults of workers, servers, connections and responses; after each round of them
# all must equal the oracle. The steps follow from the seed; their timing does not. A difference leaves a file with all steps, the
# tenant's histories and the workers' logs in target/soak.
#
#   scripts/soak.sh [MINUTES [SEED]]    20 minutes and a new seed
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh

export SOAK_MINUTES="${1:-20}"
export SOAK_SEED="${2:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}"
export SOAK_HISTORY="$PWD/target/soak"
echo "soak; to repeat: scripts/soak.sh $SOAK_MINUTES $SOAK_SEED"

# A soak that hangs must not block the machine.
timeout --kill-after=30s "$((SOAK_MINUTES + 15))m" \
  cargo test --quiet --locked --test it -- --exact --nocapture faults::soak::random_faults_for_a_while_leave_all_as_the_oracle_has_it
