DROP VIEW lightning_setup_readings;
DROP TABLE
    lightning_retired_addresses, lightning_deliveries, lightning_address_invoices, lightning_setup_steps,
    lightning_addresses;
DROP DOMAIN msats, setup_step_state, setup_step, setup_goal, setup_status, lightning_address;
