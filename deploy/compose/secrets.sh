#!/usr/bin/env bash
# Owns the secrets of deploy/compose.yaml: makes each missing one, and changes none that is there. Auth0's client secret comes
# from the operator.
#
#   AUTH0_CLIENT_SECRET=… deploy/compose/secrets.sh
set -euo pipefail
# Other users of this host cannot enter the folder. The files in it are readable, since a container mounts each of them under a
# user of its own.
umask 077
folder="${SECRETS_DIR:-$(dirname "${BASH_SOURCE[0]}")/secrets}"
mkdir -p "$folder"
cd "$folder"

# Begins with a letter and has only letters and digits: it stands in URLs and in the configuration of nats-server.
password() { printf 'p%s' "$(openssl rand -hex 24)"; }

# secret NAME TEXT
secret() {
  [ -e "$1" ] || printf '%s\n' "$2" >"$1"
  chmod 644 "$1"
}

if [ ! -e auth0_client_secret ] && [ -z "${AUTH0_CLIENT_SECRET:-}" ]; then
  echo "secrets: set AUTH0_CLIENT_SECRET to the secret of rolekeeper's client at Auth0" >&2
  exit 1
fi
secret auth0_client_secret "${AUTH0_CLIENT_SECRET:-}"
secret log_stream_token "$(password)"
secret grafana_password "$(password)"

secret postgres_password "$(password)"
secret replication_password "$(password)"
migrate="$(password)"
run="$(password)"
read="$(password)"
if [ ! -e postgres_passwords ]; then
  secret database_url_migrate "postgres://rolekeeper_migrate:$migrate@postgres/rolekeeper"
  secret database_url_run "postgres://rolekeeper_run:$run@postgres/rolekeeper"
fi
secret postgres_passwords "rolekeeper_migrate $migrate
rolekeeper_run $run
rolekeeper_read $read
replication $(cat replication_password)"

migrate="$(password)"
worker="$(password)"
route="$(password)"
servers() { printf '%s' "nats://$1@nats-1:4222,nats://$1@nats-2:4222,nats://$1@nats-3:4222"; }
if [ ! -e nats_env ]; then
  secret nats_url_migrate "$(servers "rolekeeper_migrate:$migrate")"
  secret nats_url_run "$(servers "rolekeeper:$worker")"
fi
secret nats_env "NATS_MIGRATE_PASSWORD=$migrate
NATS_ROLEKEEPER_PASSWORD=$worker
NATS_APP_PASSWORD=$(password)
NATS_MAILER_PASSWORD=$(password)
NATS_ROUTE_PASSWORD=$route
NATS_ROUTES='[\"nats://route:$route@nats-1:6222\", \"nats://route:$route@nats-2:6222\", \"nats://route:$route@nats-3:6222\"]'"
echo "secrets: in $PWD; the log stream at Auth0 needs the token in log_stream_token" >&2
