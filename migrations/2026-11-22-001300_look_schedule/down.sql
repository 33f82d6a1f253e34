LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE;

DROP TRIGGER invoices_are_watched ON invoices;
DROP TRIGGER invoices_are_followed ON invoices;
SET LOCAL ROLE guiche_auth;
DROP FUNCTION watch_invoices, follow_invoice;
RESET ROLE;

ALTER TABLE invoices ADD COLUMN look_at timestamptz;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoice_looks NO FORCE ROW LEVEL SECURITY;
UPDATE invoices i SET look_at = greatest(l.due_at, l.leased_until) FROM invoice_looks l
WHERE l.payment_hash = i.payment_hash;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
DROP TABLE invoice_looks;
CREATE INDEX invoices_look_at ON invoices (look_at) WHERE look_at IS NOT NULL;
GRANT UPDATE (look_at) ON invoices TO guiche_worker;

CREATE FUNCTION watch_invoice() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.look_at := CASE WHEN NEW.paid_at IS NULL THEN NEW.issued_at + interval '2 seconds' END;
    RETURN NEW;
END
$$;
CREATE TRIGGER invoices_are_watched BEFORE INSERT ON invoices
    FOR EACH ROW EXECUTE FUNCTION watch_invoice();
CREATE FUNCTION unwatch_invoice() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.look_at := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER invoices_paid_are_not_watched BEFORE UPDATE ON invoices
    FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL AND NEW.look_at IS NOT NULL) EXECUTE FUNCTION unwatch_invoice();

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

CREATE OR REPLACE FUNCTION reschedule_looks(p_leased_until timestamptz, p_hashes bytea[], p_at timestamptz[]) RETURNS void
LANGUAGE sql AS $$
    WITH held AS MATERIALIZED (
        SELECT i.payment_hash, n.at
        FROM unnest(p_hashes, p_at) AS n (hash, at) JOIN invoices i ON i.payment_hash = n.hash
        WHERE i.look_at = p_leased_until
        FOR NO KEY UPDATE OF i SKIP LOCKED
    )
    UPDATE invoices i SET look_at = held.at FROM held WHERE i.payment_hash = held.payment_hash
$$;

CREATE OR REPLACE FUNCTION note_push(p_id text, p_invoice text, p_now timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    is_ours boolean := EXISTS (SELECT FROM invoices i WHERE i.provider_invoice_id = p_invoice);
BEGIN
    INSERT INTO pushes (id, provider_invoice_id, received_at, known) VALUES (p_id, p_invoice, p_now, is_ours)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'duplicate';
    END IF;
    UPDATE invoices i SET look_at = p_now WHERE i.provider_invoice_id = p_invoice AND i.paid_at IS NULL;
    RETURN CASE WHEN is_ours THEN 'known' ELSE 'unknown' END;
END
$$;

CREATE OR REPLACE FUNCTION list_unpaid(p_since timestamptz, p_after timestamptz, p_after_hash bytea, p_limit bigint)
RETURNS TABLE (
    ticket_id uuid, payment_hash bytea, provider_invoice_id text, open boolean, issued_at timestamptz,
    expires_at timestamptz, due_at timestamptz
)
LANGUAGE sql STABLE AS $$
    SELECT
        i.ticket_id, i.payment_hash, i.provider_invoice_id, i.status = 'open', i.issued_at, i.expires_at,
        coalesce(i.look_at, i.issued_at)
    FROM invoices i
    WHERE i.paid_at IS NULL AND i.issued_at >= p_since
        AND (i.issued_at, i.payment_hash) > (coalesce(p_after, '-infinity'), coalesce(p_after_hash, ''))
    ORDER BY i.issued_at, i.payment_hash
    LIMIT p_limit
$$;
