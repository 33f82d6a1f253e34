-- The four roles of Guichê, for a whole PostgreSQL cluster (15 to 18). Idempotent; run by a cluster superuser:
--
--     psql -U postgres -f deploy/postgres/roles.sql
--     psql -U postgres -c 'CREATE DATABASE guiche OWNER guiche_owner'
--     guiche migrate                      -- as guiche_owner (DATABASE_OWNER_URL)
--
-- Passwords are not set here: `ALTER ROLE guiche_app PASSWORD …` from a secret, or peer/certificate authentication.
-- It is plain SQL without psql commands, because the embedded server and the tests run it over the wire.

DO $roles$
DECLARE
    wanted text;
BEGIN
    -- Two sessions may do this at once; the loser of the race finds the role made.
    FOREACH wanted IN ARRAY ARRAY['guiche_owner', 'guiche_app', 'guiche_worker', 'guiche_auth'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                EXECUTE pg_catalog.format('CREATE ROLE %I', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    PERFORM pg_catalog.pg_advisory_xact_lock(7205759403792794);
    -- Owns every table and migrates. Row-level security is forced, so that not even it sees a person's rows; NOINHERIT, so
    -- that its membership in guiche_auth (which it needs to hand functions over) does not open them either.
    ALTER ROLE guiche_owner LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    -- Serves requests; sees the rows of one citizen at a time.
    ALTER ROLE guiche_app LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    -- Runs the office's background work on every citizen's rows. A login of its own: the server that takes requests from
    -- outside must not be able to become it.
    ALTER ROLE guiche_worker LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    -- Owns the few functions that find a row before the user is known.
    ALTER ROLE guiche_auth NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    GRANT guiche_auth TO guiche_owner;
    -- The program tells apart by their English words a few errors whose code its driver does not pass on.
    ALTER ROLE guiche_owner SET lc_messages = 'C';
    ALTER ROLE guiche_app SET lc_messages = 'C';
    ALTER ROLE guiche_worker SET lc_messages = 'C';
END
$roles$;
