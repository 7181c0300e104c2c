#!/usr/bin/env bash
# Owns the bill of materials of the worker: the crates in its binary for one platform, from Cargo.lock, as CycloneDX 1.5 in JSON.
#
#   scripts/sbom.sh [FILE]    writes target/rolekeeper.cdx.json, or FILE
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin"

PLATFORM="${PLATFORM:-x86_64-unknown-linux-gnu}"
into="${1:-target/rolekeeper.cdx.json}"

scripts/install.sh release
# The time of the commit, so that one commit has one bill.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
# The tool writes beside the manifest of each package of the workspace.
NAME=sbom-of-release
remove() { find . -path ./target -prune -o -path ./.tools -prune -o -name "$NAME*.json" -exec rm -f {} +; }
trap remove EXIT
cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$PLATFORM" --no-build-deps \
  --override-filename "$NAME"
mkdir -p "$(dirname "$into")"
mv "$NAME.json" "$into"
# The tool also lists crates that features of the tests alone bring in; the binary has those of this tree.
tree="$(cargo tree --locked --package rolekeeper --edges normal --target "$PLATFORM" --prefix none | sort -u)"
python3 - "$into" Cargo.lock "$tree" <<'CHECK'
import json, sys, tomllib
bill = json.load(open(sys.argv[1]))
words = [line.split() for line in sys.argv[3].splitlines() if line]
binary = {(name, version.removeprefix("v")) for name, version, *_ in words}
kept = [one for one in bill["components"] if (one["name"], one["version"]) in binary]
refs = {one["bom-ref"] for one in kept} | {bill["metadata"]["component"]["bom-ref"]}
bill["components"] = kept
bill["dependencies"] = [
    one | {"dependsOn": [ref for ref in one.get("dependsOn", []) if ref in refs]} for one in bill["dependencies"] if one["ref"] in refs
]
json.dump(bill, open(sys.argv[1], "w"), indent=2)
locked = {(one["name"], one["version"]) for one in tomllib.load(open(sys.argv[2], "rb"))["package"]}
parts = {(one["name"], one["version"]) for one in bill["components"]}
unlicensed = [one["name"] for one in bill["components"] if not one.get("licenses")]
strangers = parts - locked
missing = {"async-nats", "sqlx", "tokio", "rolekeeper-domain"} - {name for name, _ in parts}
if strangers or missing or unlicensed:
    sys.exit(f"sbom: not of Cargo.lock: {strangers}; missing: {missing}; without a licence: {unlicensed}")
if {"opentelemetry", "stateright"} & {name for name, _ in parts}:
    sys.exit("sbom: it has crates of the tests")
print(f"sbom: {len(parts)} crates in {sys.argv[1]}")
CHECK
