-- Forgetting a citizen who has, or had, a Lightning address. A node may hold their money: as long as something may exist
-- outside, not even the owner can delete what leads there. The audit trail stays; the address is nobody's ever again.

CREATE POLICY lightning_addresses_forgetting_seen ON lightning_addresses FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY lightning_addresses_forgetting_locked ON lightning_addresses FOR UPDATE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid) WITH CHECK (false);
CREATE POLICY lightning_addresses_forgetting ON lightning_addresses FOR DELETE TO guiche_owner
    USING (
        user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid AND status IN ('failed', 'removed')
    );
CREATE POLICY lightning_setup_steps_forgetting_seen ON lightning_setup_steps FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY lightning_setup_steps_forgetting ON lightning_setup_steps FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY lightning_address_invoices_forgetting_seen ON lightning_address_invoices FOR SELECT TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY lightning_address_invoices_forgetting ON lightning_address_invoices FOR DELETE TO guiche_owner
    USING (user_id = nullif(current_setting('app.forget_user_id', true), '')::uuid);
CREATE POLICY lightning_retired_addresses_forgetting ON lightning_retired_addresses FOR INSERT TO guiche_owner
    WITH CHECK (true);

-- Inside the transaction that `begin_forgetting` began: every Lightning setup of the citizen, locked.
CREATE FUNCTION lightning_setups_to_forget(p_user uuid) RETURNS TABLE (address text, status text)
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.address::text, a.status::text FROM lightning_addresses a WHERE a.user_id = p_user ORDER BY a.id FOR UPDATE
$$;

-- Inside the same transaction, before the rest of the citizen: forgets their setups, and says how many there were.
CREATE FUNCTION forget_lightning_setups(p_user uuid, OUT setups bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO lightning_retired_addresses (address_hash)
    SELECT sha256(convert_to(a.address::text, 'UTF8')) FROM lightning_addresses a
    WHERE a.user_id = p_user AND a.activated_at IS NOT NULL;
    DELETE FROM lightning_setup_steps s
    WHERE s.lightning_address_id IN (SELECT a.id FROM lightning_addresses a WHERE a.user_id = p_user);
    DELETE FROM lightning_address_invoices i
    WHERE i.lightning_address_id IN (SELECT a.id FROM lightning_addresses a WHERE a.user_id = p_user);
    -- The messages of their stores go with them.
    DELETE FROM lightning_addresses a WHERE a.user_id = p_user;
    GET DIAGNOSTICS setups = ROW_COUNT;
    IF EXISTS (SELECT FROM lightning_addresses a WHERE a.user_id = p_user) THEN
        RAISE EXCEPTION 'something of this citizen may exist outside' USING ERRCODE = 'GU412', CONSTRAINT = 'guiche_conflict';
    END IF;
END
$$;
