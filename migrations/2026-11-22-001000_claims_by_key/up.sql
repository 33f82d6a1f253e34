-- A claim of looks costs the same however many invoices there are. The planner cannot know the limit of a function, and
-- takes it for a tenth of what is due: with a join it then reads the whole table for a hundred rows. By a list of keys it
-- goes to each of them.
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
        UPDATE invoices i SET look_at = p_leased_until
        WHERE i.payment_hash = ANY (ARRAY(SELECT d.payment_hash::bytea FROM due d))
        RETURNING i.ticket_id, i.payment_hash, i.provider_invoice_id, i.status, i.issued_at, i.expires_at
    )
    SELECT
        l.ticket_id, l.payment_hash, l.provider_invoice_id, l.status = 'open', l.issued_at, l.expires_at, d.look_at
    FROM leased l JOIN due d ON d.payment_hash = l.payment_hash
    ORDER BY d.look_at
$$;
