SET LOCAL ROLE guiche_auth;
DROP FUNCTION append_lightning_setup_log;
RESET ROLE;
DROP FUNCTION list_lightning_setup_log, lightning_setup_log_link;
DROP TABLE lightning_setup_log_head, lightning_setup_log;
DROP DOMAIN setup_operation;
