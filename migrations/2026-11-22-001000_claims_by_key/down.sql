CREATE OR REPLACE FUNCTION claim_looks(p_now timestamptz, p_leased_until timestamptz, p_limit bigint)
RETURNS TABLE (
    ticket_id uuid, payment_hash bytea, provider_invoice_id text, open boolean, issued_at timestamptz,
    expires_at timestamptz, due_at timestamptz
)
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT i.payment_hash, i.look_at
        FROM invoices i
        WHERE i.look_at <= p_now
        ORDER BY i.look_at
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE invoices i SET look_at = p_leased_until FROM due WHERE i.payment_hash = due.payment_hash
        RETURNING i.ticket_id, i.payment_hash, i.provider_invoice_id, i.status, i.issued_at, i.expires_at,
            due.look_at AS due_at
    )
    SELECT
        l.ticket_id, l.payment_hash, l.provider_invoice_id, l.status = 'open', l.issued_at, l.expires_at, l.due_at
    FROM leased l ORDER BY l.due_at
$$;
