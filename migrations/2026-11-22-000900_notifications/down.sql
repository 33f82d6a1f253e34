DROP TRIGGER users_end_of_sessions_is_told ON users;
DROP TRIGGER tickets_changes_are_told ON tickets;
DROP FUNCTION tell_sessions_ended, tell_ticket_changed;
