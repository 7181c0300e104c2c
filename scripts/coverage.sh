#!/usr/bin/env bash
# Owns the coverage of the models: which branches of the decisions that they call no state takes. Runs the models with counters in the
# code and compares with the record, crates/models/untaken.txt; exits 1 if a branch is no longer taken, or one of the record is.
#
#   scripts/coverage.sh [record]    with `record` the new list becomes the record
#
# A branch is a region of LLVM's counters, of a function that some state calls. Parsers and texts are left out: the fuzzing has those.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh

scripts/install.sh coverage
llvm="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
folder=target/coverage
rm -rf "$folder/counters"
export CARGO_TARGET_DIR="$PWD/$folder" LLVM_PROFILE_FILE="$PWD/$folder/counters/%p-%m.profraw"
export RUSTFLAGS="-C instrument-coverage"
tests="$(cargo test --locked -p rolekeeper-models --lib --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')"
[ -n "$tests" ]
# Build scripts have written counters too.
rm -rf "$folder/counters"
"$tests" --quiet
"llvm-profdata-$llvm" merge -sparse "$folder"/counters/*.profraw -o "$folder/merged"
"llvm-cov-$llvm" export "$tests" -instr-profile="$folder/merged" --ignore-filename-regex='/registry/|/rustc/' >"$folder/counters.json"

python3 - "$folder/counters.json" >"$folder/untaken.txt" <<'PYTHON'
import collections, json, sys

LEFT_OUT = ("event/", "ids/", "date.rs", "plural.rs")
functions = collections.defaultdict(dict)
for function in json.load(open(sys.argv[1]))["data"][0]["functions"]:
    path = function["filenames"][0]
    inside = path.partition("/crates/domain/src/")[2]
    if not inside or inside.startswith(LEFT_OUT):
        continue
    # A function has its counters once for each type that it is made for.
    regions = functions[path, tuple(function["regions"][0][:2])]
    for *place, times, _file, _expanded, kind in function["regions"]:
        if kind == 0:
            regions[tuple(place)] = max(times, regions.get(tuple(place), 0))
called = {key: regions for key, regions in functions.items() if any(regions.values())}
every = sum(len(regions) for regions in called.values())
untaken = collections.defaultdict(set)
for (path, _), regions in called.items():
    for place, times in regions.items():
        if not times:
            untaken[path].add(place)
print(f"{every - sum(map(len, untaken.values()))} of {every} branches of {len(called)} functions are taken. Those that are not:")
for path in sorted(untaken):
    lines = open(path, encoding="utf-8").read().split("\n")
    print(f"\n{path.partition('/crates/domain/src/')[2]}")
    # The numbers of the lines would change with every edit.
    for line in sorted({place[0] for place in untaken[path]}):
        print(f"  {lines[line - 1].strip()}")
PYTHON
head -1 "$folder/untaken.txt"
if [ "${1:-}" = record ]; then cp "$folder/untaken.txt" crates/models/untaken.txt; fi
diff -u crates/models/untaken.txt "$folder/untaken.txt"
