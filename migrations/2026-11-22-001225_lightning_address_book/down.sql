SET LOCAL ROLE guiche_auth;
DROP FUNCTION active_lightning_address;
RESET ROLE;
DROP FUNCTION prune_lightning, note_lightning_delivery, keep_lightning_invoice;
