-- Many citizens' reads in one statement: what `find_ticket` and `list_tickets` answer to one.
--
-- Each place of the arrays is a caller with what they ask for. The inner queries stand behind OFFSET 0, so that they are not
-- mixed with one another: first `set_config` puts a place's caller in force, then that caller's rows are looked for, under
-- row-level security as ever. Should a planner do it in another order after all, the policies hide rows and show none: an
-- answer here is the caller's own, and known to be so by the conditions on `caller` besides.
--
-- So only a found row means something. A place without rows (no such ticket, an empty page, an ended session) is asked again
-- by itself, by the function for one, which says why there is nothing.
--
-- The generic plan: how many places there are changes nothing about it, and planning takes longer than a batch.

CREATE FUNCTION find_tickets(p_users uuid[], p_epochs integer[], p_tickets uuid[])
RETURNS TABLE (
    place bigint, id uuid, user_id uuid, operation_id integer, operation_name text, amount_sats sats,
    form_data "json_object", status ticket_status, version row_version, created_at timestamptz, updated_at timestamptz,
    cancelled_at timestamptz, processing_at timestamptz, completed_at timestamptz, payment_hash sha256_hash,
    ordinal place, provider_invoice_id provider_id, bolt11 bolt11_text, invoice_amount_sats sats, issued_at timestamptz,
    expires_at timestamptz, invoice_status invoice_status, paid_at timestamptz, preimage bytea, refunded_at timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.place, found.*
    FROM (
        SELECT a.*, set_config('app.user_id', a.caller::text, true) AS in_force
        FROM unnest(p_users, p_epochs, p_tickets) WITH ORDINALITY AS a (caller, epoch, ticket, place)
        OFFSET 0
    ) asked
    CROSS JOIN LATERAL (
        SELECT r.*
        FROM users u JOIN ticket_readings r ON r.user_id = u.id
        WHERE u.id = asked.caller AND u.epoch = asked.epoch AND r.id = asked.ticket
        ORDER BY r.ordinal
        OFFSET 0
    ) found;
END
$$;

-- Pages of tickets of any status, as of `list_tickets`.
CREATE FUNCTION list_tickets_of(
    p_users uuid[], p_epochs integer[], p_after timestamptz[], p_after_ids uuid[], p_offsets bigint[], p_limits bigint[]
) RETURNS TABLE (
    place bigint, total bigint, id uuid, operation_id integer, operation_name text, status text, amount_sats bigint,
    created_at timestamptz, expires_at timestamptz, paid_at timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.place, page.*
    FROM (
        SELECT
            a.place, a.caller, a.epoch, a.skipped,
            -- As for one: nobody can make the server walk through more tickets than are counted.
            CASE WHEN a.skipped > 10000 THEN 0 ELSE a.most END AS most,
            -- Here, because beside row-level security an expression would keep the place from being found in the index.
            coalesce(a.after_moment, 'infinity') AS after_moment,
            coalesce(a.after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS after_id,
            set_config('app.user_id', a.caller::text, true) AS in_force
        FROM unnest(p_users, p_epochs, p_after, p_after_ids, p_offsets, p_limits) WITH ORDINALITY
            AS a (caller, epoch, after_moment, after_id, skipped, most, place)
        OFFSET 0
    ) asked
    CROSS JOIN LATERAL (
        SELECT counted.total, shown.*
        FROM users u
        CROSS JOIN LATERAL (
            SELECT count(*) AS total FROM (
                SELECT FROM tickets t
                WHERE t.user_id = asked.caller
                -- One beyond what is counted.
                LIMIT 10001
            ) few
        ) counted
        CROSS JOIN LATERAL (
            SELECT
                t.id, t.operation_id, t.operation_name, t.status::text, t.amount_sats::bigint, t.created_at,
                t.expires_at, t.paid_at
            FROM tickets t
            WHERE t.user_id = asked.caller
                AND (t.created_at, t.id) < (asked.after_moment, asked.after_id)
            ORDER BY t.created_at DESC, t.id DESC
            LIMIT asked.most OFFSET asked.skipped
        ) shown
        WHERE u.id = asked.caller AND u.epoch = asked.epoch
        ORDER BY shown.created_at DESC, shown.id DESC
        OFFSET 0
    ) page;
END
$$;
GRANT EXECUTE ON FUNCTION find_tickets, list_tickets_of TO guiche_app;
