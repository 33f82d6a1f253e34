DROP VIEW ticket_readings;
DROP TABLE idempotency_claims, outbox, invoices, tickets, operations;
DROP FUNCTION prune_claims, ticket_is_whole;
DROP DOMAIN
    place, row_version, "json_object", bolt11_text, provider_id, sha256_hash, event_kind, invoice_status, ticket_status, sats;
