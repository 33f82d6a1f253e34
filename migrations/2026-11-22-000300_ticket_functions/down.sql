DROP FUNCTION
    claim_due_invoices, complete_key, release_key, find_done, claim_key, push_events, save_ticket, insert_ticket,
    open_ticket, add_invoices, list_tickets, ticket_of, lock_ticket, find_ticket;
