#!/usr/bin/env bash
# Owns the book of docs/: builds it into target/book. Exits 1 if mdbook fails or warns.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH:$HOME/.cargo/bin"

scripts/install.sh book
rm -rf target/book
said="$(mdbook build docs 2>&1)" || {
  printf '%s\n' "$said"
  exit 1
}
printf '%s\n' "$said"
if grep -qE 'WARN|ERROR' <<<"$said"; then
  echo "book: mdbook warns"
  exit 1
fi
# A page for each line of the table of contents.
pages="$(grep -oE '\([A-Za-z/-]+\.md\)' docs/SUMMARY.md | tr -d '()')"
for page in $pages; do
  html="target/book/${page%.md}.html"
  # mdbook makes an index of each README.
  [ "$(basename "$page")" != README.md ] || html="target/book/$(dirname "$page")/index.html"
  if [ ! -s "$html" ]; then
    echo "book: $html is missing"
    exit 1
  fi
done
echo "book: $(wc -w <<<"$pages") pages in target/book"
