#!/usr/bin/env bash
# Owns the mutants: each patch in tests/mutants makes one decision, or one statement of the models' small stores, wrong. In a scratch
# copy of the last commit, the models must find each of them; prints the trace of each. Prints at the end `N found, N not found`;
# exits 1 if one was not found.
#
#   scripts/mutants.sh [NAME…]    all of tests/mutants/*.patch, or those named
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin"

# An exploration that finds nothing must not block the machine.
MUTANT_LIMIT=10m

root="$PWD"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
git archive HEAD | tar -x -C "$scratch"
cd "$scratch" || exit 1
# Dependencies are built once.
export CARGO_TARGET_DIR="$root/target/mutants"

names=("$@")
if [ "${#names[@]}" = 0 ]; then
  for patch in "$root"/tests/mutants/*.patch; do
    names+=("$(basename "$patch" .patch)")
  done
fi

found=0
missed=0
for name in "${names[@]}"; do
  patch="$root/tests/mutants/$name.patch"
  expected="$(sed -n 's/^Found by: //p' "$patch")"
  test="$(sed -n 's/^Test: //p' "$patch")"
  printf '\n== %s: %s ==\n' "$name" "$(sed -n 's/^Mutant: //p' "$patch")"
  if ! git apply "$patch"; then
    echo "$name does not apply"
    missed=$((missed + 1))
    continue
  fi
  output="$(timeout --kill-after=30s "$MUTANT_LIMIT" cargo test --quiet --locked -p rolekeeper-models --lib -- "$test" 2>&1)"
  if grep -qF "broken: $expected" <<<"$output"; then
    found=$((found + 1))
    sed -n '/^broken: /,/^note: /p' <<<"$output" | grep -v '^note: '
  else
    missed=$((missed + 1))
    printf '%s\n' "$output" | tail -40
    echo "$name was not found by \"$expected\""
  fi
  git apply -R "$patch" || exit 1
done
printf '\n%s found, %s not found\n' "$found" "$missed"
[ "$missed" = 0 ] && [ "$found" -gt 0 ]
