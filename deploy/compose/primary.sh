#!/usr/bin/env bash
# Owns the passwords of the roles at the first start of Postgres, and the way in for the replica.
set -euo pipefail

while read -r role password; do
  if [ "$role" = replication ]; then
    psql -v ON_ERROR_STOP=1 --username=postgres --dbname=rolekeeper --command="CREATE ROLE replication LOGIN REPLICATION"
    psql -v ON_ERROR_STOP=1 --username=postgres --dbname=rolekeeper \
      --command="SELECT pg_create_physical_replication_slot('replica')"
  fi
  # From standard input, so that the password is in no list of processes.
  printf "ALTER ROLE %s PASSWORD '%s';\n" "$role" "$password" \
    | psql -v ON_ERROR_STOP=1 --username=postgres --dbname=rolekeeper
done <"${SECRETS:-/run/secrets}/postgres_passwords"
echo "host replication replication all scram-sha-256" >>"$PGDATA/pg_hba.conf"
