-- When each unpaid invoice is looked at next, the provider's pushes, and what the operator asks for.

DROP FUNCTION claim_due_invoices;
DROP INDEX invoices_due;
ALTER TABLE invoices
    DROP COLUMN leased_until,
    -- The next look; while a watcher is at it, the end of its lease. Null when the schedule is over, or money came in.
    ADD COLUMN look_at timestamptz;

-- Row-level security is forced on the owner too: without this the owner would change no row, and say nothing.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET look_at = issued_at + interval '2 seconds' WHERE paid_at IS NULL;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

CREATE INDEX invoices_look_at ON invoices (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX invoices_unpaid ON invoices (issued_at, payment_hash) WHERE paid_at IS NULL;
CREATE INDEX invoices_refund_due ON invoices (paid_at, payment_hash)
    WHERE status IN ('paid_late', 'paid_after_cancel', 'paid_surplus') AND refunded_at IS NULL;

-- Whoever stores an invoice has it watched, and whoever notes a payment ends the watch: a rule of the table, so that no
-- function can forget it. (Two seconds: tickets::watch::FIRST_LOOK.)
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

-- Pushes of the provider, by the id under which it sends them again. They name no citizen.
CREATE TABLE pushes (
    id                  text        PRIMARY KEY,
    provider_invoice_id provider_id NOT NULL,
    received_at         timestamptz NOT NULL,
    -- Whether the invoice was ours when the push came.
    known               boolean     NOT NULL,
    CONSTRAINT pushes_id_length CHECK (char_length(id) BETWEEN 1 AND 255)
);
CREATE INDEX pushes_received_at ON pushes (received_at);
GRANT SELECT, INSERT, DELETE ON pushes TO guiche_worker;
GRANT UPDATE (look_at) ON invoices TO guiche_worker;

-- Looks that are due, leased to this watcher. What another one is taking, or somebody is settling, at this very moment is
-- skipped, not waited for.
CREATE FUNCTION claim_looks(p_now timestamptz, p_leased_until timestamptz, p_limit bigint)
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

-- The next looks of what is still leased. A row that somebody is just settling is skipped: money ends its watch, and
-- otherwise its lease does. Nobody waits here, so no two can wait for each other.
CREATE FUNCTION reschedule_looks(p_leased_until timestamptz, p_hashes bytea[], p_at timestamptz[]) RETURNS void
LANGUAGE sql AS $$
    WITH held AS MATERIALIZED (
        SELECT i.payment_hash, n.at
        FROM unnest(p_hashes, p_at) AS n (hash, at) JOIN invoices i ON i.payment_hash = n.hash
        WHERE i.look_at = p_leased_until
        FOR NO KEY UPDATE OF i SKIP LOCKED
    )
    UPDATE invoices i SET look_at = held.at FROM held WHERE i.payment_hash = held.payment_hash
$$;

-- Notes a push and makes the next look due: 'known', 'unknown' or 'duplicate'.
CREATE FUNCTION note_push(p_id text, p_invoice text, p_now timestamptz) RETURNS text
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

CREATE FUNCTION list_unpaid(p_since timestamptz, p_after timestamptz, p_after_hash bytea, p_limit bigint)
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

CREATE FUNCTION count_unpaid(p_since timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM invoices i WHERE i.paid_at IS NULL AND i.issued_at >= p_since
$$;

CREATE FUNCTION list_refunds(p_after timestamptz, p_after_hash bytea, p_limit bigint)
RETURNS TABLE (
    ticket_id uuid, user_id uuid, payment_hash bytea, status text, amount_sats bigint, paid_at timestamptz
)
LANGUAGE sql STABLE AS $$
    SELECT i.ticket_id, i.user_id, i.payment_hash, i.status::text, i.amount_sats::bigint, i.paid_at
    FROM invoices i
    WHERE i.status IN ('paid_late', 'paid_after_cancel', 'paid_surplus') AND i.refunded_at IS NULL
        AND (i.paid_at, i.payment_hash) > (coalesce(p_after, '-infinity'), coalesce(p_after_hash, ''))
    ORDER BY i.paid_at, i.payment_hash
    LIMIT p_limit
$$;

CREATE FUNCTION prune_pushes(p_before timestamptz, p_limit bigint, OUT pruned bigint)
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pushes p
    WHERE p.id IN (SELECT o.id FROM pushes o WHERE o.received_at < p_before ORDER BY o.received_at LIMIT p_limit);
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;

GRANT EXECUTE ON FUNCTION claim_looks, reschedule_looks, note_push, list_unpaid, count_unpaid, list_refunds, prune_pushes
    TO guiche_worker;
