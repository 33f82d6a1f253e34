-- Refused once there is a row of these: the trail only grows.
CREATE OR REPLACE FUNCTION lightning_setup_log_link(
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

GRANT CREATE ON SCHEMA public TO guiche_auth;
SET LOCAL ROLE guiche_auth;
CREATE OR REPLACE FUNCTION append_lightning_setup_log(
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
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;

ALTER TABLE lightning_setup_log DROP CONSTRAINT lightning_setup_log_only_destructions_are_nobodys;
ALTER TABLE lightning_setup_log ALTER COLUMN user_id SET NOT NULL;
ALTER DOMAIN setup_operation DROP CONSTRAINT setup_operation_is_a_word;
ALTER DOMAIN setup_operation ADD CONSTRAINT setup_operation_is_a_word CHECK (
    VALUE IN (
        'setup_begun', 'setup_completed', 'setup_failed', 'setup_needs_attention', 'teardown_begun',
        'teardown_completed', 'repaired', 'adopted', 'resolved', 'seed_shown'
    )
);
