-- Many citizens' tickets in one transaction.

-- At the end of a transaction that wrote for several citizens, only the last of them is in force: each row is looked at
-- under the identity of its own citizen, and the identity that was in force is put back. (A row that nobody may see is
-- still refused: not under that identity either.)
CREATE OR REPLACE FUNCTION ticket_is_whole() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    identity text := current_setting('app.user_id', true);
    owner uuid;
    of_ticket uuid;
    whole boolean;
    known boolean;
BEGIN
    IF TG_TABLE_NAME = 'tickets' THEN
        of_ticket := NEW.id;
        owner := NEW.user_id;
    ELSIF TG_OP = 'DELETE' THEN
        of_ticket := OLD.ticket_id;
        owner := OLD.user_id;
    ELSE
        of_ticket := NEW.ticket_id;
        owner := NEW.user_id;
    END IF;
    known := set_config('app.user_id', owner::text, true) IS NOT NULL;
    SELECT count(i.status) > 0 AND t.paid_at IS NOT DISTINCT FROM max(i.paid_at) FILTER (WHERE i.status = 'paid')
    INTO whole
    FROM public.tickets t LEFT JOIN public.invoices i ON i.ticket_id = t.id
    WHERE t.id = of_ticket
    GROUP BY t.id;
    known := FOUND;
    identity := set_config('app.user_id', coalesce(identity, ''), true);
    IF whole OR (TG_OP = 'DELETE' AND NOT known) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'a ticket and its invoices break %', TG_NAME
        USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

-- Fresh tickets of many citizens, each with its one invoice, its events and the completion of its claim: what `open_ticket`
-- does for one, in one statement a table. Says of each ticket, in their order, whether its caller is still known (SQLSTATE
-- GU401 for one); of those that are, all are written. Whatever else is wrong with any of them is an error that takes all of
-- them back: the caller then writes each by itself, and only the one at fault is refused.
--
-- The insertions are `INSERT … SELECT`, whose rows are computed and checked one at a time: `set_config` in the column
-- `user_id` puts the row's caller in force before the policy looks at that row. Were it not so, the policy would refuse.
CREATE FUNCTION open_tickets(
    p_users uuid[], p_epochs integer[],
    p_tickets uuid[], p_owners uuid[], p_operations integer[], p_operation_names text[], p_amounts bigint[],
    p_forms jsonb[], p_created_at timestamptz[], p_updated_at timestamptz[],
    p_hashes bytea[], p_provider_ids text[], p_bolt11s text[], p_issued_at timestamptz[], p_expires_at timestamptz[],
    p_routes text[], p_keys text[], p_subjects uuid[],
    p_event_places integer[], p_event_ids uuid[], p_kinds text[], p_moments timestamptz[], p_statuses text[],
    p_versions bigint[], p_event_hashes bytea[],
    OUT known boolean[]
)
LANGUAGE plpgsql AS $$
DECLARE
    place integer;
    wanted integer := 0;
    written integer;
    identity text;
    claimed record;
BEGIN
    -- Nobody waits long here because of somebody else's ticket: who has to wait does so alone, in `open_ticket`.
    identity := set_config('lock_timeout', '200ms', true);
    FOR place IN 1..cardinality(p_tickets) LOOP
        -- Two batches take the same locks in the same order.
        IF place > 1 AND p_tickets[place] <= p_tickets[place - 1] THEN
            RAISE EXCEPTION 'the tickets of a batch are not in the order of their ids';
        END IF;
        identity := set_config('app.user_id', p_users[place]::text, true);
        known[place] := EXISTS (SELECT FROM users u WHERE u.id = p_users[place] AND u.epoch = p_epochs[place]);
        wanted := wanted + known[place]::integer;
    END LOOP;

    INSERT INTO tickets (
        user_id, id, operation_id, operation_name, amount_sats, form_data, status, version, created_at, updated_at,
        expires_at
    )
    SELECT
        CASE WHEN set_config('app.user_id', n.caller::text, true) IS NOT NULL THEN n.owner END,
        n.ticket, n.operation, n.operation_name, n.amount, n.form, 'pending', 1, n.created_at, n.updated_at, n.expires_at
    FROM unnest(
        known, p_users, p_owners, p_tickets, p_operations, p_operation_names, p_amounts, p_forms, p_created_at,
        p_updated_at, p_expires_at
    ) AS n (
        known, caller, owner, ticket, operation, operation_name, amount, form, created_at, updated_at, expires_at
    )
    WHERE n.known
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> wanted THEN
        RAISE EXCEPTION 'a ticket is stored already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
    END IF;

    INSERT INTO invoices (
        user_id, payment_hash, ticket_id, amount_sats, ordinal, provider_invoice_id, bolt11, issued_at, expires_at, status
    )
    SELECT
        CASE WHEN set_config('app.user_id', n.caller::text, true) IS NOT NULL THEN n.owner END,
        n.hash, n.ticket, n.amount, 1, n.provider_id, n.bolt11, n.issued_at, n.expires_at, 'open'
    FROM unnest(
        known, p_users, p_owners, p_tickets, p_amounts, p_hashes, p_provider_ids, p_bolt11s, p_issued_at, p_expires_at
    ) AS n (known, caller, owner, ticket, amount, hash, provider_id, bolt11, issued_at, expires_at)
    WHERE n.known
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> wanted THEN
        RAISE EXCEPTION 'an invoice is stored already' USING ERRCODE = 'GU409', CONSTRAINT = 'guiche_duplicate';
    END IF;

    INSERT INTO outbox (
        user_id, id, kind, happened_at, ticket_id, amount_sats, operation_id, status, version, payment_hash
    )
    SELECT
        CASE WHEN set_config('app.user_id', p_users[e.place]::text, true) IS NOT NULL THEN p_owners[e.place] END,
        e.id, e.kind, e.moment, p_tickets[e.place], p_amounts[e.place], p_operations[e.place], e.status, e.version, e.hash
    FROM unnest(p_event_places, p_event_ids, p_kinds, p_moments, p_statuses, p_versions, p_event_hashes)
        AS e (place, id, kind, moment, status, version, hash)
    WHERE known[e.place];

    FOR claimed IN
        SELECT n.* FROM unnest(known, p_users, p_routes, p_keys, p_subjects, p_tickets, p_hashes)
            AS n (known, caller, route, key, subject, ticket, hash)
        WHERE n.known AND n.key IS NOT NULL
    LOOP
        identity := set_config('app.user_id', claimed.caller::text, true);
        UPDATE idempotency_claims c SET ticket_id = claimed.ticket, payment_hash = claimed.hash
        WHERE c.user_id = claimed.caller AND c.route = claimed.route AND c.key = claimed.key
            AND c.subject = claimed.subject AND c.ticket_id IS NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a claim is not held' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
        END IF;
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION open_tickets TO guiche_app;
