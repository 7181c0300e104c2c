#!/usr/bin/env bash
# Owns the checks of files that no program of this project reads, each by a public tool that `scripts/install.sh test` installs. A
# missing tool is a failure. It starts no server and needs no network.
#
#   scripts/check-files.sh alerts|deploy|contracts|docs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/.tools/bin:$PWD/.tools/checks/python/bin:$PATH:/usr/sbin:/sbin"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

say() { printf '%-52s %s\n' "$1" "$2"; }

# quiet NAME COMMAND…: prints the output only if the command fails, or if it is not empty and NAME ends with "!".
quiet() {
  local name="$1" output
  shift
  if ! output="$("$@" 2>&1)" || { [ "${name%!}" != "$name" ] && [ -n "$output" ]; }; then
    printf '%s\n' "$output"
    say "${name%!}" FAILED
    return 1
  fi
  say "${name%!}" ok
}

alerts() {
  quiet "deploy/prometheus/rules.yml" promtool check rules deploy/prometheus/rules.yml
  quiet "deploy/prometheus/prometheus.yml" promtool check config deploy/prometheus/prometheus.yml
  quiet "deploy/prometheus/rules.test.yml" promtool test rules deploy/prometheus/rules.test.yml
}

# The environment that the configurations of nats-server name.
nats() {
  local -x NATS_SERVER_NAME=nats-1 NATS_HOST=127.0.0.1 NATS_PORT=4222 NATS_CLUSTER_PORT=6222 NATS_STORE_DIR="$work"
  local -x NATS_ROUTES='["nats://route:p0@127.0.0.1:6223", "nats://route:p0@127.0.0.1:6224"]'
  local -x NATS_MIGRATE_PASSWORD=p0 NATS_ROLEKEEPER_PASSWORD=p0 NATS_APP_PASSWORD=p0 NATS_MAILER_PASSWORD=p0 NATS_ROUTE_PASSWORD=p0
  local server file
  for server in nats nats-oldest; do
    for file in nats-server cluster; do
      quiet "deploy/nats/$file.conf ($server)" ".tools/$server/bin/nats-server" -t --config "deploy/nats/$file.conf"
    done
  done
}

systemd() {
  # A root of its own: a program in place of the worker, and the units that the distribution has.
  local root="$work/root" unit=deploy/systemd/rolekeeper.service
  mkdir -p "$root/usr/local/bin" "$root/etc/systemd/system" "$root/usr/lib/systemd"
  cp /bin/true "$root/usr/local/bin/rolekeeper"
  cp "$unit" "$root/etc/systemd/system/"
  cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
  # An unknown setting is only a warning there.
  quiet "$unit: verify!" systemd-analyze verify --root="$root" rolekeeper.service
  # 10 is the worst; 20 here is 2.0.
  quiet "$unit: security" systemd-analyze security --offline=true --no-pager --threshold=20 "$unit"
}

# render NAME ARGUMENTS…: the manifests of the chart.
render() {
  local into="$work/$1.yaml"
  shift
  helm template rolekeeper deploy/helm/rolekeeper --namespace roles \
    --set settings.AUTH0_DOMAIN=music.eu.auth0.com --set settings.AUTH0_CLIENT_ID=abc "$@" >"$into" 2>"$work/helm.log" \
    || { cat "$work/helm.log"; return 1; }
}

helm_chart() {
  local settings=(--set settings.AUTH0_DOMAIN=music.eu.auth0.com --set settings.AUTH0_CLIENT_ID=abc)
  quiet "deploy/helm/rolekeeper: lint" helm lint --strict deploy/helm/rolekeeper "${settings[@]}"
  if helm lint --strict deploy/helm/rolekeeper "${settings[@]}" --set settings.DATABASE_URL=postgres://x >/dev/null 2>&1; then
    echo "a secret among the settings of the chart was accepted"
    return 1
  fi
  render small --set networkPolicy.enabled=false --set migrate.enabled=false
  render full --set serviceMonitor.enabled=true --set prometheusRule.enabled=true --set dashboard.enabled=true \
    --set-string 'rules=version = 1' --set 'secrets.more={ERASURE_KEY,LOG_STREAM_TOKEN_OLD}'
  # The oldest version that the chart names, and newer ones.
  local name
  for name in small full; do
    quiet "deploy/helm/rolekeeper: Kubernetes, $name" bash -c \
      "python tests/checks/manifests.py 1.30 1.34 1.37 <'$work/$name.yaml' >'$work/operator.json'"
  done
  quiet "deploy/helm/rolekeeper: operator" in_node operator.mjs "$work/operator.json"
}

deploy() {
  quiet "deploy/Dockerfile" hadolint --failure-threshold=style deploy/Dockerfile
  quiet "deploy/compose.yaml" check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
  quiet ".github/workflows" check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
  quiet "deploy/helm/rolekeeper/values.schema.json" check-jsonschema --check-metaschema deploy/helm/rolekeeper/values.schema.json
  nats
  systemd
  helm_chart
}

# in_node PROGRAM ARGUMENTS…: runs a program of tests/checks/ where Node finds its packages, which is beside it.
in_node() {
  cp "tests/checks/$1" ".tools/checks/node/$1"
  node ".tools/checks/node/$1" "${@:2}"
}

contracts() {
  quiet "docs/asyncapi.yaml, docs/schemas" in_node contracts.mjs "$PWD"
  # The servers are those of each operator.
  REDOCLY_TELEMETRY=off quiet "docs/openapi.json" .tools/checks/node/node_modules/.bin/redocly lint docs/openapi.json \
    --skip-rule=no-empty-servers --skip-rule=info-license
}

# Every page is in the table of contents.
in_summary() {
  local page missing=0
  for page in docs/*.md docs/runbooks/*.md; do
    page="${page#docs/}"
    if [ "$page" != SUMMARY.md ] && ! grep -qF "($page)" docs/SUMMARY.md; then
      echo "docs/SUMMARY.md has no line for $page"
      missing=1
    fi
  done
  return "$missing"
}

docs() {
  quiet "docs/SUMMARY.md" in_summary
  cp tests/checks/remarkrc.mjs .tools/checks/node/
  quiet "links" .tools/checks/node/node_modules/.bin/remark --no-stdout --frail --quiet --rc-path .tools/checks/node/remarkrc.mjs \
    docs migrations/README.md README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md
}

case "${1:-}" in
  alerts | deploy | contracts | docs) "$1" ;;
  *)
    echo "usage: scripts/check-files.sh alerts|deploy|contracts|docs" >&2
    exit 2
    ;;
esac
