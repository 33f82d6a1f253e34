-- That an operator was shown a setup's seeds stands in the audit trail.

ALTER DOMAIN setup_operation DROP CONSTRAINT setup_operation_is_a_word;
ALTER DOMAIN setup_operation ADD CONSTRAINT setup_operation_is_a_word CHECK (
    VALUE IN (
        'setup_begun', 'setup_completed', 'setup_failed', 'setup_needs_attention', 'teardown_begun',
        'teardown_completed', 'repaired', 'adopted', 'resolved', 'seed_shown'
    )
);

-- Nothing of the setup changes.
CREATE FUNCTION note_lightning_seed_shown(p_id uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM lightning_addresses a WHERE a.id = p_id) THEN
        RAISE EXCEPTION 'there is no such setup' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    PERFORM append_lightning_setup_log(p_id, 'seed_shown', true, NULL, p_now);
END
$$;
GRANT EXECUTE ON FUNCTION note_lightning_seed_shown TO guiche_worker;
