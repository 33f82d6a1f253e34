-- Whom a claim holds, and whom it serves.
-- It held every endpoint while it chose, and skipped those that another claim held: of two processes that chose at the same
-- moment one went away empty. Now it holds those that it can be given something of, and no more of them than it has places:
-- the other finds the next ones, where there are more.
-- "Everybody's first, then everybody's second" held within one claim. But whoever is busy claims for one place at a time, as
-- it becomes free, and then it was the longest queue that got it: a few endpoints that answer nothing, each with a day's events
-- waiting, kept those that answer from theirs. What is under way counts now: a free place goes to whom least is under way.

CREATE OR REPLACE FUNCTION claim_deliveries(p_now timestamptz, p_leased_until timestamptz, p_per_endpoint bigint, p_limit bigint)
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
    -- What is read here without a lock is a guess; below, under the lock, it is counted again.
    SELECT array_agg(e.id) INTO mine FROM (
        SELECT w.id
        FROM webhook_endpoints w
        CROSS JOIN LATERAL (
            SELECT count(*) AS deliveries
            FROM webhook_deliveries u WHERE u.endpoint_id = w.id AND u.leased_until > p_now
        ) under_way
        CROSS JOIN LATERAL (
            SELECT q.next_at
            FROM webhook_deliveries q
            WHERE q.endpoint_id = w.id AND q.state = 'pending' AND q.next_at <= p_now
                AND (q.leased_until IS NULL OR q.leased_until <= p_now)
            ORDER BY q.next_at
            LIMIT 1
        ) oldest
        WHERE w.disabled_at IS NULL AND under_way.deliveries < p_per_endpoint
        ORDER BY under_way.deliveries, oldest.next_at
        LIMIT p_limit
        FOR NO KEY UPDATE OF w SKIP LOCKED
    ) e;
    IF mine IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH due AS MATERIALIZED (
        SELECT d.event_id, d.endpoint_id, d.next_at, r.under_way
        FROM (
            SELECT e.id, (
                SELECT count(*) FROM webhook_deliveries u WHERE u.endpoint_id = e.id AND u.leased_until > p_now
            ) AS under_way
            FROM unnest(mine) AS e (id)
        ) r
        CROSS JOIN LATERAL (
            SELECT q.event_id, q.endpoint_id, q.next_at
            FROM webhook_deliveries q
            WHERE q.endpoint_id = r.id AND q.state = 'pending' AND q.next_at <= p_now
                AND (q.leased_until IS NULL OR q.leased_until <= p_now)
            ORDER BY q.next_at, q.event_id
            LIMIT greatest(p_per_endpoint - r.under_way, 0)
            FOR NO KEY UPDATE SKIP LOCKED
        ) d
    ), shared AS (
        -- Everybody's first, then everybody's second, and so on; what is under way counts.
        SELECT d.event_id, d.endpoint_id, d.next_at
        FROM due d
        ORDER BY
            d.under_way + row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.event_id), d.next_at
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
