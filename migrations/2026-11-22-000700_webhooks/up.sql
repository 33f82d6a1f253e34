-- Events out: who is told, and how far each event is on its way to each of them. The office's own: the login that serves
-- citizens sees none of it.

CREATE DOMAIN delivery_state AS text CONSTRAINT delivery_state_is_a_word CHECK (
    VALUE IN ('pending', 'delivered', 'failed', 'dropped')
);

CREATE TABLE webhook_endpoints (
    id              uuid        PRIMARY KEY,
    url             text        NOT NULL,
    description     text        NOT NULL,
    -- NULL: all, also those of later releases.
    event_types     text[],
    -- Sealed; see kernel::SecretVault.
    secret          text        NOT NULL,
    previous_secret text,
    previous_until  timestamptz,
    created_at      timestamptz NOT NULL,
    disabled_at     timestamptz,
    disabled_reason text,
    -- Since when every attempt has failed.
    failing_since   timestamptz,
    CONSTRAINT webhook_endpoints_url_length CHECK (octet_length(url) BETWEEN 1 AND 2048),
    CONSTRAINT webhook_endpoints_description_length CHECK (char_length(description) <= 200),
    CONSTRAINT webhook_endpoints_some_event_types CHECK (cardinality(event_types) > 0),
    -- What is stored under these names is never a secret in the clear.
    CONSTRAINT webhook_endpoints_secret_is_sealed CHECK (secret LIKE 'v1._%._%'),
    CONSTRAINT webhook_endpoints_previous_secret_is_sealed CHECK (previous_secret LIKE 'v1._%._%'),
    CONSTRAINT webhook_endpoints_previous_has_an_end CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    CONSTRAINT webhook_endpoints_disabled_has_a_reason CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CONSTRAINT webhook_endpoints_reason_is_a_word CHECK (disabled_reason IN ('operator', 'gone', 'failing'))
);

CREATE TABLE webhook_deliveries (
    -- With an event go its deliveries: who erases a person need not know of them.
    event_id     uuid           NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    endpoint_id  uuid           NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    state        delivery_state NOT NULL,
    attempts     integer        NOT NULL,
    created_at   timestamptz    NOT NULL,
    -- When the next attempt is due; of what has ended, when the last was.
    next_at      timestamptz    NOT NULL,
    -- Until then one worker is at it and no other. The moment itself tells its holder from the next one.
    leased_until timestamptz,
    finished_at  timestamptz,
    -- How the last attempt ended, in a word.
    last_result  text,
    PRIMARY KEY (event_id, endpoint_id),
    CONSTRAINT webhook_deliveries_attempts_count_up CHECK (attempts >= 0),
    CONSTRAINT webhook_deliveries_finished_means_when CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT webhook_deliveries_only_pending_is_leased CHECK (leased_until IS NULL OR state = 'pending'),
    CONSTRAINT webhook_deliveries_result_length CHECK (octet_length(last_result) BETWEEN 1 AND 40)
);
-- What has ended is in none of these three: a claim costs the same however much was delivered.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_under_way ON webhook_deliveries (endpoint_id) WHERE leased_until IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (created_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_finished_at ON webhook_deliveries (finished_at) WHERE state <> 'pending';
-- For the operator's lists.
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (created_at DESC, event_id DESC, endpoint_id DESC);
CREATE INDEX webhook_deliveries_newest_of_endpoint
    ON webhook_deliveries (endpoint_id, created_at DESC, event_id DESC);

-- Whether the deliveries of an event were ordered. A mark and not a position: a transaction may commit after one with a
-- higher number. What happened before there were endpoints is nobody's business, and costs no rewriting of the table.
ALTER TABLE outbox ADD COLUMN fanned_out boolean NOT NULL DEFAULT true;
ALTER TABLE outbox ALTER COLUMN fanned_out SET DEFAULT false;
CREATE INDEX outbox_not_fanned_out ON outbox (position) WHERE NOT fanned_out;

ALTER TABLE webhook_endpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY webhook_endpoints_office ON webhook_endpoints TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY webhook_deliveries_office ON webhook_deliveries TO guiche_worker USING (true) WITH CHECK (true);

GRANT SELECT, INSERT ON webhook_endpoints TO guiche_worker;
GRANT UPDATE (secret, previous_secret, previous_until, disabled_at, disabled_reason, failing_since)
    ON webhook_endpoints TO guiche_worker;
GRANT SELECT, INSERT, DELETE ON webhook_deliveries TO guiche_worker;
GRANT UPDATE (state, attempts, created_at, next_at, leased_until, finished_at, last_result)
    ON webhook_deliveries TO guiche_worker;
GRANT UPDATE (fanned_out) ON outbox TO guiche_worker;

-- Locks are taken in one order everywhere: deliveries before endpoints. Only a claim takes them the other way round, and it
-- waits for nobody.

-- Orders the deliveries of the oldest events that nobody has taken care of, and marks these. What another one is taking
-- care of at this very moment is skipped, not waited for. The endpoints are held still meanwhile, so that none is
-- disabled between being chosen and being given a delivery that nobody would ever look at.
CREATE FUNCTION fan_out_events(p_now timestamptz, p_limit bigint, OUT events bigint, OUT deliveries bigint)
LANGUAGE plpgsql AS $$
BEGIN
    events := 0;
    deliveries := 0;
    IF NOT EXISTS (SELECT FROM outbox o WHERE NOT o.fanned_out) THEN
        RETURN;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT o.id, o.kind FROM outbox o
        WHERE NOT o.fanned_out
        ORDER BY o.position
        LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED
    ), listening AS MATERIALIZED (
        SELECT e.id, e.event_types FROM webhook_endpoints e WHERE e.disabled_at IS NULL FOR SHARE
    ), marked AS (
        UPDATE outbox o SET fanned_out = true FROM fresh f WHERE o.id = f.id
        RETURNING o.id
    ), ordered AS (
        INSERT INTO webhook_deliveries (event_id, endpoint_id, state, attempts, created_at, next_at)
        SELECT f.id, l.id, 'pending', 0, p_now, p_now
        FROM fresh f JOIN listening l ON l.event_types IS NULL OR f.kind::text = ANY (l.event_types)
        ON CONFLICT DO NOTHING
        RETURNING event_id
    )
    SELECT (SELECT count(*) FROM marked), (SELECT count(*) FROM ordered) INTO events, deliveries;
END
$$;

-- Takes deliveries that are due. The lock on the endpoints comes first and in a statement of its own, so that the count of
-- what is under way sees what another claim has just taken: the bound holds for all workers together. Endpoints that
-- somebody else is busy with are skipped.
CREATE FUNCTION claim_deliveries(p_now timestamptz, p_leased_until timestamptz, p_per_endpoint bigint, p_limit bigint)
RETURNS TABLE (
    event_id uuid, endpoint_id uuid, attempts integer,
    url text, description text, event_types text[], secret text, previous_secret text, previous_until timestamptz,
    created_at timestamptz, failing_since timestamptz,
    kind text, happened_at timestamptz, ticket_id uuid, user_id uuid, operation_id integer, operation_name text,
    amount_sats bigint, status text, version bigint, payment_hash bytea
)
LANGUAGE plpgsql AS $$
DECLARE
    mine uuid[];
BEGIN
    SELECT array_agg(e.id) INTO mine FROM (
        SELECT w.id FROM webhook_endpoints w WHERE w.disabled_at IS NULL FOR NO KEY UPDATE SKIP LOCKED
    ) e;
    IF mine IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT d.event_id, d.endpoint_id, d.next_at
        FROM (
            SELECT e.id, p_per_endpoint - (
                SELECT count(*) FROM webhook_deliveries u WHERE u.endpoint_id = e.id AND u.leased_until > p_now
            ) AS room
            FROM unnest(mine) AS e (id)
        ) r
        CROSS JOIN LATERAL (
            SELECT q.event_id, q.endpoint_id, q.next_at
            FROM webhook_deliveries q
            WHERE q.endpoint_id = r.id AND q.state = 'pending' AND q.next_at <= p_now
                AND (q.leased_until IS NULL OR q.leased_until <= p_now)
            ORDER BY q.next_at, q.event_id
            LIMIT greatest(r.room, 0)
            FOR NO KEY UPDATE SKIP LOCKED
        ) d
    ), shared AS (
        -- Everybody's first, then everybody's second, and so on.
        SELECT d.event_id, d.endpoint_id, d.next_at
        FROM due d
        ORDER BY row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.event_id), d.next_at
        LIMIT p_limit
    ), leased AS (
        UPDATE webhook_deliveries q SET leased_until = p_leased_until, attempts = q.attempts + 1
        FROM shared s WHERE q.event_id = s.event_id AND q.endpoint_id = s.endpoint_id
        RETURNING q.event_id, q.endpoint_id, q.attempts, s.next_at
    )
    SELECT
        l.event_id, l.endpoint_id, l.attempts,
        e.url, e.description, e.event_types, e.secret, e.previous_secret, e.previous_until, e.created_at,
        e.failing_since,
        o.kind::text, o.happened_at, o.ticket_id, o.user_id, o.operation_id, t.operation_name, o.amount_sats::bigint,
        o.status::text, o.version::bigint, o.payment_hash::bytea
    FROM leased l
    JOIN webhook_endpoints e ON e.id = l.endpoint_id
    JOIN outbox o ON o.id = l.event_id
    JOIN tickets t ON t.id = o.ticket_id
    ORDER BY l.next_at, l.event_id;
END
$$;

-- How an attempt ended and what follows; false when it is not (or no longer) held under this lease. `p_next_at` is NULL
-- unless there is another attempt.
CREATE FUNCTION record_delivery(
    p_event uuid, p_endpoint uuid, p_leased_until timestamptz,
    p_state text, p_result text, p_next_at timestamptz, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_deliveries d SET
        state = p_state, last_result = p_result, next_at = coalesce(p_next_at, d.next_at), leased_until = NULL,
        finished_at = CASE WHEN p_state <> 'pending' THEN p_now END
    WHERE d.event_id = p_event AND d.endpoint_id = p_endpoint AND d.leased_until = p_leased_until;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_state = 'delivered' THEN
        UPDATE webhook_endpoints e SET failing_since = NULL WHERE e.id = p_endpoint AND e.failing_since IS NOT NULL;
    ELSE
        UPDATE webhook_endpoints e SET failing_since = p_now WHERE e.id = p_endpoint AND e.failing_since IS NULL;
    END IF;
    RETURN true;
END
$$;

-- Whether it was active (and, if asked for, still failing since that moment). Drops what waits for it.
CREATE FUNCTION disable_endpoint(
    p_endpoint uuid, p_reason text, p_failing_since timestamptz, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM webhook_deliveries d WHERE d.endpoint_id = p_endpoint AND d.state = 'pending' FOR NO KEY UPDATE;
    UPDATE webhook_endpoints e SET disabled_at = p_now, disabled_reason = p_reason
    WHERE e.id = p_endpoint AND e.disabled_at IS NULL
        AND (p_failing_since IS NULL OR e.failing_since = p_failing_since);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE webhook_deliveries d SET state = 'dropped', finished_at = p_now, leased_until = NULL
    WHERE d.endpoint_id = p_endpoint AND d.state = 'pending';
    RETURN true;
END
$$;

-- Orders an event's deliveries anew; how many, and NULL when there is no such event.
CREATE FUNCTION redeliver_event(p_event uuid, p_endpoint uuid, p_now timestamptz, OUT ordered bigint)
LANGUAGE plpgsql AS $$
DECLARE
    of_kind text;
BEGIN
    SELECT o.kind INTO of_kind FROM outbox o WHERE o.id = p_event;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM FROM webhook_deliveries d WHERE d.event_id = p_event FOR NO KEY UPDATE;
    INSERT INTO webhook_deliveries AS d (event_id, endpoint_id, state, attempts, created_at, next_at)
    SELECT p_event, e.id, 'pending', 0, p_now, p_now
    FROM webhook_endpoints e
    WHERE e.disabled_at IS NULL AND CASE
        WHEN p_endpoint IS NOT NULL THEN e.id = p_endpoint
        ELSE e.event_types IS NULL OR of_kind = ANY (e.event_types)
    END
    FOR SHARE OF e
    ON CONFLICT ON CONSTRAINT webhook_deliveries_pkey DO UPDATE SET
        state = 'pending', attempts = 0, created_at = p_now, next_at = p_now, leased_until = NULL, finished_at = NULL,
        last_result = NULL
    WHERE d.leased_until IS NULL OR d.leased_until <= p_now;
    GET DIAGNOSTICS ordered = ROW_COUNT;
END
$$;

-- Forgets what ended before the given moment, so many at most, and says how many.
CREATE FUNCTION prune_deliveries(p_before timestamptz, p_limit bigint, OUT pruned bigint)
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhook_deliveries d
    WHERE d.state <> 'pending' AND d.finished_at < p_before AND (d.event_id, d.endpoint_id) IN (
        SELECT o.event_id, o.endpoint_id FROM webhook_deliveries o
        WHERE o.state <> 'pending' AND o.finished_at < p_before ORDER BY o.finished_at LIMIT p_limit
    );
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;

-- Since when the oldest has been waiting, and how many endpoints are active and disabled.
CREATE FUNCTION webhook_standing(OUT oldest timestamptz, OUT active bigint, OUT disabled bigint)
LANGUAGE sql STABLE AS $$
    SELECT
        least(
            (SELECT d.created_at FROM webhook_deliveries d WHERE d.state = 'pending' ORDER BY d.created_at LIMIT 1),
            (SELECT o.happened_at FROM outbox o WHERE NOT o.fanned_out ORDER BY o.position LIMIT 1)
        ),
        (SELECT count(*) FROM webhook_endpoints e WHERE e.disabled_at IS NULL),
        (SELECT count(*) FROM webhook_endpoints e WHERE e.disabled_at IS NOT NULL)
$$;

GRANT EXECUTE ON FUNCTION
    fan_out_events, claim_deliveries, record_delivery, disable_endpoint, redeliver_event, prune_deliveries,
    webhook_standing
TO guiche_worker;
