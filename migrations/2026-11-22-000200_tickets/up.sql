-- Operations, tickets, invoices, events and idempotency claims. Constraints make impossible what must never be stored;
-- none of them compares moments of two machines' clocks, which may differ.

-- The vocabulary. Domains, because a table's own checks are read and planned anew by every statement (a third of the cost of
-- opening a ticket); only what compares columns is a check of the table.
CREATE DOMAIN sats AS bigint CONSTRAINT sats_can_exist CHECK (VALUE BETWEEN 1 AND 2100000000000000);
CREATE DOMAIN ticket_status AS text CONSTRAINT ticket_status_is_a_word CHECK (
    VALUE IN ('pending', 'paid', 'processing', 'completed', 'expired', 'cancelled', 'refund_due', 'refunded')
);
CREATE DOMAIN invoice_status AS text CONSTRAINT invoice_status_is_a_word CHECK (
    VALUE IN ('open', 'expired', 'withdrawn', 'paid', 'paid_late', 'paid_after_cancel', 'paid_surplus')
);
CREATE DOMAIN event_kind AS text CONSTRAINT event_kind_is_a_word CHECK (
    VALUE IN (
        'ticket.opened', 'ticket.invoice_issued', 'ticket.paid', 'ticket.expired', 'ticket.cancelled',
        'ticket.refund_due', 'ticket.refunded', 'ticket.processing', 'ticket.completed'
    )
);
CREATE DOMAIN sha256_hash AS bytea CONSTRAINT sha256_hash_length CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN provider_id AS text CONSTRAINT provider_id_length CHECK (octet_length(VALUE) BETWEEN 1 AND 512);
CREATE DOMAIN bolt11_text AS text CONSTRAINT bolt11_text_length CHECK (octet_length(VALUE) BETWEEN 1 AND 8192);
-- Quoted: a word of the grammar since PostgreSQL 16.
CREATE DOMAIN "json_object" AS jsonb CONSTRAINT json_object_is_one CHECK (jsonb_typeof(VALUE) = 'object');
CREATE DOMAIN row_version AS bigint CONSTRAINT row_version_counts_from_one CHECK (VALUE >= 1);
CREATE DOMAIN place AS integer CONSTRAINT place_counts_from_one CHECK (VALUE >= 1);

CREATE TABLE operations (
    id          integer PRIMARY KEY,
    name        text    NOT NULL CONSTRAINT operations_name_unique UNIQUE,
    description text    NOT NULL,
    price_sats  sats    NOT NULL,
    form_schema jsonb   NOT NULL,
    active      boolean NOT NULL DEFAULT true,
    CONSTRAINT operations_name_form CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    CONSTRAINT operations_form_is_of_an_object CHECK (form_schema ->> 'type' = 'object' IS TRUE)
);

CREATE TABLE tickets (
    id             uuid           PRIMARY KEY,
    user_id        uuid           NOT NULL REFERENCES users (id),
    operation_id   integer        NOT NULL REFERENCES operations (id),
    operation_name text           NOT NULL,
    amount_sats    sats           NOT NULL,
    form_data      "json_object"  NOT NULL,
    status         ticket_status  NOT NULL,
    version        row_version    NOT NULL,
    created_at     timestamptz    NOT NULL,
    updated_at     timestamptz    NOT NULL,
    cancelled_at   timestamptz,
    processing_at  timestamptz,
    completed_at   timestamptz,
    -- Of the invoice to show, and of the payment that counts: for lists, which do not read invoices.
    expires_at     timestamptz    NOT NULL,
    paid_at        timestamptz,
    CONSTRAINT tickets_paid_means_when CHECK (
        (paid_at IS NOT NULL) = (status IN ('paid', 'processing', 'completed'))
    ),
    CONSTRAINT tickets_processing_means_when CHECK (
        (processing_at IS NOT NULL) = (status IN ('processing', 'completed'))
    ),
    CONSTRAINT tickets_completed_means_when CHECK ((completed_at IS NOT NULL) = (status = 'completed')),
    CONSTRAINT tickets_cancelled_means_when CHECK (status <> 'cancelled' OR cancelled_at IS NOT NULL),
    CONSTRAINT tickets_cancelled_waits_for_nothing CHECK (
        cancelled_at IS NULL OR status NOT IN ('pending', 'expired')
    ),
    -- What invoices and events refer to: whose the ticket is, what it costs and what for is one fact, stored once.
    CONSTRAINT tickets_identity UNIQUE (id, user_id, amount_sats),
    CONSTRAINT tickets_order UNIQUE (id, user_id, amount_sats, operation_id)
);
CREATE INDEX tickets_newest_first ON tickets (user_id, created_at DESC, id DESC);
CREATE INDEX tickets_newest_first_by_status ON tickets (user_id, status, created_at DESC, id DESC);
CREATE INDEX tickets_operation_id ON tickets (operation_id);

CREATE TABLE invoices (
    payment_hash        sha256_hash    PRIMARY KEY,
    ticket_id           uuid           NOT NULL,
    user_id             uuid           NOT NULL,
    amount_sats         sats           NOT NULL,
    -- The place among the ticket's invoices, from 1: their order is not left to clocks.
    ordinal             place          NOT NULL,
    provider_invoice_id provider_id    NOT NULL CONSTRAINT invoices_provider_invoice_id_unique UNIQUE,
    bolt11              bolt11_text    NOT NULL,
    issued_at           timestamptz    NOT NULL,
    expires_at          timestamptz    NOT NULL,
    status              invoice_status NOT NULL,
    paid_at             timestamptz,
    preimage            bytea,
    refunded_at         timestamptz,
    -- Until then one worker asks the provider about it and no other does.
    leased_until        timestamptz,
    -- An invoice of another citizen's ticket, or at another price, cannot be stored.
    CONSTRAINT invoices_ticket FOREIGN KEY (ticket_id, user_id, amount_sats)
        REFERENCES tickets (id, user_id, amount_sats),
    CONSTRAINT invoices_ordinal_unique UNIQUE (ticket_id, ordinal),
    -- What events and claims refer to: an invoice of this very ticket, of this very citizen.
    CONSTRAINT invoices_identity UNIQUE (ticket_id, payment_hash, user_id),
    CONSTRAINT invoices_expire_after_their_issue CHECK (expires_at > issued_at),
    CONSTRAINT invoices_money_means_when CHECK (
        (paid_at IS NOT NULL) = (status IN ('paid', 'paid_late', 'paid_after_cancel', 'paid_surplus'))
    ),
    CONSTRAINT invoices_paid_after_their_issue CHECK (paid_at >= issued_at),
    CONSTRAINT invoices_paid_means_in_time CHECK (status <> 'paid' OR paid_at <= expires_at),
    -- A late payment that went back stays late, also when an earlier moment of it becomes known.
    CONSTRAINT invoices_late_means_late CHECK (
        status <> 'paid_late' OR paid_at > expires_at OR refunded_at IS NOT NULL
    ),
    CONSTRAINT invoices_refund_needs_money CHECK (refunded_at IS NULL OR paid_at IS NOT NULL),
    CONSTRAINT invoices_payment_that_counts_is_kept CHECK (refunded_at IS NULL OR status <> 'paid'),
    CONSTRAINT invoices_preimage_is_the_key CHECK (preimage IS NULL OR sha256(preimage) = payment_hash),
    CONSTRAINT invoices_preimage_proves_payment CHECK (preimage IS NULL OR paid_at IS NOT NULL)
);
CREATE UNIQUE INDEX invoices_one_open ON invoices (ticket_id) WHERE status = 'open';
CREATE UNIQUE INDEX invoices_one_paid ON invoices (ticket_id) WHERE status = 'paid';
CREATE INDEX invoices_due ON invoices (expires_at) WHERE status = 'open';

-- Events, committed with the change they tell of. They carry no form data.
CREATE TABLE outbox (
    id           uuid           PRIMARY KEY,
    -- The order of writing, roughly: a transaction may commit after one with a higher number.
    position     bigint         NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind         event_kind     NOT NULL,
    happened_at  timestamptz    NOT NULL,
    ticket_id    uuid           NOT NULL,
    user_id      uuid           NOT NULL,
    amount_sats  sats           NOT NULL,
    operation_id integer        NOT NULL,
    status       ticket_status  NOT NULL,
    version      row_version    NOT NULL,
    payment_hash sha256_hash,
    CONSTRAINT outbox_ticket FOREIGN KEY (ticket_id, user_id, amount_sats, operation_id)
        REFERENCES tickets (id, user_id, amount_sats, operation_id),
    CONSTRAINT outbox_invoice FOREIGN KEY (ticket_id, payment_hash, user_id)
        REFERENCES invoices (ticket_id, payment_hash, user_id)
);
CREATE INDEX outbox_ticket_id ON outbox (ticket_id, position);
CREATE UNIQUE INDEX outbox_opened_once ON outbox (ticket_id) WHERE kind = 'ticket.opened';
CREATE UNIQUE INDEX outbox_paid_once ON outbox (ticket_id) WHERE kind = 'ticket.paid';

CREATE TABLE idempotency_claims (
    user_id       uuid        NOT NULL REFERENCES users (id),
    route         text        NOT NULL,
    key           text        NOT NULL,
    fingerprint   sha256_hash NOT NULL,
    subject       uuid        NOT NULL,
    requested_at  timestamptz NOT NULL,
    claimed_until timestamptz NOT NULL,
    touched_at    timestamptz NOT NULL,
    -- The result, once there is one.
    ticket_id     uuid,
    payment_hash  sha256_hash,
    PRIMARY KEY (user_id, route, key),
    CONSTRAINT idempotency_claims_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_claims_route_length CHECK (char_length(route) BETWEEN 1 AND 100),
    CONSTRAINT idempotency_claims_whole_result CHECK ((ticket_id IS NULL) = (payment_hash IS NULL)),
    -- A result is an invoice of the claimant's own, or the replay would show somebody else's.
    CONSTRAINT idempotency_claims_result FOREIGN KEY (user_id, ticket_id, payment_hash)
        REFERENCES invoices (user_id, ticket_id, payment_hash)
);
CREATE INDEX idempotency_claims_touched_at ON idempotency_claims (touched_at);

-- Changes that must never happen, whoever makes them.
CREATE TRIGGER tickets_version_counts_on BEFORE UPDATE ON tickets
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1) EXECUTE FUNCTION refuse();
CREATE TRIGGER invoices_payment_stays_known BEFORE UPDATE ON invoices
    FOR EACH ROW WHEN (
        (OLD.paid_at IS NOT NULL AND NEW.paid_at IS NULL)
        OR (OLD.preimage IS NOT NULL AND NEW.preimage IS NULL)
        OR (OLD.refunded_at IS NOT NULL AND NEW.refunded_at IS NULL)
    ) EXECUTE FUNCTION refuse();
CREATE TRIGGER invoices_never_open_again BEFORE UPDATE ON invoices
    FOR EACH ROW WHEN (NEW.status = 'open' AND OLD.status <> 'open') EXECUTE FUNCTION refuse();
CREATE TRIGGER idempotency_claims_result_stays BEFORE UPDATE ON idempotency_claims
    FOR EACH ROW WHEN (
        OLD.ticket_id IS NOT NULL
        AND (NEW.ticket_id IS DISTINCT FROM OLD.ticket_id OR NEW.payment_hash IS DISTINCT FROM OLD.payment_hash)
    ) EXECUTE FUNCTION refuse();

-- What must hold between a ticket and its invoices when a transaction ends: there is an invoice, and the ticket was paid
-- when the one invoice was that is `paid` (invoices_one_paid), or neither was. It sees what its transaction sees: who
-- changes a ticket and then takes another identity, under which it is not seen, is refused as well.
CREATE FUNCTION ticket_is_whole() RETURNS trigger
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
CREATE CONSTRAINT TRIGGER tickets_opened_whole AFTER INSERT ON tickets DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ticket_is_whole();
CREATE CONSTRAINT TRIGGER tickets_stay_whole AFTER UPDATE ON tickets DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.paid_at IS DISTINCT FROM OLD.paid_at) EXECUTE FUNCTION ticket_is_whole();
CREATE CONSTRAINT TRIGGER invoices_added_to_whole AFTER INSERT ON invoices DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.status = 'paid') EXECUTE FUNCTION ticket_is_whole();
CREATE CONSTRAINT TRIGGER invoices_leave_whole AFTER UPDATE ON invoices DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (
        (NEW.status = 'paid') <> (OLD.status = 'paid')
        OR (NEW.status = 'paid' AND NEW.paid_at IS DISTINCT FROM OLD.paid_at)
    ) EXECUTE FUNCTION ticket_is_whole();
CREATE CONSTRAINT TRIGGER invoices_removed_from_whole AFTER DELETE ON invoices DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ticket_is_whole();

ALTER TABLE tickets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency_claims ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tickets_own ON tickets TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY invoices_own ON invoices TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY outbox_own ON outbox TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY idempotency_claims_own ON idempotency_claims TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);

CREATE POLICY tickets_office ON tickets TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY invoices_office ON invoices TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY outbox_office ON outbox TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY idempotency_claims_office ON idempotency_claims TO guiche_worker USING (true) WITH CHECK (true);

-- What a ticket is about never changes: whose it is, for what, at what price, with which form.
GRANT SELECT ON operations TO guiche_app, guiche_worker;
GRANT SELECT, INSERT ON tickets, invoices, outbox TO guiche_app;
-- The office opens no tickets. Invoices and events it may have to add when it saves one.
GRANT SELECT ON tickets TO guiche_worker;
GRANT SELECT, INSERT ON invoices, outbox TO guiche_worker;
GRANT UPDATE (status, version, updated_at, cancelled_at, processing_at, completed_at, expires_at, paid_at)
    ON tickets TO guiche_app, guiche_worker;
GRANT UPDATE (status, paid_at, preimage, refunded_at) ON invoices TO guiche_app, guiche_worker;
GRANT UPDATE (leased_until) ON invoices TO guiche_worker;
GRANT SELECT, INSERT, DELETE ON idempotency_claims TO guiche_app;
GRANT UPDATE (fingerprint, subject, requested_at, claimed_until, touched_at, ticket_id, payment_hash)
    ON idempotency_claims TO guiche_app;
GRANT SELECT, DELETE ON idempotency_claims TO guiche_worker;
GRANT UPDATE (ticket_id, payment_hash) ON idempotency_claims TO guiche_worker;

-- A ticket as it is read: one row per invoice. With the reader's rights, so that row-level security is theirs.
CREATE VIEW ticket_readings WITH (security_invoker = true) AS
SELECT
    t.id, t.user_id, t.operation_id, t.operation_name, t.amount_sats, t.form_data, t.status, t.version,
    t.created_at, t.updated_at, t.cancelled_at, t.processing_at, t.completed_at,
    i.payment_hash, i.ordinal, i.provider_invoice_id, i.bolt11, i.amount_sats AS invoice_amount_sats, i.issued_at,
    i.expires_at, i.status AS invoice_status, i.paid_at, i.preimage, i.refunded_at
FROM tickets t JOIN invoices i ON i.ticket_id = t.id;
GRANT SELECT ON ticket_readings TO guiche_app, guiche_worker;

-- Forgets claims last touched before the given moment, so many at most, and says how many. One that was taken over while
-- this waited for it is not among them any more.
CREATE FUNCTION prune_claims(p_before timestamptz, p_limit bigint, OUT pruned bigint)
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idempotency_claims c
    WHERE c.touched_at < p_before AND (c.user_id, c.route, c.key) IN (
        SELECT o.user_id, o.route, o.key FROM idempotency_claims o
        WHERE o.touched_at < p_before ORDER BY o.touched_at LIMIT p_limit
    );
    GET DIAGNOSTICS pruned = ROW_COUNT;
END
$$;
GRANT EXECUTE ON FUNCTION prune_claims TO guiche_worker;
