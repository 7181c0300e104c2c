# shellcheck shell=bash
# Owns the scratch copy of the last commit in which patches are tried, one after the other; sourced by `mutants.sh` and `sabotage.sh` in
# the root of the checkout. Prints at the end `N found, N not found`.

# each_patch FOLDER TRY [NAME…]: applies each patch of FOLDER, or those named, and runs TRY, which succeeds if the patch was found.
# Returns 1 if one was not found, or no longer applies.
each_patch() {
  local folder="$PWD/$1" try="$2" name found=0 missed=0
  shift 2
  local names=("$@")
  if [ "${#names[@]}" = 0 ]; then
    for patch in "$folder"/*.patch; do names+=("$(basename "$patch" .patch)"); done
  fi
  for name in "${names[@]}"; do
    patch="$folder/$name.patch"
    printf '\n== %s: %s ==\n' "$name" "$(head -1 "$patch" | sed 's/^[^:]*: //')"
    if ! git -C "$scratch" apply "$patch"; then
      echo "$name does not apply"
      missed=$((missed + 1))
      continue
    fi
    if (cd "$scratch" && "$try"); then found=$((found + 1)); else missed=$((missed + 1)); fi
    git -C "$scratch" apply -R "$patch" || return 1
  done
  printf '\n%s found, %s not found\n' "$found" "$missed"
  [ "$missed" = 0 ] && [ "$found" -gt 0 ]
}

# The value of a line of the patch's head.
field() { sed -n "s/^$1: //p" "$patch"; }

patch=""
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
git archive HEAD | tar -x -C "$scratch"
# Dependencies are built once.
export CARGO_TARGET_DIR="$PWD/target/mutants"
