-- The schedule of looks in a narrow table of its own. In `invoices`, every lease wrote a wide row and an entry in each of
-- nine indexes, most of them at a random place: what that costs grows with the table. Here a lease writes one narrow row
-- and no index, because nothing that is indexed changes.

-- Nobody opens, settles or takes anything between the reading of the old schedule and its end.
LOCK TABLE invoices IN ACCESS EXCLUSIVE MODE;

-- One row for each invoice that is looked at again; none once money came in, or when the schedule is over. What a look has
-- to know is repeated here, so that a claim reads nothing else: it never changes, but for `open`, which a trigger keeps.
CREATE TABLE invoice_looks (
    payment_hash        sha256_hash NOT NULL,
    ticket_id           uuid        NOT NULL,
    user_id             uuid        NOT NULL,
    provider_invoice_id provider_id NOT NULL,
    issued_at           timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,
    due_at              timestamptz NOT NULL,
    -- While a watcher is at it, the end of its lease. Not indexed, and not to be: that makes a lease cheap.
    leased_until        timestamptz,
    open                boolean     NOT NULL
) WITH (
    -- Room for leases beside the rows that they are of. (Of 50, 65, 80 and 92, the narrowest was read the fastest.)
    fillfactor = 90,
    -- A claim walks past the index entries of looks that were rescheduled since the last vacuum.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 5000
);

-- Row-level security is forced on the owner too: without this the owner would move no row, and say nothing.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
-- In the order of issue, as rows come: those that were issued together are due together, and then lie together.
INSERT INTO invoice_looks (
    payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at, due_at, open
)
SELECT
    i.payment_hash, i.ticket_id, i.user_id, i.provider_invoice_id, i.issued_at, i.expires_at, i.look_at, i.status = 'open'
FROM invoices i WHERE i.look_at IS NOT NULL ORDER BY i.issued_at;
ALTER TABLE invoice_looks
    ADD PRIMARY KEY (payment_hash),
    -- A look is at an invoice of this very ticket, of this very citizen, and goes with it.
    ADD CONSTRAINT invoice_looks_invoice FOREIGN KEY (payment_hash, ticket_id, user_id)
        REFERENCES invoices (payment_hash, ticket_id, user_id) ON DELETE CASCADE;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
CREATE INDEX invoice_looks_due_at ON invoice_looks (due_at);

DROP TRIGGER invoices_are_watched ON invoices;
DROP TRIGGER invoices_paid_are_not_watched ON invoices;
DROP FUNCTION watch_invoice, unwatch_invoice;
-- With its index and the privilege on it.
ALTER TABLE invoices DROP COLUMN look_at;

ALTER TABLE invoice_looks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY invoice_looks_own ON invoice_looks TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY invoice_looks_office ON invoice_looks TO guiche_worker USING (true) WITH CHECK (true);
-- Whoever writes an invoice changes the schedule by the triggers below, which work as guiche_auth, and not otherwise.
CREATE POLICY invoice_looks_kept ON invoice_looks TO guiche_auth USING (true) WITH CHECK (true);
GRANT SELECT ON invoice_looks TO guiche_app;
GRANT SELECT, INSERT, DELETE ON invoice_looks TO guiche_auth, guiche_worker;
GRANT UPDATE (open) ON invoice_looks TO guiche_auth;
GRANT UPDATE (due_at, leased_until) ON invoice_looks TO guiche_worker;

-- Whoever stores an invoice has it watched, and whoever notes a payment ends the watch: a rule of the table, so that no
-- function can forget it. (Two seconds: tickets::watch::FIRST_LOOK.)
CREATE FUNCTION watch_invoices() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO invoice_looks (
        payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at, due_at, open
    )
    SELECT
        n.payment_hash, n.ticket_id, n.user_id, n.provider_invoice_id, n.issued_at, n.expires_at,
        n.issued_at + interval '2 seconds', n.status = 'open'
    FROM new_invoices n WHERE n.paid_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER invoices_are_watched AFTER INSERT ON invoices REFERENCING NEW TABLE AS new_invoices
    FOR EACH STATEMENT EXECUTE FUNCTION watch_invoices();
CREATE FUNCTION follow_invoice() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.paid_at IS NOT NULL THEN
        DELETE FROM invoice_looks l WHERE l.payment_hash = NEW.payment_hash;
    ELSE
        UPDATE invoice_looks l SET open = (NEW.status = 'open') WHERE l.payment_hash = NEW.payment_hash;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER invoices_are_followed AFTER UPDATE ON invoices
    FOR EACH ROW WHEN (OLD.paid_at IS NULL AND (NEW.paid_at IS NOT NULL OR NEW.status <> OLD.status))
    EXECUTE FUNCTION follow_invoice();
-- It may create in the schema only for the moment in which it receives the functions.
GRANT CREATE ON SCHEMA public TO guiche_auth;
ALTER FUNCTION watch_invoices OWNER TO guiche_auth;
ALTER FUNCTION follow_invoice OWNER TO guiche_auth;
REVOKE CREATE ON SCHEMA public FROM guiche_auth;

-- Looks that are due, leased to this watcher. What another one is taking, or somebody is settling, at this very moment is
-- skipped, not waited for. A row is locked where it lies and written there: by its key it would have to be found again,
-- each at a random place of that index.
CREATE OR REPLACE FUNCTION claim_looks(p_now timestamptz, p_leased_until timestamptz, p_limit bigint)
RETURNS TABLE (
    ticket_id uuid, payment_hash bytea, provider_invoice_id text, open boolean, issued_at timestamptz,
    expires_at timestamptz, due_at timestamptz
)
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT l.ctid AS place, l.payment_hash, greatest(l.due_at, l.leased_until) AS due_at
        FROM invoice_looks l
        WHERE l.due_at <= p_now AND (l.leased_until IS NULL OR l.leased_until <= p_now)
        ORDER BY l.due_at
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE invoice_looks l SET leased_until = p_leased_until
        WHERE l.ctid = ANY (ARRAY(SELECT d.place FROM due d))
        RETURNING l.ticket_id, l.payment_hash, l.provider_invoice_id, l.open, l.issued_at, l.expires_at
    )
    SELECT l.ticket_id, l.payment_hash, l.provider_invoice_id, l.open, l.issued_at, l.expires_at, d.due_at
    FROM leased l JOIN due d ON d.payment_hash = l.payment_hash
    ORDER BY d.due_at
$$;

-- The next looks of what is still leased; without a moment the schedule is over. A row that somebody is just settling is
-- skipped: money ends its watch, and otherwise its lease does. Nobody waits here, so no two can wait for each other.
CREATE OR REPLACE FUNCTION reschedule_looks(p_leased_until timestamptz, p_hashes bytea[], p_at timestamptz[]) RETURNS void
LANGUAGE sql AS $$
    WITH held AS MATERIALIZED (
        SELECT l.payment_hash, n.at
        FROM unnest(p_hashes, p_at) AS n (hash, at) JOIN invoice_looks l ON l.payment_hash = n.hash
        WHERE l.leased_until = p_leased_until
        FOR UPDATE OF l SKIP LOCKED
    ), ended AS (
        DELETE FROM invoice_looks l USING held WHERE l.payment_hash = held.payment_hash AND held.at IS NULL
    )
    UPDATE invoice_looks l SET due_at = held.at, leased_until = NULL
    FROM held WHERE l.payment_hash = held.payment_hash AND held.at IS NOT NULL
$$;

-- Notes a push and makes the next look due: 'known', 'unknown' or 'duplicate'. The lock on the invoice makes this wait for
-- whoever is just settling it: what is paid by then is not watched again. Its schedule may have been over.
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
    WITH unpaid AS MATERIALIZED (
        SELECT i.* FROM invoices i WHERE i.provider_invoice_id = p_invoice AND i.paid_at IS NULL FOR NO KEY UPDATE
    )
    INSERT INTO invoice_looks AS l (
        payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at, due_at, open
    )
    SELECT
        u.payment_hash, u.ticket_id, u.user_id, u.provider_invoice_id, u.issued_at, u.expires_at, p_now, u.status = 'open'
    FROM unpaid u
    ON CONFLICT (payment_hash) DO UPDATE SET due_at = excluded.due_at, leased_until = NULL;
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
        coalesce(
            (SELECT greatest(l.due_at, l.leased_until) FROM invoice_looks l WHERE l.payment_hash = i.payment_hash),
            i.issued_at
        )
    FROM invoices i
    WHERE i.paid_at IS NULL AND i.issued_at >= p_since
        AND (i.issued_at, i.payment_hash) > (coalesce(p_after, '-infinity'), coalesce(p_after_hash, ''))
    ORDER BY i.issued_at, i.payment_hash
    LIMIT p_limit
$$;
