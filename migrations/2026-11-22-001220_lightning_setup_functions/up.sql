-- What is done to setups. Each is one transaction, with the row of the audit trail as its last statement.

-- A fault in our own words: what `guiche_lightning_setup::SetupFault` prints.
CREATE FUNCTION lightning_fault_text(p_fault jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (p_fault ->> 'provider') || ' ' || (p_fault ->> 'operation') || ': ' || (p_fault ->> 'kind')
        || coalesce(', HTTP ' || (p_fault ->> 'status'), '') || coalesce(', ' || (p_fault ->> 'code'), '')
$$;

-- Begins an attempt. 'started' with the setup; 'running' or 'complete' with the one that stands in the way, and nothing
-- changed; no row when the name is somebody else's. Attempts of one person follow one another by a lock on the person,
-- those of several for one name by the index on names.
CREATE FUNCTION begin_lightning_setup(
    p_user uuid, p_epoch integer, p_id uuid, p_address text, p_now timestamptz, p_reserved_since timestamptz
) RETURNS TABLE (
    outcome text, id uuid, user_id uuid, address text, status text, goal text, attempt integer, fault jsonb,
    voltage_node_id text, btcpay_store_id text, encrypted_voltage_config text, encrypted_btcpay_config text,
    begun_at timestamptz, activated_at timestamptz, created_at timestamptz, updated_at timestamptz, run bigint,
    step_attempt integer, step text, step_state text, resource text, sealed text, tries integer, since timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    begun uuid;
    broken text;
BEGIN
    PERFORM become(p_user, p_epoch);
    PERFORM pg_advisory_xact_lock(hashtextextended('lightning setup of ' || p_user, 0));
    RETURN QUERY
    SELECT CASE WHEN r.status = 'fully_configured' THEN 'complete' ELSE 'running' END, r.*
    FROM lightning_setup_readings r
    WHERE r.user_id = p_user AND r.status IN ('in_progress', 'rolling_back', 'fully_configured')
    ORDER BY r.id;
    IF FOUND OR EXISTS (
        SELECT FROM lightning_retired_addresses t WHERE t.address_hash = sha256(convert_to(p_address, 'UTF8'))
    ) THEN
        RETURN;
    END IF;
    BEGIN
        UPDATE lightning_addresses a SET reserved = false
        WHERE a.address = p_address AND a.user_id <> p_user AND a.reserved AND a.activated_at IS NULL
            AND a.status IN ('failed', 'removed') AND a.updated_at < p_reserved_since;
        UPDATE lightning_addresses a SET
            status = 'in_progress', goal = 'set_up', attempt = a.attempt + 1, fault = NULL, reserved = true,
            voltage_node_id = NULL, btcpay_store_id = NULL, encrypted_voltage_config = NULL,
            encrypted_btcpay_config = NULL, begun_at = p_now, due_at = p_now, updated_at = p_now
        WHERE a.user_id = p_user AND a.address = p_address
        RETURNING a.id INTO begun;
        IF begun IS NULL THEN
            INSERT INTO lightning_addresses (
                id, user_id, address, status, goal, attempt, active, reserved, begun_at, due_at, created_at, updated_at
            ) VALUES (p_id, p_user, p_address, 'in_progress', 'set_up', 1, false, true, p_now, p_now, p_now, p_now);
            begun := p_id;
        END IF;
    EXCEPTION WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
        IF broken = 'lightning_addresses_one_owner' THEN
            RETURN;
        END IF;
        RAISE;
    END;
    RETURN QUERY SELECT 'started', r.* FROM lightning_setup_readings r WHERE r.id = begun;
    PERFORM append_lightning_setup_log(begun, 'setup_begun', true, NULL, p_now);
END
$$;

-- The person's setups are several when earlier names failed; the present one is the one begun last.
CREATE FUNCTION find_lightning_setup(p_user uuid, p_epoch integer) RETURNS SETOF lightning_setup_readings
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY
    SELECT r.* FROM lightning_setup_readings r
    WHERE r.id = (
        SELECT a.id FROM lightning_addresses a WHERE a.user_id = p_user ORDER BY a.begun_at DESC, a.id DESC LIMIT 1
    );
END
$$;

-- Begins the teardown of the person's present setup; no row when it is another one, or stands elsewhere. Whoever holds it
-- has lost it.
CREATE FUNCTION tear_down_lightning_setup(
    p_user uuid, p_epoch integer, p_id uuid, p_from text[], p_now timestamptz
) RETURNS SETOF lightning_setup_readings
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    PERFORM pg_advisory_xact_lock(hashtextextended('lightning setup of ' || p_user, 0));
    UPDATE lightning_addresses a SET
        status = 'rolling_back', goal = 'tear_down', active = false, due_at = p_now, run = a.run + 1, leased_until = NULL,
        updated_at = p_now
    WHERE a.user_id = p_user AND a.id = p_id AND a.status = ANY (p_from) AND a.id = (
        SELECT n.id FROM lightning_addresses n WHERE n.user_id = p_user ORDER BY n.begun_at DESC, n.id DESC LIMIT 1
    );
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE lightning_setup_steps s SET state = 'undoing', tries = 0, since = p_now
    WHERE s.lightning_address_id = p_id AND s.state = 'orphaned';
    RETURN QUERY SELECT r.* FROM lightning_setup_readings r WHERE r.id = p_id;
    PERFORM append_lightning_setup_log(p_id, 'teardown_begun', true, NULL, p_now);
END
$$;

-- Setups in the order of their ids, after the given one.
CREATE FUNCTION list_lightning_setups(p_after uuid, p_limit bigint) RETURNS SETOF lightning_setup_readings
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT r.* FROM lightning_setup_readings r
    WHERE r.id IN (
        SELECT a.id FROM lightning_addresses a WHERE p_after IS NULL OR a.id > p_after ORDER BY a.id LIMIT p_limit
    )
    ORDER BY r.id
$$;

-- Takes setups that are due, each under a new lease. What another worker is taking at this moment is skipped.
CREATE FUNCTION claim_lightning_setups(p_now timestamptz, p_leased_until timestamptz, p_limit bigint)
RETURNS SETOF lightning_setup_readings
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    mine uuid[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT a.id, a.due_at FROM lightning_addresses a
        WHERE a.due_at <= p_now AND (a.leased_until IS NULL OR a.leased_until <= p_now)
        ORDER BY a.due_at, a.id
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE lightning_addresses a SET run = a.run + 1, leased_until = p_leased_until FROM due
        WHERE a.id = due.id
        RETURNING a.id, due.due_at
    )
    SELECT array_agg(l.id ORDER BY l.due_at, l.id) INTO mine FROM leased l;
    RETURN QUERY
    SELECT r.* FROM unnest(mine) WITH ORDINALITY AS m (id, place) JOIN lightning_setup_readings r ON r.id = m.id
    ORDER BY m.place;
END
$$;

-- As above, one of them, due or not; no row when it is not running or somebody holds it.
CREATE FUNCTION claim_lightning_setup(p_id uuid, p_now timestamptz, p_leased_until timestamptz)
RETURNS SETOF lightning_setup_readings
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE lightning_addresses a SET run = a.run + 1, leased_until = p_leased_until
    WHERE a.id = p_id AND a.due_at IS NOT NULL AND (a.leased_until IS NULL OR a.leased_until <= p_now);
    IF FOUND THEN
        RETURN QUERY SELECT r.* FROM lightning_setup_readings r WHERE r.id = p_id;
    END IF;
END
$$;

-- Locks a setup for the holder of its present lease, and refuses everybody else.
CREATE FUNCTION hold_lightning_setup(p_id uuid, p_run bigint) RETURNS lightning_addresses
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    held lightning_addresses;
BEGIN
    SELECT * INTO held FROM lightning_addresses a
    WHERE a.id = p_id AND a.run = p_run AND a.leased_until IS NOT NULL
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the setup is held by somebody else' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    RETURN held;
END
$$;

-- Writes a record of the journal in its place. What was sealed there once stays when the new record has nothing sealed.
CREATE FUNCTION record_lightning_setup(
    p_id uuid, p_run bigint, p_attempt integer, p_step text, p_state text, p_resource text, p_sealed text,
    p_tries integer, p_since timestamptz, p_leased_until timestamptz
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    held lightning_addresses := hold_lightning_setup(p_id, p_run);
BEGIN
    INSERT INTO lightning_setup_steps AS s (
        lightning_address_id, user_id, attempt, step, state, resource, sealed, tries, since
    ) VALUES (p_id, held.user_id, p_attempt, p_step, p_state, p_resource, p_sealed, p_tries, p_since)
    ON CONFLICT ON CONSTRAINT lightning_setup_steps_pkey DO UPDATE SET
        state = p_state, resource = p_resource, sealed = coalesce(p_sealed, s.sealed), tries = p_tries, since = p_since;
    UPDATE lightning_addresses a SET leased_until = p_leased_until, updated_at = greatest(a.updated_at, p_since)
    WHERE a.id = p_id;
END
$$;

CREATE FUNCTION roll_back_lightning_setup(p_id uuid, p_run bigint, p_fault jsonb, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM hold_lightning_setup(p_id, p_run);
    UPDATE lightning_addresses a SET status = 'rolling_back', fault = p_fault, updated_at = p_now WHERE a.id = p_id;
END
$$;

-- Everything at once: what serves the address, that it is served, and that it is its owner's for ever.
CREATE FUNCTION complete_lightning_setup(
    p_id uuid, p_run bigint, p_node_id text, p_store_id text, p_node_config text, p_store_config text, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM hold_lightning_setup(p_id, p_run);
    UPDATE lightning_addresses a SET
        status = 'fully_configured', active = true, activated_at = coalesce(a.activated_at, p_now), fault = NULL,
        voltage_node_id = p_node_id, btcpay_store_id = p_store_id, encrypted_voltage_config = p_node_config,
        encrypted_btcpay_config = p_store_config, due_at = NULL, leased_until = NULL, updated_at = p_now
    WHERE a.id = p_id AND a.status = 'in_progress';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the setup is being undone' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    PERFORM append_lightning_setup_log(p_id, 'setup_completed', true, NULL, p_now);
END
$$;

-- Where the undoing ends. Whoever calls it has looked at the lease, or at the orphans. Of what was removed, what served it
-- is forgotten.
CREATE FUNCTION end_lightning_setup(p_id uuid, p_status text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE lightning_addresses a SET
        status = p_status, due_at = NULL, leased_until = NULL, updated_at = p_now,
        voltage_node_id = CASE WHEN p_status <> 'removed' THEN a.voltage_node_id END,
        btcpay_store_id = CASE WHEN p_status <> 'removed' THEN a.btcpay_store_id END,
        encrypted_voltage_config = CASE WHEN p_status <> 'removed' THEN a.encrypted_voltage_config END,
        encrypted_btcpay_config = CASE WHEN p_status <> 'removed' THEN a.encrypted_btcpay_config END
    WHERE a.id = p_id;
END
$$;

-- Ends the undoing. The reason of a failure goes into the audit trail, and is committed with it.
CREATE FUNCTION close_lightning_setup(p_id uuid, p_run bigint, p_status text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    held lightning_addresses := hold_lightning_setup(p_id, p_run);
BEGIN
    IF held.status <> 'rolling_back' THEN
        RAISE EXCEPTION 'the setup is being made' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    PERFORM end_lightning_setup(p_id, p_status, p_now);
    IF p_status = 'removed' THEN
        PERFORM append_lightning_setup_log(p_id, 'teardown_completed', true, NULL, p_now);
    ELSE
        PERFORM append_lightning_setup_log(
            p_id, 'setup_' || p_status, false,
            coalesce(lightning_fault_text(held.fault), 'something may still exist outside'), p_now
        );
    END IF;
END
$$;

CREATE FUNCTION rest_lightning_setup(p_id uuid, p_run bigint, p_due_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM hold_lightning_setup(p_id, p_run);
    UPDATE lightning_addresses a SET due_at = p_due_at, leased_until = NULL WHERE a.id = p_id;
END
$$;

-- An operator has seen that nothing of an orphan exists any more; the last one ends what the setup was heading for.
CREATE FUNCTION resolve_lightning_orphan(p_id uuid, p_attempt integer, p_step text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_setup lightning_addresses;
BEGIN
    SELECT * INTO of_setup FROM lightning_addresses a WHERE a.id = p_id FOR NO KEY UPDATE;
    UPDATE lightning_setup_steps s SET state = 'undone', tries = 0, since = p_now
    WHERE s.lightning_address_id = p_id AND s.attempt = p_attempt AND s.step = p_step AND s.state = 'orphaned';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such orphan' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    UPDATE lightning_addresses a SET updated_at = p_now WHERE a.id = p_id;
    IF of_setup.status = 'needs_attention' AND NOT EXISTS (
        SELECT FROM lightning_setup_steps s WHERE s.lightning_address_id = p_id AND s.state = 'orphaned'
    ) THEN
        PERFORM end_lightning_setup(p_id, CASE of_setup.goal WHEN 'set_up' THEN 'failed' ELSE 'removed' END, p_now);
    END IF;
    PERFORM append_lightning_setup_log(p_id, 'resolved', true, NULL, p_now);
END
$$;

-- An operator has found something outside that is this setup's. Nothing that is known is overwritten.
CREATE FUNCTION adopt_lightning_orphan(
    p_id uuid, p_attempt integer, p_step text, p_resource text, p_sealed text, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    of_setup lightning_addresses;
BEGIN
    SELECT * INTO of_setup FROM lightning_addresses a WHERE a.id = p_id FOR NO KEY UPDATE;
    INSERT INTO lightning_setup_steps AS s (
        lightning_address_id, user_id, attempt, step, state, resource, sealed, tries, since
    )
    SELECT p_id, of_setup.user_id, p_attempt, p_step, 'orphaned', p_resource, p_sealed, 0, p_now
    WHERE of_setup.id IS NOT NULL
    ON CONFLICT ON CONSTRAINT lightning_setup_steps_pkey DO UPDATE SET
        state = 'orphaned', resource = p_resource, sealed = coalesce(p_sealed, s.sealed), tries = 0, since = p_now
    WHERE s.state = 'undone';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'that step is known' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    UPDATE lightning_addresses a SET
        updated_at = p_now,
        status = CASE WHEN a.status IN ('failed', 'removed') THEN 'needs_attention' ELSE a.status END
    WHERE a.id = p_id;
    PERFORM append_lightning_setup_log(p_id, 'adopted', true, NULL, p_now);
END
$$;

-- An operator has found what serves an active address.
CREATE FUNCTION repair_lightning_setup(p_id uuid, p_node_id text, p_store_id text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE lightning_addresses a SET
        voltage_node_id = coalesce(p_node_id, a.voltage_node_id), btcpay_store_id = coalesce(p_store_id, a.btcpay_store_id),
        updated_at = p_now
    WHERE a.id = p_id AND a.active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the address is not active' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    PERFORM append_lightning_setup_log(p_id, 'repaired', true, NULL, p_now);
END
$$;

GRANT EXECUTE ON FUNCTION become TO guiche_auth;
GRANT EXECUTE ON FUNCTION begin_lightning_setup, find_lightning_setup, tear_down_lightning_setup TO guiche_app;
GRANT EXECUTE ON FUNCTION
    lightning_fault_text, list_lightning_setups, claim_lightning_setups, claim_lightning_setup, hold_lightning_setup,
    record_lightning_setup, roll_back_lightning_setup, complete_lightning_setup, end_lightning_setup,
    close_lightning_setup, rest_lightning_setup, resolve_lightning_orphan, adopt_lightning_orphan, repair_lightning_setup
TO guiche_worker;

GRANT CREATE ON SCHEMA public TO guiche_auth;
ALTER FUNCTION begin_lightning_setup OWNER TO guiche_auth;
ALTER FUNCTION tear_down_lightning_setup OWNER TO guiche_auth;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;
