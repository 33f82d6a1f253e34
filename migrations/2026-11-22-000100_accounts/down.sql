DROP FUNCTION
    prune_sessions, change_password, revoke_family_of, rotate_token, open_session, credentials_of, account_of, register,
    become;
SET LOCAL ROLE guiche_auth;
DROP FUNCTION session_by_token_hash, credentials_by_email;
RESET ROLE;
DROP TABLE refresh_tokens, sessions, users;
DROP FUNCTION refuse;
REVOKE ALL ON SCHEMA public FROM guiche_app, guiche_worker, guiche_auth;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
DO $$
BEGIN
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM guiche_app, guiche_worker', current_database());
END
$$;
