#!/usr/bin/env bash
# Owns a trial of what the image of deploy/Dockerfile has: the binary and the libraries that it loads, in a folder without a shell or
# any other program, as an unprivileged user. There it prints its version, `doctor` names what is missing, and a worker starts,
# resolves host names, responds to probes and ends on SIGTERM.
#
#   scripts/check-image.sh BINARY
#
# Needs root, or a kernel that lets users make namespaces.
set -euo pipefail
binary="$(realpath "${1:?usage: scripts/check-image.sh BINARY}")"
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/sbin:/sbin"

for tool in chroot curl ldd pgrep unshare; do
  command -v "$tool" >/dev/null || {
    echo "check-image: $tool is missing (Debian: coreutils, curl, libc-bin, procps, util-linux)"
    exit 1
  }
done

root="$(mktemp -d)"
worker=""
# shellcheck disable=SC2317 # called by the trap
stop() {
  if [ -n "$worker" ]; then kill -KILL "$worker" 2>/dev/null || true; fi
  rm -rf "$root"
}
trap stop EXIT

mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/proc"
chmod 755 "$root"
chmod 1777 "$root/tmp"
cp "$binary" "$root/usr/local/bin/rolekeeper"
for library in $(ldd "$binary" | grep -oE '/[^ ]+'); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo "hosts: files" >"$root/etc/nsswitch.conf"
echo "127.0.0.1 localhost db.test tenant.test" >"$root/etc/hosts"

# inside ARGUMENTS…: the binary in the folder, as user 65532 of a root that has nothing else.
inside() {
  if [ "$(id -u)" = 0 ]; then
    unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot --userspec=65532:65532 "$root" /usr/local/bin/rolekeeper "$@"
  else
    unshare --user --map-root-user --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" /usr/local/bin/rolekeeper "$@"
  fi
}

ops="$(scripts/free-port.sh)"
# No server listens there: the connections are refused, which shows that the names were resolved.
unused="$(scripts/free-port.sh)"
export DATABASE_URL="postgres://rolekeeper_run@db.test:$unused/rolekeeper" NATS_URL="nats://127.0.0.1:$unused"
export AUTH0_DOMAIN="https://tenant.test:$unused" AUTH0_CLIENT_ID=client AUTH0_CLIENT_SECRET=secret AUTH0_PLAN=free
export LOG_STREAM_TOKEN=0123456789abcdef LISTEN=127.0.0.1:0 OPS_LISTEN="127.0.0.1:$ops" LOG_FORMAT=json

inside --version
doctor="$(inside doctor)" && {
  echo "doctor found no fault without servers"
  exit 1
}
for part in postgres.server auth0.token; do
  grep -q " $part .*Connection refused" <<<"$doctor" || {
    printf '%s\n' "$doctor"
    echo "doctor did not reach the address of the name: $part"
    exit 1
  }
done

inside serve >"$root/log" 2>&1 &
worker=$!
for _ in $(seq 100); do
  health="$(curl --silent --max-time 2 "http://127.0.0.1:$ops/healthz" || true)"
  [ "$health" = alive ] && break
  sleep 0.1
done
metrics="$(curl --silent --max-time 5 "http://127.0.0.1:$ops/metrics")"
ready="$(curl --silent --max-time 5 "http://127.0.0.1:$ops/readyz")"
for expected in rolekeeper_build_info process_resident_memory_bytes process_start_time_seconds; do
  grep -q "^$expected" <<<"$metrics" || {
    cat "$root/log"
    echo "no $expected"
    exit 1
  }
done
grep -q 'not ready' <<<"$ready"
grep -q 'Postgres: .*Connection refused' "$root/log" || {
  cat "$root/log"
  echo "the worker did not reach the address of the name db.test"
  exit 1
}
# The innermost process is the worker itself, the first one of its container.
child="$worker"
while next="$(pgrep --parent "$child")"; do child="$next"; done
kill -TERM "$child"
for _ in $(seq 100); do
  kill -0 "$child" 2>/dev/null || break
  sleep 0.1
done
if kill -0 "$child" 2>/dev/null; then
  echo "the worker did not end within 10 s of SIGTERM"
  exit 1
fi
worker=""
echo "alive in a folder with $(find "$root" -type f | wc -l) files; not ready without its servers"
