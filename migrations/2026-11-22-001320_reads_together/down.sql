DROP FUNCTION list_tickets_of;
DROP FUNCTION find_tickets;
