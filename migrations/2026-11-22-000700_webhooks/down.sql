DROP FUNCTION
    webhook_standing, prune_deliveries, redeliver_event, disable_endpoint, record_delivery, claim_deliveries,
    fan_out_events;
REVOKE UPDATE (fanned_out) ON outbox FROM guiche_worker;
ALTER TABLE outbox DROP COLUMN fanned_out;
DROP TABLE webhook_deliveries, webhook_endpoints;
DROP DOMAIN delivery_state;
