#!/bin/sh
# Makes the roles, their passwords and the database on a server that is there already. May be run again at any time: a changed
# password file is a changed password. Needs psql, and a superuser, who is told by libpq's own variables (PGHOST, PGUSER, …)
# or, for the password, by a file:
#
#   PGHOST=db PGUSER=postgres PGPASSWORD_FILE=/run/secrets/superuser_password SECRETS=/run/secrets sh set-up.sh
#
# SECRETS holds owner_password, app_password and worker_password, and may hold backup_password: then there is a role
# guiche_backup, too. Passwords travel in no argument and stand in no log of the server.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
export SECRETS="$secrets"
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(cat "$PGPASSWORD_FILE")
    export PGPASSWORD
fi
for role in owner app worker; do
    [ -s "$secrets/${role}_password" ] || { echo "$secrets/${role}_password is missing or empty" >&2; exit 1; }
done

run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "${PGDATABASE:-postgres}" "$@"; }

run --file "$here/roles.sql"
[ ! -s "$secrets/backup_password" ] || run --file "$here/backup-role.sql"

for role in owner app worker backup; do
    [ -s "$secrets/${role}_password" ] || continue
    ROLE=$role run <<'SQL'
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';
\set role `echo "guiche_$ROLE"`
\set password `cat "$SECRETS/${ROLE}_password"`
ALTER ROLE :"role" PASSWORD :'password';
SQL
done

# CREATE DATABASE knows no IF NOT EXISTS, and no transaction.
run <<'SQL'
SELECT 'CREATE DATABASE guiche OWNER guiche_owner ENCODING ''UTF8'' TEMPLATE template0'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'guiche')
\gexec
SQL
[ ! -s "$secrets/backup_password" ] || run --command 'GRANT CONNECT ON DATABASE guiche TO guiche_backup'
echo 'the roles and the database are there'
