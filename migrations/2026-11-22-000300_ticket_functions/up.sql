-- The calls of the money path, each one round trip. They run with the rights of whoever calls them.
-- SQLSTATE GU401 means StoreError::Revoked, GU409 Duplicate, GU412 Conflict; so does the name of the constraint.

CREATE FUNCTION find_ticket(p_user uuid, p_epoch integer, p_ticket uuid) RETURNS SETOF ticket_readings
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY SELECT * FROM ticket_readings r WHERE r.id = p_ticket ORDER BY r.ordinal;
END
$$;

-- Inside a transaction. The reading is a statement of its own, so that it sees what was committed by whoever held the lock.
CREATE FUNCTION lock_ticket(p_ticket uuid) RETURNS SETOF ticket_readings
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM tickets t WHERE t.id = p_ticket FOR NO KEY UPDATE;
    RETURN QUERY SELECT * FROM ticket_readings r WHERE r.id = p_ticket ORDER BY r.ordinal;
END
$$;

CREATE FUNCTION ticket_of(p_user uuid, p_epoch integer, p_hash bytea) RETURNS TABLE (ticket_id uuid)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY SELECT i.ticket_id FROM invoices i WHERE i.payment_hash = p_hash;
END
$$;

-- One row at least, because the total is wanted for an empty page too. An offset beyond what is counted shows nothing:
-- nobody can make the server walk through more tickets than that.
CREATE FUNCTION list_tickets(
    p_user uuid, p_epoch integer, p_status text, p_after timestamptz, p_after_id uuid, p_offset bigint, p_limit bigint
) RETURNS TABLE (
    total bigint, id uuid, operation_id integer, operation_name text, status text, amount_sats bigint,
    created_at timestamptz, expires_at timestamptz, paid_at timestamptz
)
LANGUAGE plpgsql AS $$
DECLARE
    -- Not in the query: beside row-level security an expression would keep the place from being found in the index.
    after_moment timestamptz := coalesce(p_after, 'infinity');
    after_id uuid := coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    page_limit bigint := CASE WHEN p_offset > 10000 THEN 0 ELSE p_limit END;
BEGIN
    PERFORM become(p_user, p_epoch);
    -- Two queries, each with an index of its own: in one for both, the status could not be looked up in any.
    IF p_status IS NULL THEN
        RETURN QUERY
        SELECT counted.total, page.*
        FROM (
            SELECT count(*) AS total FROM (
                SELECT FROM tickets t
                WHERE t.user_id = p_user
                -- One beyond what is counted. (A parameter here would make the planner expect few rows, and read the table.)
                LIMIT 10001
            ) few
        ) counted
        LEFT JOIN (
            SELECT
                t.id, t.operation_id, t.operation_name, t.status::text, t.amount_sats::bigint, t.created_at,
                t.expires_at, t.paid_at
            FROM tickets t
            WHERE t.user_id = p_user
                AND (t.created_at, t.id) < (after_moment, after_id)
            ORDER BY t.created_at DESC, t.id DESC
            LIMIT page_limit OFFSET p_offset
        ) page ON true
        ORDER BY page.created_at DESC, page.id DESC;
    ELSE
        RETURN QUERY
        SELECT counted.total, page.*
        FROM (
            SELECT count(*) AS total FROM (
                SELECT FROM tickets t
                WHERE t.user_id = p_user AND t.status = p_status
                -- One beyond what is counted. (A parameter here would make the planner expect few rows, and read the table.)
                LIMIT 10001
            ) few
        ) counted
        LEFT JOIN (
            SELECT
                t.id, t.operation_id, t.operation_name, t.status::text, t.amount_sats::bigint, t.created_at,
                t.expires_at, t.paid_at
            FROM tickets t
            WHERE t.user_id = p_user
                AND t.status = p_status
                AND (t.created_at, t.id) < (after_moment, after_id)
            ORDER BY t.created_at DESC, t.id DESC
            LIMIT page_limit OFFSET p_offset
        ) page ON true
        ORDER BY page.created_at DESC, page.id DESC;
    END IF;
END
$$;

-- Adds invoices to a ticket, in the order given; GU409 when one of them exists or the ticket would have two open ones.
CREATE FUNCTION add_invoices(
    p_ticket uuid, p_user uuid, p_amount bigint, p_first_ordinal integer,
    p_hashes bytea[], p_provider_ids text[], p_bolt11s text[], p_issued timestamptz[], p_expires timestamptz[],
    p_statuses text[], p_paid timestamptz[], p_preimages bytea[], p_refunded timestamptz[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    added integer;
BEGIN
    INSERT INTO invoices (
        payment_hash, ticket_id, user_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at,
        status, paid_at, preimage, refunded_at
    )
    SELECT
        n.hash, p_ticket, p_user, p_amount, p_first_ordinal + n.place::integer - 1, n.provider_id, n.bolt11, n.issued,
        n.expires, n.status, n.paid, n.preimage, n.refunded
    FROM unnest(
        p_hashes, p_provider_ids, p_bolt11s, p_issued, p_expires, p_statuses, p_paid, p_preimages, p_refunded
    ) WITH ORDINALITY AS n (hash, provider_id, bolt11, issued, expires, status, paid, preimage, refunded, place)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF added <> cardinality(p_hashes) THEN
        RAISE EXCEPTION 'an invoice is stored already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
    END IF;
END
$$;

-- The hot path: a fresh ticket with its one invoice and its events, and the completion of the claim. Errors take
-- everything back, because this is a transaction by itself.
CREATE FUNCTION open_ticket(
    p_user uuid, p_epoch integer,
    p_ticket uuid, p_owner uuid, p_operation integer, p_operation_name text, p_amount bigint, p_form jsonb,
    p_created_at timestamptz, p_updated_at timestamptz,
    p_hash bytea, p_provider_id text, p_bolt11 text, p_issued_at timestamptz, p_expires_at timestamptz,
    p_event_ids uuid[], p_kinds text[], p_moments timestamptz[], p_statuses text[], p_versions bigint[],
    p_event_hashes bytea[],
    p_route text, p_key text, p_subject uuid
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    INSERT INTO tickets (
        id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at,
        expires_at
    )
    VALUES (
        p_ticket, p_owner, p_operation, p_operation_name, p_amount, p_form, 'pending', 1, p_created_at, p_updated_at,
        p_expires_at
    )
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'duplicate';
    END IF;
    INSERT INTO invoices (
        payment_hash, ticket_id, user_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at, status
    )
    VALUES (p_hash, p_ticket, p_owner, p_amount, 1, p_provider_id, p_bolt11, p_issued_at, p_expires_at, 'open')
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the invoice is stored already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
    END IF;
    INSERT INTO outbox (
        id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version, payment_hash
    )
    SELECT e.id, e.kind, e.moment, p_ticket, p_owner, p_amount, p_operation, e.status, e.version, e.hash
    FROM unnest(p_event_ids, p_kinds, p_moments, p_statuses, p_versions, p_event_hashes)
        AS e (id, kind, moment, status, version, hash);
    IF p_key IS NOT NULL THEN
        UPDATE idempotency_claims c SET ticket_id = p_ticket, payment_hash = p_hash
        WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key AND c.subject = p_subject
            AND c.ticket_id IS NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the claim is not held' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
        END IF;
    END IF;
    RETURN 'done';
END
$$;

-- Inside a transaction: a ticket with all of its invoices. The block is a savepoint, so that a refusal takes back what
-- it wrote and leaves the transaction usable.
CREATE FUNCTION insert_ticket(
    p_ticket uuid, p_owner uuid, p_operation integer, p_operation_name text, p_amount bigint, p_form jsonb,
    p_status text, p_version bigint, p_created_at timestamptz, p_updated_at timestamptz, p_cancelled_at timestamptz,
    p_processing_at timestamptz, p_completed_at timestamptz, p_expires_at timestamptz, p_paid_at timestamptz,
    p_hashes bytea[], p_provider_ids text[], p_bolt11s text[], p_issued timestamptz[], p_expires timestamptz[],
    p_statuses text[], p_paid timestamptz[], p_preimages bytea[], p_refunded timestamptz[]
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tickets (
        id, user_id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at,
        cancelled_at, processing_at, completed_at, expires_at, paid_at
    )
    VALUES (
        p_ticket, p_owner, p_operation, p_operation_name, p_amount, p_form, p_status, p_version, p_created_at,
        p_updated_at, p_cancelled_at, p_processing_at, p_completed_at, p_expires_at, p_paid_at
    )
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'duplicate';
    END IF;
    PERFORM add_invoices(
        p_ticket, p_owner, p_amount, 1, p_hashes, p_provider_ids, p_bolt11s, p_issued, p_expires, p_statuses, p_paid,
        p_preimages, p_refunded
    );
    RETURN 'done';
EXCEPTION
    WHEN SQLSTATE 'GU409' THEN
        RETURN 'duplicate';
END
$$;

-- Inside a transaction: writes what changed. Compare-and-set on the version and on the old status of every changed
-- invoice, all or nothing; a savepoint as above.
CREATE FUNCTION save_ticket(
    p_ticket uuid, p_expected bigint, p_version bigint, p_status text, p_updated_at timestamptz,
    p_cancelled_at timestamptz, p_processing_at timestamptz, p_completed_at timestamptz, p_expires_at timestamptz,
    p_paid_at timestamptz,
    c_hashes bytea[], c_old text[], c_new text[], c_paid timestamptz[], c_preimages bytea[], c_refunded timestamptz[],
    n_first_ordinal integer, n_hashes bytea[], n_provider_ids text[], n_bolt11s text[], n_issued timestamptz[],
    n_expires timestamptz[], n_statuses text[], n_paid timestamptz[], n_preimages bytea[], n_refunded timestamptz[]
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    owner uuid;
    price bigint;
    changed integer := 0;
    counted integer;
BEGIN
    UPDATE tickets t SET
        status = p_status, version = p_version, updated_at = p_updated_at, cancelled_at = p_cancelled_at,
        processing_at = p_processing_at, completed_at = p_completed_at, expires_at = p_expires_at, paid_at = p_paid_at
    WHERE t.id = p_ticket AND t.version = p_expected
    RETURNING t.user_id, t.amount_sats INTO owner, price;
    IF NOT FOUND THEN
        RETURN 'conflict';
    END IF;
    -- Whatever ceases to be the payment that counts, or to be open, does so before another takes its place.
    FOR promoting IN 0..1 LOOP
        UPDATE invoices i SET
            status = c.new, paid_at = c.paid, preimage = c.preimage, refunded_at = c.refunded
        FROM unnest(c_hashes, c_old, c_new, c_paid, c_preimages, c_refunded)
            AS c (hash, old, new, paid, preimage, refunded)
        WHERE i.payment_hash = c.hash AND i.ticket_id = p_ticket AND i.status = c.old
            AND (c.new = 'paid') = (promoting = 1);
        GET DIAGNOSTICS counted = ROW_COUNT;
        changed := changed + counted;
    END LOOP;
    IF changed <> cardinality(c_hashes) THEN
        RAISE EXCEPTION 'an invoice was changed meanwhile' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
    IF cardinality(n_hashes) > 0 THEN
        PERFORM add_invoices(
            p_ticket, owner, price, n_first_ordinal, n_hashes, n_provider_ids, n_bolt11s, n_issued, n_expires,
            n_statuses, n_paid, n_preimages, n_refunded
        );
    END IF;
    RETURN 'done';
EXCEPTION
    WHEN SQLSTATE 'GU409' THEN
        RETURN 'duplicate';
    WHEN SQLSTATE 'GU412' THEN
        RETURN 'conflict';
END
$$;

CREATE FUNCTION push_events(
    p_ids uuid[], p_kinds text[], p_moments timestamptz[], p_tickets uuid[], p_users uuid[], p_amounts bigint[],
    p_operations integer[], p_statuses text[], p_versions bigint[], p_hashes bytea[]
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO outbox (
        id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version, payment_hash
    )
    SELECT *
    FROM unnest(
        p_ids, p_kinds, p_moments, p_tickets, p_users, p_amounts, p_operations, p_statuses, p_versions, p_hashes
    )
$$;

-- Claims an idempotency key, or says who has it: 'mine', 'busy', 'mismatch' or 'done'.
CREATE FUNCTION claim_key(
    p_user uuid, p_epoch integer, p_route text, p_key text, p_fingerprint bytea, p_subject uuid, p_now timestamptz,
    p_claimed_until timestamptz, p_renew_before timestamptz,
    OUT outcome text, OUT subject uuid, OUT requested_at timestamptz, OUT claimed_until timestamptz,
    OUT ticket_id uuid, OUT payment_hash bytea
)
LANGUAGE plpgsql AS $$
DECLARE
    present idempotency_claims;
BEGIN
    PERFORM become(p_user, p_epoch);
    -- Again and again only if the claim is released between the insert and the reading.
    LOOP
        INSERT INTO idempotency_claims (
            user_id, route, key, fingerprint, subject, requested_at, claimed_until, touched_at
        )
        VALUES (p_user, p_route, p_key, p_fingerprint, p_subject, p_now, p_claimed_until, p_now)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            outcome := 'mine';
            claim_key.subject := p_subject;
            claim_key.requested_at := p_now;
            claim_key.claimed_until := p_claimed_until;
            RETURN;
        END IF;
        SELECT * INTO present FROM idempotency_claims c
        WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key
        FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    IF present.ticket_id IS NULL AND present.claimed_until <= p_now THEN
        outcome := 'mine';
        -- Another request, or one of long ago: nothing of it binds this one.
        IF present.fingerprint <> p_fingerprint OR present.requested_at < p_renew_before THEN
            present.subject := p_subject;
            present.requested_at := p_now;
        END IF;
        UPDATE idempotency_claims c SET
            fingerprint = p_fingerprint, subject = present.subject, requested_at = present.requested_at,
            claimed_until = p_claimed_until, touched_at = p_now
        WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key;
        claim_key.subject := present.subject;
        claim_key.requested_at := present.requested_at;
        claim_key.claimed_until := p_claimed_until;
    ELSIF present.fingerprint <> p_fingerprint THEN
        outcome := 'mismatch';
    ELSIF present.ticket_id IS NULL THEN
        outcome := 'busy';
    ELSE
        outcome := 'done';
        claim_key.ticket_id := present.ticket_id;
        claim_key.payment_hash := present.payment_hash;
    END IF;
END
$$;

-- What was made under a key for this very request.
CREATE FUNCTION find_done(p_user uuid, p_epoch integer, p_route text, p_key text, p_fingerprint bytea)
RETURNS TABLE (ticket_id uuid, payment_hash bytea) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    RETURN QUERY SELECT c.ticket_id, c.payment_hash::bytea FROM idempotency_claims c
    WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key AND c.fingerprint = p_fingerprint
        AND c.ticket_id IS NOT NULL;
END
$$;

-- The moment until which the claim was taken tells its holder from the next one, who works under the same subject.
CREATE FUNCTION release_key(
    p_user uuid, p_epoch integer, p_route text, p_key text, p_subject uuid, p_claimed_until timestamptz,
    p_forget boolean
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM become(p_user, p_epoch);
    IF p_forget THEN
        DELETE FROM idempotency_claims c
        WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key AND c.subject = p_subject
            AND c.claimed_until = p_claimed_until AND c.ticket_id IS NULL;
    ELSE
        UPDATE idempotency_claims c SET claimed_until = c.requested_at
        WHERE c.user_id = p_user AND c.route = p_route AND c.key = p_key AND c.subject = p_subject
            AND c.claimed_until = p_claimed_until AND c.ticket_id IS NULL;
    END IF;
END
$$;

-- Inside a transaction: false when the claim is not held under its subject. The claim is that of the ticket's owner,
-- whoever acts.
CREATE FUNCTION complete_key(p_route text, p_key text, p_subject uuid, p_ticket uuid, p_hash bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE idempotency_claims c SET ticket_id = p_ticket, payment_hash = p_hash
    WHERE c.user_id = (SELECT t.user_id FROM tickets t WHERE t.id = p_ticket)
        AND c.route = p_route AND c.key = p_key AND c.subject = p_subject AND c.ticket_id IS NULL;
    RETURN FOUND;
END
$$;

-- Open invoices that ran out before the given moment, leased to this worker. What another one is leasing at this very
-- moment is skipped, not waited for.
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

GRANT EXECUTE ON FUNCTION find_ticket, ticket_of, list_tickets, open_ticket, insert_ticket, claim_key, find_done, release_key
    TO guiche_app;
GRANT EXECUTE ON FUNCTION lock_ticket, save_ticket, add_invoices, push_events, complete_key TO guiche_app, guiche_worker;
GRANT EXECUTE ON FUNCTION claim_due_invoices TO guiche_worker;
