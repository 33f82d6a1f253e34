-- The role of backups; optional, run by a cluster superuser after roles.sql:
--
--     psql -U postgres -f deploy/postgres/backup-role.sql
--     psql -U postgres -c 'GRANT CONNECT ON DATABASE guiche TO guiche_backup'
--
-- Row-level security is forced, so the owner of the tables sees no citizen's row and cannot back them up: pg_dump stops with
-- an error. This role may pass it by and may read everything; it can write nothing. Whoever has its password has every
-- citizen's data, so it belongs on the machine that takes the backups and nowhere else. The server never logs in as it, and
-- refuses to.
DO $backup$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'guiche_backup') THEN
        CREATE ROLE guiche_backup;
    END IF;
    ALTER ROLE guiche_backup LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS CONNECTION LIMIT 4;
    ALTER ROLE guiche_backup SET default_transaction_read_only = on;
    GRANT pg_read_all_data TO guiche_backup;
END
$backup$;
