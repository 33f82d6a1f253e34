-- Who follows a ticket is told that it changed, and who follows anything that their sessions have ended. A hint: it names
-- a row and says nothing of it, because whoever listens sees every hint, and rows only as their caller may.
--
-- Not when a ticket is opened: nobody can be following it, and a transaction that notifies commits under a lock that the
-- whole cluster shares.
CREATE FUNCTION tell_ticket_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('guiche', 'ticket ' || NEW.id || ' ' || NEW.version);
    RETURN NULL;
END
$$;
CREATE TRIGGER tickets_changes_are_told AFTER UPDATE ON tickets
    FOR EACH ROW EXECUTE FUNCTION tell_ticket_changed();

CREATE FUNCTION tell_sessions_ended() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('guiche', 'user ' || NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER users_end_of_sessions_is_told AFTER UPDATE OF epoch ON users
    FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION tell_sessions_ended();
