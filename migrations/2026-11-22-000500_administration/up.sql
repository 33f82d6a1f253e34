-- What the office's administrator does by hand, as the owner of the tables: offer operations, and forget a citizen. None of
-- it is granted to the logins that serve: a server that was taken over can neither change a price nor delete an account.

-- The number of the new operation, or NULL when the name is taken.
CREATE FUNCTION add_operation(p_name text, p_description text, p_price bigint, p_form jsonb) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    added integer;
BEGIN
    -- Numbers are given one after the other; whoever reads is not held up.
    LOCK TABLE operations IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO operations (id, name, description, price_sats, form_schema)
    SELECT coalesce(max(o.id), 0) + 1, p_name, p_description, p_price, p_form FROM operations o
    ON CONFLICT (name) DO NOTHING
    RETURNING id INTO added;
    RETURN added;
END
$$;

-- The owner is bound by row-level security like everybody. For the length of a transaction it sees one citizen: whoever has
-- the address that is to be forgotten, and then the rows of that account. It may lock and delete them, and change nothing.
CREATE POLICY users_forgetting_seen ON users FOR SELECT TO guiche_owner
    USING (email_key = nullif(current_setting('app.forget_email_key', true), ''));
CREATE POLICY users_forgetting_locked ON users FOR UPDATE TO guiche_owner
    USING (email_key = nullif(current_setting('app.forget_email_key', true), '')) WITH CHECK (false);
CREATE POLICY users_forgetting ON users FOR DELETE TO guiche_owner
    USING (email_key = nullif(current_setting('app.forget_email_key', true), ''));
CREATE POLICY tickets_forgetting_seen ON tickets FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY tickets_forgetting_locked ON tickets FOR UPDATE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid) WITH CHECK (false);
CREATE POLICY tickets_forgetting ON tickets FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY invoices_forgetting_seen ON invoices FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY invoices_forgetting ON invoices FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY outbox_forgetting_seen ON outbox FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY outbox_forgetting ON outbox FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY idempotency_claims_forgetting_seen ON idempotency_claims FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY idempotency_claims_forgetting ON idempotency_claims FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY sessions_forgetting_seen ON sessions FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY sessions_forgetting_own ON sessions FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);

-- Inside a transaction: finds and locks the account, then its tickets. A ticket that is being opened at this moment holds a
-- lock on the account (its foreign key's), so it is waited for and then seen; one that comes later finds no account.
CREATE FUNCTION begin_forgetting(p_email_key text) RETURNS TABLE (user_id uuid)
LANGUAGE plpgsql AS $$
DECLARE
    found_user uuid;
BEGIN
    PERFORM set_config('app.forget_email_key', p_email_key, true);
    SELECT u.id INTO found_user FROM users u WHERE u.email_key = p_email_key FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM set_config('app.forget_user_id', found_user::text, true);
    PERFORM FROM tickets t WHERE t.user_id = found_user ORDER BY t.id FOR UPDATE;
    RETURN QUERY SELECT found_user;
END
$$;

-- Inside the transaction that `begin_forgetting` began: every ticket with its invoices.
CREATE FUNCTION tickets_to_forget(p_user uuid) RETURNS SETOF ticket_readings
LANGUAGE sql AS $$
    SELECT * FROM ticket_readings r WHERE r.user_id = p_user ORDER BY r.id, r.ordinal
$$;

-- Inside the same transaction: forgets the citizen, and says how many rows went.
CREATE FUNCTION forget_user(
    p_user uuid, OUT accounts bigint, OUT sessions bigint, OUT claims bigint, OUT events bigint, OUT invoices bigint,
    OUT tickets bigint
)
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM idempotency_claims c WHERE c.user_id = p_user;
    GET DIAGNOSTICS claims = ROW_COUNT;
    DELETE FROM outbox o WHERE o.user_id = p_user;
    GET DIAGNOSTICS events = ROW_COUNT;
    DELETE FROM public.invoices i WHERE i.user_id = p_user;
    GET DIAGNOSTICS invoices = ROW_COUNT;
    DELETE FROM public.tickets t WHERE t.user_id = p_user;
    GET DIAGNOSTICS tickets = ROW_COUNT;
    -- The refresh tokens go with their sessions.
    DELETE FROM public.sessions s WHERE s.user_id = p_user;
    GET DIAGNOSTICS sessions = ROW_COUNT;
    DELETE FROM users u WHERE u.id = p_user;
    GET DIAGNOSTICS accounts = ROW_COUNT;
END
$$;
