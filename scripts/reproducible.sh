#!/usr/bin/env bash
# Owns the check that the release binary depends on its sources alone: builds the last commit twice, at two places with other paths,
# and compares the binaries. Takes two release builds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$HOME/.cargo/bin"
export SQLX_OFFLINE=true

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
sums=()
for place in "$work/one" "$work/another/place"; do
  mkdir -p "$place"
  git archive HEAD | tar -x -C "$place"
  (
    cd "$place"
    export RUSTFLAGS="--remap-path-prefix=$place=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/usr/local/cargo"
    cargo build --quiet --locked --release --package rolekeeper --target-dir "$place/target"
  )
  sums+=("$(sha256sum <"$place/target/release/rolekeeper" | cut -d' ' -f1)")
  rm -rf "$place/target/release/deps"
done
if [ "${sums[0]}" != "${sums[1]}" ]; then
  echo "reproducible: ${sums[0]} and ${sums[1]} differ"
  exit 1
fi
echo "reproducible: both binaries have the SHA-256 ${sums[0]}"
