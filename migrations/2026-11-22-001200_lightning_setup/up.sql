-- Lightning addresses and their setups, the journal of what was made outside, and what the addresses' stores tell us.

CREATE DOMAIN lightning_address AS text CONSTRAINT lightning_address_form CHECK (
    VALUE ~ '^[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]@[a-z0-9-]+(\.[a-z0-9-]+)*$' AND octet_length(VALUE) <= 286
);
CREATE DOMAIN setup_status AS text CONSTRAINT setup_status_is_a_word CHECK (
    VALUE IN ('in_progress', 'fully_configured', 'rolling_back', 'failed', 'needs_attention', 'removed')
);
CREATE DOMAIN setup_goal AS text CONSTRAINT setup_goal_is_a_word CHECK (VALUE IN ('set_up', 'tear_down'));
CREATE DOMAIN setup_step AS text CONSTRAINT setup_step_is_a_word CHECK (
    VALUE IN (
        'node_created', 'seed_stored', 'wallet_initialised', 'macaroon_baked', 'store_created', 'node_connected',
        'webhook_registered'
    )
);
CREATE DOMAIN setup_step_state AS text CONSTRAINT setup_step_state_is_a_word CHECK (
    VALUE IN ('intended', 'done', 'undoing', 'undone', 'orphaned')
);
CREATE DOMAIN msats AS bigint CONSTRAINT msats_can_exist CHECK (VALUE BETWEEN 1 AND 2100000000000000000);

-- One address of one person, and how its setup stands, whatever number of attempts it takes.
CREATE TABLE lightning_addresses (
    id                       uuid              PRIMARY KEY,
    user_id                  uuid              NOT NULL REFERENCES users (id),
    address                  lightning_address NOT NULL,
    status                   setup_status      NOT NULL,
    goal                     setup_goal        NOT NULL,
    attempt                  place             NOT NULL,
    fault                    "json_object",
    voltage_node_id          provider_id,
    btcpay_store_id          provider_id,
    -- Sealed; see kernel::SecretVault.
    encrypted_voltage_config text,
    encrypted_btcpay_config  text,
    active                   boolean           NOT NULL,
    -- Whether the address is kept for this person. What was ever active is, for ever.
    reserved                 boolean           NOT NULL,
    last_sync_at             timestamptz,
    begun_at                 timestamptz       NOT NULL,
    activated_at             timestamptz,
    due_at                   timestamptz,
    -- Counts the claims: the holder of an older one has lost it.
    run                      bigint            NOT NULL DEFAULT 0,
    leased_until             timestamptz,
    created_at               timestamptz       NOT NULL,
    updated_at               timestamptz       NOT NULL,
    -- What the journal and the invoices refer to: whose the setup is, is one fact, stored once.
    CONSTRAINT lightning_addresses_identity UNIQUE (id, user_id),
    CONSTRAINT lightning_addresses_own UNIQUE (user_id, address),
    CONSTRAINT lightning_addresses_active_means_configured CHECK (active = (status = 'fully_configured')),
    CONSTRAINT lightning_addresses_configured_means_when CHECK (status <> 'fully_configured' OR activated_at IS NOT NULL),
    CONSTRAINT lightning_addresses_running_is_due CHECK (
        (due_at IS NOT NULL) = (status IN ('in_progress', 'rolling_back'))
    ),
    CONSTRAINT lightning_addresses_only_running_is_leased CHECK (leased_until IS NULL OR due_at IS NOT NULL),
    CONSTRAINT lightning_addresses_goal_fits CHECK (
        goal = CASE status
            WHEN 'in_progress' THEN 'set_up' WHEN 'fully_configured' THEN 'set_up' WHEN 'failed' THEN 'set_up'
            WHEN 'removed' THEN 'tear_down' ELSE goal
        END
    ),
    CONSTRAINT lightning_addresses_used_is_reserved CHECK (
        reserved OR (activated_at IS NULL AND status NOT IN ('in_progress', 'fully_configured'))
    ),
    CONSTRAINT lightning_addresses_runs_count_up CHECK (run >= 0),
    CONSTRAINT lightning_addresses_voltage_config_is_sealed CHECK (encrypted_voltage_config LIKE 'v1._%._%'),
    CONSTRAINT lightning_addresses_btcpay_config_is_sealed CHECK (encrypted_btcpay_config LIKE 'v1._%._%')
);
-- One person to an address, one active address to a person, and one setup under way.
CREATE UNIQUE INDEX lightning_addresses_one_owner ON lightning_addresses (address) WHERE reserved;
CREATE UNIQUE INDEX lightning_addresses_one_active ON lightning_addresses (user_id) WHERE active;
CREATE UNIQUE INDEX lightning_addresses_one_running ON lightning_addresses (user_id)
    WHERE status IN ('in_progress', 'rolling_back');
CREATE INDEX lightning_addresses_newest_first ON lightning_addresses (user_id, begun_at DESC, id DESC);
CREATE INDEX lightning_addresses_due ON lightning_addresses (due_at, id) WHERE due_at IS NOT NULL;

-- The journal: how far each step of each attempt got.
CREATE TABLE lightning_setup_steps (
    -- Made of what it identifies; for whoever goes through the sealed values.
    id                   uuid             GENERATED ALWAYS AS (
        md5(lightning_address_id::text || ' ' || attempt::text || ' ' || step::text)::uuid
    ) STORED,
    lightning_address_id uuid             NOT NULL,
    user_id              uuid             NOT NULL,
    attempt              place            NOT NULL,
    step                 setup_step       NOT NULL,
    state                setup_step_state NOT NULL,
    resource             provider_id,
    -- Sealed; see kernel::SecretVault.
    sealed               text,
    tries                integer          NOT NULL,
    since                timestamptz      NOT NULL,
    PRIMARY KEY (lightning_address_id, attempt, step),
    CONSTRAINT lightning_setup_steps_id_unique UNIQUE (id),
    CONSTRAINT lightning_setup_steps_setup FOREIGN KEY (lightning_address_id, user_id)
        REFERENCES lightning_addresses (id, user_id),
    CONSTRAINT lightning_setup_steps_tries_count_up CHECK (tries BETWEEN 0 AND 65535),
    CONSTRAINT lightning_setup_steps_sealed_is_sealed CHECK (sealed LIKE 'v1._%._%')
);

CREATE TABLE lightning_address_invoices (
    payment_hash         sha256_hash PRIMARY KEY,
    lightning_address_id uuid        NOT NULL,
    user_id              uuid        NOT NULL,
    store_id             provider_id NOT NULL,
    invoice_id           provider_id NOT NULL,
    bolt11               bolt11_text NOT NULL,
    amount_msat          msats       NOT NULL,
    comment              text,
    issued_at            timestamptz NOT NULL,
    expires_at           timestamptz NOT NULL,
    paid_at              timestamptz,
    CONSTRAINT lightning_address_invoices_setup FOREIGN KEY (lightning_address_id, user_id)
        REFERENCES lightning_addresses (id, user_id),
    CONSTRAINT lightning_address_invoices_comment_length CHECK (char_length(comment) <= 2000)
);
CREATE INDEX lightning_address_invoices_setup_id ON lightning_address_invoices (lightning_address_id);
CREATE INDEX lightning_address_invoices_unpaid ON lightning_address_invoices (expires_at) WHERE paid_at IS NULL;

-- What a store sent us, under its own id: it sends everything until it is heard.
CREATE TABLE lightning_deliveries (
    lightning_address_id uuid        NOT NULL REFERENCES lightning_addresses (id) ON DELETE CASCADE,
    id                   text        NOT NULL,
    received_at          timestamptz NOT NULL,
    PRIMARY KEY (lightning_address_id, id),
    CONSTRAINT lightning_deliveries_id_length CHECK (char_length(id) BETWEEN 1 AND 255)
);
CREATE INDEX lightning_deliveries_received_at ON lightning_deliveries (received_at);

-- The addresses of people who were forgotten, as hashes: whoever still pays there must not pay somebody else.
CREATE TABLE lightning_retired_addresses (
    address_hash sha256_hash PRIMARY KEY
);

-- Changes that must never happen, whoever makes them.
CREATE TRIGGER lightning_addresses_stay_whose_they_are BEFORE UPDATE ON lightning_addresses
    FOR EACH ROW WHEN (
        NEW.user_id <> OLD.user_id OR NEW.address <> OLD.address
        OR (OLD.activated_at IS NOT NULL AND NEW.activated_at IS DISTINCT FROM OLD.activated_at)
    ) EXECUTE FUNCTION refuse();
CREATE TRIGGER lightning_addresses_runs_never_fall BEFORE UPDATE ON lightning_addresses
    FOR EACH ROW WHEN (NEW.run < OLD.run OR NEW.attempt < OLD.attempt) EXECUTE FUNCTION refuse();
-- A seed outlives its node.
CREATE TRIGGER lightning_setup_steps_sealed_stays BEFORE UPDATE ON lightning_setup_steps
    FOR EACH ROW WHEN (OLD.sealed IS NOT NULL AND NEW.sealed IS NULL) EXECUTE FUNCTION refuse();
CREATE TRIGGER lightning_address_invoices_stay_paid BEFORE UPDATE ON lightning_address_invoices
    FOR EACH ROW WHEN (OLD.paid_at IS NOT NULL AND NEW.paid_at IS DISTINCT FROM OLD.paid_at) EXECUTE FUNCTION refuse();

ALTER TABLE lightning_addresses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lightning_setup_steps ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lightning_address_invoices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lightning_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE lightning_retired_addresses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY lightning_addresses_own ON lightning_addresses TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY lightning_setup_steps_own ON lightning_setup_steps TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY lightning_address_invoices_own ON lightning_address_invoices TO guiche_app
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);

CREATE POLICY lightning_addresses_office ON lightning_addresses TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY lightning_setup_steps_office ON lightning_setup_steps TO guiche_worker USING (true) WITH CHECK (true);
CREATE POLICY lightning_address_invoices_office ON lightning_address_invoices TO guiche_worker
    USING (true) WITH CHECK (true);
CREATE POLICY lightning_deliveries_office ON lightning_deliveries TO guiche_worker USING (true) WITH CHECK (true);

-- guiche_auth decides whose a name is: it sees all addresses. It changes its citizen's own rows; of others', it can end
-- the reservation of what was never used, and nothing else.
CREATE POLICY lightning_addresses_names ON lightning_addresses FOR SELECT TO guiche_auth USING (true);
CREATE POLICY lightning_addresses_begun ON lightning_addresses FOR INSERT TO guiche_auth
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY lightning_addresses_changed ON lightning_addresses FOR UPDATE TO guiche_auth
    USING (
        user_id = nullif(current_setting('app.user_id', true), '')::uuid
        OR (reserved AND activated_at IS NULL AND status IN ('failed', 'removed'))
    )
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid OR NOT reserved);
CREATE POLICY lightning_setup_steps_seen ON lightning_setup_steps FOR SELECT TO guiche_auth USING (true);
CREATE POLICY lightning_setup_steps_changed ON lightning_setup_steps FOR UPDATE TO guiche_auth
    USING (user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY lightning_retired_addresses_seen ON lightning_retired_addresses FOR SELECT TO guiche_auth USING (true);

-- The login that serves reads its citizen's rows. It writes none: what it may do to them are two functions.
GRANT SELECT ON lightning_addresses, lightning_setup_steps, lightning_address_invoices TO guiche_app;
GRANT SELECT ON lightning_addresses, lightning_setup_steps, lightning_retired_addresses TO guiche_auth;
GRANT INSERT ON lightning_addresses TO guiche_auth;
GRANT UPDATE (
    status, goal, attempt, fault, voltage_node_id, btcpay_store_id, encrypted_voltage_config, encrypted_btcpay_config,
    active, reserved, begun_at, due_at, run, leased_until, updated_at
) ON lightning_addresses TO guiche_auth;
GRANT UPDATE (state, tries, since) ON lightning_setup_steps TO guiche_auth;
GRANT SELECT ON lightning_addresses TO guiche_worker;
GRANT UPDATE (
    status, fault, voltage_node_id, btcpay_store_id, encrypted_voltage_config, encrypted_btcpay_config, active,
    last_sync_at, activated_at, due_at, run, leased_until, updated_at
) ON lightning_addresses TO guiche_worker;
GRANT SELECT, INSERT ON lightning_setup_steps, lightning_address_invoices, lightning_deliveries TO guiche_worker;
GRANT UPDATE (state, resource, sealed, tries, since) ON lightning_setup_steps TO guiche_worker;
GRANT UPDATE (paid_at), DELETE ON lightning_address_invoices TO guiche_worker;
GRANT DELETE ON lightning_deliveries TO guiche_worker;

-- A setup as it is read: one row per record of its journal, or one without. With the reader's rights.
CREATE VIEW lightning_setup_readings WITH (security_invoker = true) AS
SELECT
    a.id, a.user_id, a.address::text AS address, a.status::text AS status, a.goal::text AS goal,
    a.attempt::integer AS attempt, a.fault::jsonb AS fault, a.voltage_node_id::text AS voltage_node_id,
    a.btcpay_store_id::text AS btcpay_store_id, a.encrypted_voltage_config, a.encrypted_btcpay_config, a.begun_at,
    a.activated_at, a.created_at, a.updated_at, a.run,
    s.attempt::integer AS step_attempt, s.step::text AS step, s.state::text AS step_state, s.resource::text AS resource,
    s.sealed, s.tries, s.since
FROM lightning_addresses a LEFT JOIN lightning_setup_steps s ON s.lightning_address_id = a.id;
GRANT SELECT ON lightning_setup_readings TO guiche_app, guiche_auth, guiche_worker;
