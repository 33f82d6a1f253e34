-- What came of one call and the intent of the next are one write, and what came of the last call is written with the end.
-- (`record_lightning_setup` and `complete_lightning_setup` stay for the release before this one.)

-- Writes records of different steps, each in its place. What was sealed there once stays when the new record has nothing
-- sealed. Looking at the lease and extending it are one statement.
CREATE FUNCTION record_lightning_steps(
    p_id uuid, p_run bigint, p_attempts integer[], p_steps text[], p_states text[], p_resources text[], p_sealed text[],
    p_tries integer[], p_since timestamptz[], p_leased_until timestamptz
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    owner uuid;
BEGIN
    UPDATE lightning_addresses a SET
        leased_until = p_leased_until,
        updated_at = greatest(a.updated_at, (SELECT max(n.since) FROM unnest(p_since) AS n (since)))
    WHERE a.id = p_id AND a.run = p_run AND a.leased_until IS NOT NULL
    RETURNING a.user_id INTO owner;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the setup is held by somebody else' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    INSERT INTO lightning_setup_steps AS s (
        lightning_address_id, user_id, attempt, step, state, resource, sealed, tries, since
    )
    SELECT p_id, owner, n.attempt, n.step, n.state, n.resource, n.sealed, n.tries, n.since
    FROM unnest(p_attempts, p_steps, p_states, p_resources, p_sealed, p_tries, p_since)
        AS n (attempt, step, state, resource, sealed, tries, since)
    ON CONFLICT ON CONSTRAINT lightning_setup_steps_pkey DO UPDATE SET
        state = excluded.state, resource = excluded.resource, sealed = coalesce(excluded.sealed, s.sealed),
        tries = excluded.tries, since = excluded.since;
END
$$;

-- As `complete_lightning_setup`, with the last records.
CREATE FUNCTION complete_lightning_steps(
    p_id uuid, p_run bigint, p_attempts integer[], p_steps text[], p_states text[], p_resources text[], p_sealed text[],
    p_tries integer[], p_since timestamptz[], p_node_id text, p_store_id text, p_node_config text, p_store_config text,
    p_now timestamptz
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    -- The lease ends in this transaction: until when it was extended, nobody sees.
    PERFORM record_lightning_steps(
        p_id, p_run, p_attempts, p_steps, p_states, p_resources, p_sealed, p_tries, p_since, p_now
    );
    PERFORM complete_lightning_setup(p_id, p_run, p_node_id, p_store_id, p_node_config, p_store_config, p_now);
END
$$;

GRANT EXECUTE ON FUNCTION record_lightning_steps, complete_lightning_steps TO guiche_worker;
