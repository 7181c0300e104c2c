#!/usr/bin/env bash
# Owns the count of instructions that an event takes from its bytes to the sums of its batch (parse and tally), and its
# comparison with the figure on record. The count does not depend on other load of the machine. It depends on the
# compiler, the processor's kind and the C library (whose malloc is a part of it), so the record contains these too.
#
#   scripts/instructions.sh           counts and compares: exits 1 when it is more than 5 % above the record
#   scripts/instructions.sh count     prints the count and, if comparable, the recorded one
#   scripts/instructions.sh record    counts and writes the record, after a justified growth, a gain, or a new compiler
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$HOME/.cargo/bin"

RECORD=benches/instructions/record.txt
# Two runs of one program differ far less, only by the seed of std's hash maps.
PERCENT_MORE=5

say() { printf 'instructions: %s\n' "$*" >&2; }
recorded() { sed -n "s/^$1 = //p" "$RECORD"; }
compiler() { rustc -vV | sed -n "s/^$1: //p"; }
c_library() { getconf GNU_LIBC_VERSION 2>/dev/null || echo other; }

# Prints the instructions of the whole program with the given number of passes.
collected() {
  local said
  said="$(env -i valgrind --tool=callgrind --callgrind-out-file=/dev/null "$PROGRAM" "$1" 2>&1 >/dev/null)"
  sed -n 's/^==[0-9]*== Collected : //p' <<<"$said" | grep . || {
    printf '%s\n' "$said" >&2
    return 1
  }
}

# The start, the creation of the events and the end are the same with one pass and with two.
count() {
  local events once twice
  events="$("$PROGRAM" 0 | cut -d' ' -f1)"
  once="$(collected 1)"
  twice="$(collected 2)"
  echo $(((twice - once) / events))
}

compare() {
  local here="$1" allowed
  allowed=$(($(recorded instructions) * (100 + PERCENT_MORE) / 100))
  say "$here an event, $(recorded instructions) on record, $allowed allowed"
  if [ "$(recorded libc)" != "$(c_library)" ]; then
    say "the record was made with $(recorded libc), this is $(c_library): malloc may differ"
  fi
  if [ "$here" -gt "$allowed" ]; then
    say "more than $PERCENT_MORE % above the record. If it is worth it, run \`scripts/instructions.sh record\`, commit the record and say why"
    return 1
  fi
  if [ "$here" -lt $(($(recorded instructions) * (100 - PERCENT_MORE) / 100)) ]; then
    say "far below the record: run \`scripts/instructions.sh record\`, so that the gain is kept"
  fi
}

case "${1:-compare}" in
  compare | count | record) ;;
  *)
    echo "usage: scripts/instructions.sh [count|record]" >&2
    exit 2
    ;;
esac
if ! command -v valgrind >/dev/null; then
  say "valgrind is missing: run \`scripts/install.sh test\`"
  exit 1
fi
release="$(compiler release)"
target="$(compiler host)"
pinned="$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"
if [ "${1:-compare}" = compare ]; then
  if [ "$release" != "$pinned" ] || [ "$target" != "$(recorded target)" ]; then
    say "not compared: rustc $release for $target here, the record is about $(recorded rustc) for $(recorded target)"
    exit 0
  fi
  # Otherwise a new pin would disable the check silently.
  if [ "$release" != "$(recorded rustc)" ]; then
    say "the record was made with rustc $(recorded rustc): run \`scripts/instructions.sh record\` and commit it with the new pin"
    exit 1
  fi
fi
cargo build --quiet --release --locked --package rolekeeper-instructions
# Only Cargo knows its target folder.
PROGRAM="$(cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/rolekeeper-instructions"
here="$(count)"
case "${1:-compare}" in
  compare) compare "$here" ;;
  count)
    if [ "$release $target" = "$(recorded rustc) $(recorded target)" ]; then
      echo "$here $(recorded instructions)"
    else
      echo "$here"
    fi
    ;;
  record)
    cat >"$RECORD" <<RECORD
Instructions of parse and tally, an event. Written by scripts/instructions.sh.
rustc = $release
target = $target
libc = $(c_library)
instructions = $here
RECORD
    say "$here an event, written to $RECORD"
    ;;
esac
