DROP FUNCTION claim_looks, reschedule_looks, note_push, list_unpaid, count_unpaid, list_refunds, prune_pushes;
DROP TABLE pushes;
DROP TRIGGER invoices_are_watched ON invoices;
DROP TRIGGER invoices_paid_are_not_watched ON invoices;
DROP FUNCTION watch_invoice, unwatch_invoice;
DROP INDEX invoices_unpaid, invoices_refund_due;
ALTER TABLE invoices DROP COLUMN look_at, ADD COLUMN leased_until timestamptz;
GRANT UPDATE (leased_until) ON invoices TO guiche_worker;
CREATE INDEX invoices_due ON invoices (expires_at) WHERE status = 'open';

CREATE FUNCTION claim_due_invoices(p_now timestamptz, p_leased_until timestamptz, p_limit bigint)
RETURNS TABLE (ticket_id uuid, payment_hash bytea, provider_invoice_id text)
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT i.payment_hash, i.expires_at
        FROM invoices i
        WHERE i.status = 'open' AND i.expires_at < p_now AND (i.leased_until IS NULL OR i.leased_until <= p_now)
        ORDER BY i.expires_at
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE invoices i SET leased_until = p_leased_until FROM due WHERE i.payment_hash = due.payment_hash
        RETURNING i.ticket_id, i.payment_hash, i.provider_invoice_id, i.expires_at
    )
    SELECT l.ticket_id, l.payment_hash, l.provider_invoice_id FROM leased l ORDER BY l.expires_at
$$;
GRANT EXECUTE ON FUNCTION claim_due_invoices TO guiche_worker;
