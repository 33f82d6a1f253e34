-- Addresses as strangers see them: what serves them, their invoices, and what their stores tell us.

-- The one question about an address that is answered to strangers.
CREATE FUNCTION active_lightning_address(p_address text) RETURNS TABLE (id uuid, store_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.id, a.btcpay_store_id::text FROM lightning_addresses a
    WHERE a.address = p_address AND a.active AND a.btcpay_store_id IS NOT NULL
$$;

-- False when its payment hash is known.
CREATE FUNCTION keep_lightning_invoice(
    p_hash bytea, p_setup uuid, p_store_id text, p_invoice_id text, p_bolt11 text, p_amount_msat bigint, p_comment text,
    p_issued_at timestamptz, p_expires_at timestamptz, p_paid_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    owner uuid;
BEGIN
    SELECT a.user_id INTO STRICT owner FROM lightning_addresses a WHERE a.id = p_setup;
    INSERT INTO lightning_address_invoices VALUES (
        p_hash, p_setup, owner, p_store_id, p_invoice_id, p_bolt11, p_amount_msat, p_comment, p_issued_at, p_expires_at,
        p_paid_at
    ) ON CONFLICT (payment_hash) DO NOTHING;
    RETURN FOUND;
END
$$;

-- True when it is new. Either way the store was heard of.
CREATE FUNCTION note_lightning_delivery(p_setup uuid, p_delivery text, p_now timestamptz) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    fresh boolean;
BEGIN
    INSERT INTO lightning_deliveries (lightning_address_id, id, received_at) VALUES (p_setup, p_delivery, p_now)
    ON CONFLICT DO NOTHING;
    fresh := FOUND;
    UPDATE lightning_addresses a SET last_sync_at = greatest(a.last_sync_at, p_now) WHERE a.id = p_setup;
    RETURN fresh;
END
$$;

-- Forgets unpaid invoices that ran out, and messages that came, before the given moment; so many of each at most.
CREATE FUNCTION prune_lightning(p_before timestamptz, p_limit bigint, OUT pruned bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    deliveries bigint;
BEGIN
    DELETE FROM lightning_address_invoices i
    WHERE i.paid_at IS NULL AND i.payment_hash IN (
        SELECT o.payment_hash FROM lightning_address_invoices o
        WHERE o.paid_at IS NULL AND o.expires_at < p_before ORDER BY o.expires_at LIMIT p_limit
    );
    GET DIAGNOSTICS pruned = ROW_COUNT;
    DELETE FROM lightning_deliveries d
    WHERE (d.lightning_address_id, d.id) IN (
        SELECT o.lightning_address_id, o.id FROM lightning_deliveries o
        WHERE o.received_at < p_before ORDER BY o.received_at LIMIT p_limit
    );
    GET DIAGNOSTICS deliveries = ROW_COUNT;
    pruned := pruned + deliveries;
END
$$;

GRANT EXECUTE ON FUNCTION active_lightning_address TO guiche_app;
GRANT EXECUTE ON FUNCTION keep_lightning_invoice, note_lightning_delivery, prune_lightning TO guiche_worker;

GRANT CREATE ON SCHEMA public TO guiche_auth;
ALTER FUNCTION active_lightning_address OWNER TO guiche_auth;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;
