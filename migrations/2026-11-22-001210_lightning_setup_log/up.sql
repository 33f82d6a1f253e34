-- The audit trail of Lightning setups: rows in one chain of hashes. It only grows, whoever comes; it refers to no account
-- and no address, because it outlives both.

CREATE DOMAIN setup_operation AS text CONSTRAINT setup_operation_is_a_word CHECK (
    VALUE IN (
        'setup_begun', 'setup_completed', 'setup_failed', 'setup_needs_attention', 'teardown_begun',
        'teardown_completed', 'repaired', 'adopted', 'resolved'
    )
);

CREATE TABLE lightning_setup_log (
    number               bigint          PRIMARY KEY,
    id                   uuid            NOT NULL CONSTRAINT lightning_setup_log_id_unique UNIQUE,
    user_id              uuid            NOT NULL,
    lightning_address_id uuid            NOT NULL,
    operation_type       setup_operation NOT NULL,
    btcpay_configured    boolean         NOT NULL,
    voltage_configured   boolean         NOT NULL,
    success              boolean         NOT NULL,
    error_message        text,
    created_at           timestamptz     NOT NULL,
    hash                 sha256_hash     NOT NULL,
    CONSTRAINT lightning_setup_log_counts_from_one CHECK (number >= 1),
    CONSTRAINT lightning_setup_log_success_has_no_error CHECK (success = (error_message IS NULL))
);
CREATE INDEX lightning_setup_log_newest_first ON lightning_setup_log (user_id, number DESC);

-- The end of the chain: one row, whose lock puts the writers in order.
CREATE TABLE lightning_setup_log_head (
    single boolean     PRIMARY KEY DEFAULT true,
    number bigint      NOT NULL,
    hash   sha256_hash NOT NULL,
    CONSTRAINT lightning_setup_log_head_is_one CHECK (single)
);
INSERT INTO lightning_setup_log_head (number, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

CREATE TRIGGER lightning_setup_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON lightning_setup_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER lightning_setup_log_head_stays BEFORE INSERT OR DELETE OR TRUNCATE ON lightning_setup_log_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER lightning_setup_log_head_counts_on BEFORE UPDATE ON lightning_setup_log_head
    FOR EACH ROW WHEN (NEW.number <> OLD.number + 1) EXECUTE FUNCTION refuse();

ALTER TABLE lightning_setup_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lightning_setup_log_head ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY lightning_setup_log_own ON lightning_setup_log TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY lightning_setup_log_office ON lightning_setup_log FOR SELECT TO guiche_worker USING (true);
CREATE POLICY lightning_setup_log_head_office ON lightning_setup_log_head FOR SELECT TO guiche_worker USING (true);
CREATE POLICY lightning_setup_log_appended ON lightning_setup_log FOR INSERT TO guiche_auth WITH CHECK (true);
CREATE POLICY lightning_setup_log_head_seen ON lightning_setup_log_head FOR SELECT TO guiche_auth USING (true);
CREATE POLICY lightning_setup_log_head_moved ON lightning_setup_log_head FOR UPDATE TO guiche_auth
    USING (true) WITH CHECK (true);
GRANT SELECT ON lightning_setup_log TO guiche_app, guiche_worker;
GRANT SELECT ON lightning_setup_log_head TO guiche_auth, guiche_worker;
GRANT INSERT ON lightning_setup_log TO guiche_auth;
GRANT UPDATE (number, hash) ON lightning_setup_log_head TO guiche_auth;

-- The hash of a row: what `guiche_lightning_setup::audit::link` computes (a test compares them).
CREATE FUNCTION lightning_setup_log_link(
    p_previous bytea, p_number bigint, p_id uuid, p_user uuid, p_setup uuid, p_operation text,
    p_btcpay boolean, p_voltage boolean, p_success boolean, p_error text, p_created_at timestamptz
) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT sha256(p_previous || string_agg(
        convert_to(octet_length(convert_to(f.value, 'UTF8')) || ':' || f.value, 'UTF8'), '' ORDER BY f.place
    ))
    FROM (
        VALUES
            (1, p_number::text), (2, p_id::text), (3, p_user::text), (4, p_setup::text), (5, p_operation),
            (6, CASE WHEN p_btcpay THEN 't' ELSE 'f' END), (7, CASE WHEN p_voltage THEN 't' ELSE 'f' END),
            (8, CASE WHEN p_success THEN 't' ELSE 'f' END),
            (9, trunc(extract(epoch FROM p_created_at) * 1000000)::bigint::text), (10, p_error)
    ) AS f (place, value)
    WHERE f.value IS NOT NULL
$$;

-- Appends a row about a setup, and moves the head. The last statement of its transaction: whoever appends waits for the
-- head until that one has ended. What it says of the setup, whose it is, and what exists of it, it reads for itself. The
-- row's id is its own too: nothing refers to it.
CREATE FUNCTION append_lightning_setup_log(
    p_setup uuid, p_operation text, p_success boolean, p_error text, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_setup lightning_addresses;
    head lightning_setup_log_head;
    fresh uuid := gen_random_uuid();
    has_store boolean;
    has_node boolean;
BEGIN
    SELECT * INTO STRICT of_setup FROM lightning_addresses a WHERE a.id = p_setup;
    SELECT
        of_setup.btcpay_store_id IS NOT NULL OR coalesce(bool_or(s.step = 'store_created'), false),
        of_setup.voltage_node_id IS NOT NULL OR coalesce(bool_or(s.step = 'node_created'), false)
    INTO has_store, has_node
    FROM lightning_setup_steps s
    WHERE s.lightning_address_id = p_setup AND s.state IN ('done', 'undoing', 'orphaned');
    SELECT * INTO STRICT head FROM lightning_setup_log_head FOR UPDATE;
    head.number := head.number + 1;
    head.hash := lightning_setup_log_link(
        head.hash, head.number, fresh, of_setup.user_id, p_setup, p_operation, has_store, has_node, p_success, p_error,
        p_now
    );
    INSERT INTO lightning_setup_log (
        number, id, user_id, lightning_address_id, operation_type, btcpay_configured, voltage_configured, success,
        error_message, created_at, hash
    ) VALUES (
        head.number, fresh, of_setup.user_id, p_setup, p_operation, has_store, has_node, p_success, p_error, p_now,
        head.hash
    );
    UPDATE lightning_setup_log_head h SET number = head.number, hash = head.hash;
END
$$;

-- A person's rows, newest first, before the given one.
CREATE FUNCTION list_lightning_setup_log(p_user uuid, p_epoch integer, p_before bigint, p_limit bigint)
RETURNS SETOF lightning_setup_log
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY
    SELECT l.* FROM lightning_setup_log l
    WHERE l.user_id = p_user AND (p_before IS NULL OR l.number < p_before)
    ORDER BY l.number DESC
    LIMIT p_limit;
END
$$;

GRANT EXECUTE ON FUNCTION lightning_setup_log_link TO guiche_auth;
GRANT EXECUTE ON FUNCTION append_lightning_setup_log TO guiche_worker;
GRANT EXECUTE ON FUNCTION list_lightning_setup_log TO guiche_app;

GRANT CREATE ON SCHEMA public TO guiche_auth;
ALTER FUNCTION append_lightning_setup_log OWNER TO guiche_auth;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;
