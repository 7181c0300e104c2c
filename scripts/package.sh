#!/usr/bin/env bash
# Owns the source archive of a release, target/rolekeeper-VERSION.tar.gz: the last commit, whole. Exits 1 if it lacks a file that a build
# needs, or if cargo cannot package the worker, its domain and its sandbox, or warns.
#
#   scripts/package.sh [ARGUMENTS OF CARGO]
#
# No package is published on a registry (`publish = false`), so a package alone cannot be built: its domain is nowhere to be found.
# That cargo can package them shows that their manifests are complete.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:$HOME/.cargo/bin"

# Without the lock file, which cargo would make from a registry.
said="$(cargo package --locked --no-verify --exclude-lockfile \
  --package rolekeeper-domain --package rolekeeper-sandbox --package rolekeeper "$@" 2>&1)" || {
  printf '%s\n' "$said"
  exit 1
}
printf '%s\n' "$said"
# A registry would show these links; there is none.
if grep '^warning' <<<"$said" | grep -vxF 'warning: manifest has no documentation, homepage or repository'; then
  echo "package: cargo warns"
  exit 1
fi
list="$(cargo package --locked --list --package rolekeeper "$@")"
if grep -E '^(\.tools|\.ci|\.github|target|crates)/' <<<"$list"; then
  echo "package: these files do not belong into the package of the worker"
  exit 1
fi

version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
archive="target/rolekeeper-$version.tar.gz"
mkdir -p target
# gzip without a time, so that one commit has one archive.
git archive --format=tar --prefix="rolekeeper-$version/" HEAD | gzip -n9 >"$archive"
files="$(tar -tzf "$archive")"
for file in Cargo.toml Cargo.lock LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md askama.toml rust-toolchain.toml src/main.rs \
  crates/domain/src/lib.rs migrations/20261129000001_streams.sql; do
  grep -qxF "rolekeeper-$version/$file" <<<"$files" || {
    echo "package: $archive lacks $file"
    exit 1
  }
done
queries="$(grep -c "^rolekeeper-$version/\.sqlx/." <<<"$files")"
if [ "$queries" != "$(find .sqlx -name '*.json' | wc -l)" ]; then
  echo "package: $archive has $queries of the checked queries"
  exit 1
fi
echo "package: $archive, $(wc -l <<<"$files") files and folders"
