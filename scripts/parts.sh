# shellcheck shell=bash
# Owns the parts of a run of checks: runs each, also after a failed one, and prints at the end which passed and how many minutes each took.
# Sourced by deploy/test.sh and scripts/long.sh; sets `failed` to 1 if a part failed.

names=()
results=()
seconds=()
failed=0

# part NAME COMMAND…
part() {
  local name="$1" begun="$SECONDS" result=passed
  shift
  printf '\n== %s ==\n' "$name"
  "$@" || {
    result=FAILED
    failed=1
  }
  names+=("$name")
  results+=("$result")
  seconds+=("$((SECONDS - begun))")
}

table() {
  local at
  printf '\n%-28s  %-6s  %7s\n' part result minutes
  for at in "${!names[@]}"; do
    row "${names[$at]}" "${results[$at]}" "${seconds[$at]}"
  done
  row all "$([ "$failed" = 0 ] && echo passed || echo FAILED)" "$SECONDS"
}
counted() { printf '%s\n' "${results[@]}" | grep -c "^$1$" || true; }
row() { printf '%-28s  %-6s  %7s\n' "$1" "$2" "$(($3 / 60)).$((($3 % 60) * 10 / 60))"; }
