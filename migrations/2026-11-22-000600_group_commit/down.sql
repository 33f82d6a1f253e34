DROP FUNCTION open_tickets;
CREATE OR REPLACE FUNCTION ticket_is_whole() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    of_ticket uuid;
    whole boolean;
BEGIN
    IF TG_TABLE_NAME = 'tickets' THEN
        of_ticket := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        of_ticket := OLD.ticket_id;
    ELSE
        of_ticket := NEW.ticket_id;
    END IF;
    SELECT count(i.status) > 0 AND t.paid_at IS NOT DISTINCT FROM max(i.paid_at) FILTER (WHERE i.status = 'paid')
    INTO whole
    FROM public.tickets t LEFT JOIN public.invoices i ON i.ticket_id = t.id
    WHERE t.id = of_ticket
    GROUP BY t.id;
    IF whole OR (TG_OP = 'DELETE' AND NOT FOUND) THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'a ticket and its invoices break %', TG_NAME
        USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;
