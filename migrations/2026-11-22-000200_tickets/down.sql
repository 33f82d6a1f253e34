DROP VIEW ticket_readings;
DROP TABLE idempotency_claims, outbox, invoices, tickets, operations;
