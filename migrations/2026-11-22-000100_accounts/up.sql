-- Privileges, the identity, accounts and sessions.

-- Nothing is everybody's: neither this database, nor what is made in it from now on.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO guiche_app, guiche_worker', current_database());
END
$$;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO guiche_app, guiche_worker, guiche_auth;

CREATE TABLE users (
    id            uuid        PRIMARY KEY,
    email         text        NOT NULL,
    email_key     text        NOT NULL CONSTRAINT users_email_key_unique UNIQUE,
    password_hash text        NOT NULL,
    epoch         integer     NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT users_email_length CHECK (octet_length(email) BETWEEN 3 AND 254),
    CONSTRAINT users_email_key_is_lower_case CHECK (email_key = lower(email COLLATE "C")),
    CONSTRAINT users_password_hash_length CHECK (octet_length(password_hash) BETWEEN 1 AND 512),
    CONSTRAINT users_epoch_counts_up CHECK (epoch >= 0)
);

-- A session: the family of all refresh tokens that descend from one sign-in.
CREATE TABLE sessions (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users (id),
    issued_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT sessions_id_user_unique UNIQUE (id, user_id),
    CONSTRAINT sessions_end_after_their_start CHECK (ends_at > issued_at)
);
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_ends_at ON sessions (ends_at);

CREATE TABLE refresh_tokens (
    token_hash bytea       PRIMARY KEY,
    family_id  uuid        NOT NULL,
    user_id    uuid        NOT NULL,
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz,
    -- A token is of its family's owner, whatever anybody writes.
    CONSTRAINT refresh_tokens_family FOREIGN KEY (family_id, user_id)
        REFERENCES sessions (id, user_id) ON DELETE CASCADE,
    CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX refresh_tokens_family_id ON refresh_tokens (family_id, user_id);
-- At most one token of a family can still be used.
CREATE UNIQUE INDEX refresh_tokens_one_fresh ON refresh_tokens (family_id) WHERE spent_at IS NULL;

-- A change that must never happen is refused under the name of its trigger. Which one it is stands in the trigger's WHEN,
-- so that every other change pays for a comparison and not for a call.
CREATE FUNCTION refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a change of % breaks %', TG_TABLE_NAME, TG_NAME
        USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

-- An epoch that comes again would bring back every access token of its time.
CREATE TRIGGER users_epoch_never_falls BEFORE UPDATE ON users
    FOR EACH ROW WHEN (NEW.epoch < OLD.epoch) EXECUTE FUNCTION refuse();
CREATE TRIGGER sessions_stay_revoked BEFORE UPDATE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL) EXECUTE FUNCTION refuse();
CREATE TRIGGER refresh_tokens_stay_spent BEFORE UPDATE ON refresh_tokens
    FOR EACH ROW WHEN (OLD.spent_at IS NOT NULL AND NEW.spent_at IS NULL) EXECUTE FUNCTION refuse();

ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- The setting is '' and not NULL once a transaction has set it locally; either way nobody is nobody.
CREATE POLICY users_own ON users TO guiche_app
    USING (id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY sessions_own ON sessions TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY refresh_tokens_own ON refresh_tokens TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);

CREATE POLICY users_before_sign_in ON users FOR SELECT TO guiche_auth USING (true);
CREATE POLICY refresh_tokens_before_sign_in ON refresh_tokens FOR SELECT TO guiche_auth USING (true);
CREATE POLICY sessions_housekeeping ON sessions FOR SELECT TO guiche_worker USING (true);
CREATE POLICY sessions_forgetting ON sessions FOR DELETE TO guiche_worker USING (true);

GRANT SELECT, INSERT ON users, sessions, refresh_tokens TO guiche_app;
GRANT UPDATE (password_hash, epoch, updated_at) ON users TO guiche_app;
GRANT UPDATE (revoked_at) ON sessions TO guiche_app;
GRANT UPDATE (spent_at) ON refresh_tokens TO guiche_app;
GRANT SELECT (id, email_key, password_hash, epoch) ON users TO guiche_auth;
GRANT SELECT (token_hash, family_id, user_id) ON refresh_tokens TO guiche_auth;
-- A session is forgotten once it has ended; its tokens go with it.
GRANT SELECT (id, ends_at), DELETE ON sessions TO guiche_worker;

-- Sets the citizen for the present transaction, and refuses a caller whose account has moved on to another epoch (or is
-- gone). SQLSTATE GU401 means StoreError::Revoked, GU409 Duplicate, GU412 Conflict; the driver does not pass the SQLSTATE
-- on, so the name of a constraint says it again.
CREATE FUNCTION become(p_user uuid, p_epoch integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', p_user::text, true);
    PERFORM FROM users WHERE id = p_user AND epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session of this caller has ended' USING ERRCODE = 'GU401', CONSTRAINT = 'guiche_revoked';
    END IF;
END
$$;

-- True when the account was stored, false when the address (or the id) is taken.
CREATE FUNCTION register(p_id uuid, p_email text, p_email_key text, p_password_hash text, p_created_at timestamptz)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', p_id::text, true);
    INSERT INTO users (id, email, email_key, password_hash, epoch, created_at, updated_at)
    VALUES (p_id, p_email, p_email_key, p_password_hash, 0, p_created_at, p_created_at)
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;

CREATE FUNCTION account_of(p_user uuid, p_epoch integer)
RETURNS TABLE (email text, created_at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY SELECT u.email, u.created_at FROM users u WHERE u.id = p_user;
END
$$;

CREATE FUNCTION credentials_of(p_user uuid, p_epoch integer)
RETURNS TABLE (user_id uuid, password_hash text, epoch integer)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', p_user::text, true);
    -- One reading: between two, the password could be changed, and the caller be told that the one they know is wrong.
    RETURN QUERY SELECT u.id, u.password_hash, u.epoch FROM users u WHERE u.id = p_user AND u.epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session of this caller has ended' USING ERRCODE = 'GU401', CONSTRAINT = 'guiche_revoked';
    END IF;
END
$$;

-- The one question about an account that is answered before its owner is known.
CREATE FUNCTION credentials_by_email(p_email_key text)
RETURNS TABLE (user_id uuid, password_hash text, epoch integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT u.id, u.password_hash, u.epoch FROM public.users u WHERE u.email_key = p_email_key;
END
$$;

-- Whose token this is; whoever asks holds the token.
CREATE FUNCTION session_by_token_hash(p_token_hash bytea)
RETURNS TABLE (user_id uuid, family_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.user_id, r.family_id FROM public.refresh_tokens r WHERE r.token_hash = p_token_hash;
END
$$;

-- False when the family or the token is known already.
CREATE FUNCTION open_session(
    p_user uuid, p_epoch integer,
    p_family uuid, p_token_hash bytea, p_issued_at timestamptz, p_expires_at timestamptz, p_ends_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', p_user::text, true);
    -- The lock makes a password change wait for this session (and then revoke it), or this session for the change (and
    -- then see another epoch).
    PERFORM FROM users WHERE id = p_user AND epoch = p_epoch FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session of this caller has ended' USING ERRCODE = 'GU401', CONSTRAINT = 'guiche_revoked';
    END IF;
    INSERT INTO sessions (id, user_id, issued_at, ends_at)
    VALUES (p_family, p_user, p_issued_at, p_ends_at)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
    VALUES (p_token_hash, p_family, p_user, p_issued_at, least(p_expires_at, p_ends_at))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        -- Takes the session back as well.
        RAISE EXCEPTION 'the token is known already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
    END IF;
    RETURN true;
END
$$;

-- Outcomes are answers and not errors, so that the revocation after a reuse is committed.
CREATE FUNCTION rotate_token(
    p_presented bytea, p_successor bytea, p_expires_at timestamptz, p_now timestamptz,
    OUT outcome text, OUT user_id uuid, OUT family_id uuid, OUT epoch integer, OUT expires_at timestamptz
)
LANGUAGE plpgsql AS $$
DECLARE
    family sessions;
    token refresh_tokens;
BEGIN
    SELECT s.user_id, s.family_id INTO rotate_token.user_id, rotate_token.family_id
    FROM session_by_token_hash(p_presented) s;
    IF NOT FOUND THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    PERFORM set_config('app.user_id', rotate_token.user_id::text, true);
    -- One lock for the family: rotations, reuses, sign-outs and password changes of it follow one another. The token is
    -- read after it, in a new snapshot.
    SELECT * INTO family FROM sessions s WHERE s.id = rotate_token.family_id FOR NO KEY UPDATE;
    SELECT * INTO token FROM refresh_tokens r WHERE r.token_hash = p_presented;
    IF family.id IS NULL OR token.token_hash IS NULL THEN
        outcome := 'unknown';
    ELSIF token.spent_at IS NOT NULL THEN
        outcome := 'reused';
        UPDATE sessions s SET revoked_at = p_now WHERE s.id = family.id AND s.revoked_at IS NULL;
    ELSIF family.revoked_at IS NOT NULL THEN
        outcome := 'revoked';
    ELSIF p_now >= token.expires_at THEN
        outcome := 'expired';
    ELSE
        outcome := 'rotated';
        SELECT u.epoch INTO rotate_token.epoch FROM users u WHERE u.id = family.user_id;
        rotate_token.expires_at := least(p_expires_at, family.ends_at);
        UPDATE refresh_tokens r SET spent_at = p_now WHERE r.token_hash = p_presented;
        INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
        VALUES (p_successor, family.id, family.user_id, p_now, rotate_token.expires_at)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            -- Leaves the presented token unspent.
            RAISE EXCEPTION 'the successor is known already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
        END IF;
    END IF;
END
$$;

CREATE FUNCTION revoke_family_of(p_token_hash bytea, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found_user uuid;
    found_family uuid;
BEGIN
    SELECT s.user_id, s.family_id INTO found_user, found_family FROM session_by_token_hash(p_token_hash) s;
    IF FOUND THEN
        PERFORM set_config('app.user_id', found_user::text, true);
        UPDATE sessions s SET revoked_at = p_now WHERE s.id = found_family AND s.revoked_at IS NULL;
    END IF;
END
$$;

-- The new epoch. The compare-and-set on the epoch decides between two changes at once.
CREATE FUNCTION change_password(p_user uuid, p_epoch integer, p_password_hash text, p_now timestamptz)
RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('app.user_id', p_user::text, true);
    UPDATE users SET password_hash = p_password_hash, epoch = p_epoch + 1, updated_at = p_now
    WHERE id = p_user AND epoch = p_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the session of this caller has ended' USING ERRCODE = 'GU401', CONSTRAINT = 'guiche_revoked';
    END IF;
    UPDATE sessions SET revoked_at = p_now WHERE user_id = p_user AND revoked_at IS NULL;
    RETURN p_epoch + 1;
END
$$;

-- Forgets sessions that ended before the given moment, so many at most, and says how many: one statement for all of them
-- might take longer than a statement may. Their tokens go with them.
CREATE FUNCTION prune_sessions(p_before timestamptz, p_limit bigint, OUT pruned bigint)
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sessions s
    WHERE s.id IN (SELECT o.id FROM sessions o WHERE o.ends_at < p_before ORDER BY o.ends_at LIMIT p_limit);
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;

GRANT EXECUTE ON FUNCTION
    become, register, account_of, credentials_of, credentials_by_email, session_by_token_hash, open_session,
    rotate_token, revoke_family_of, change_password
TO guiche_app;
GRANT EXECUTE ON FUNCTION prune_sessions TO guiche_worker;

-- Under forced row-level security a definer function of a plain owner finds nothing; guiche_auth has policies of its own.
-- It may create in the schema only for the moment in which it receives the functions.
GRANT CREATE ON SCHEMA public TO guiche_auth;
ALTER FUNCTION credentials_by_email OWNER TO guiche_auth;
ALTER FUNCTION session_by_token_hash OWNER TO guiche_auth;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;
