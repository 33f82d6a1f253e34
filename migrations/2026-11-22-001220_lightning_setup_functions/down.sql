SET LOCAL ROLE guiche_auth;
DROP FUNCTION begin_lightning_setup, tear_down_lightning_setup;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION become FROM guiche_auth;
DROP FUNCTION
    repair_lightning_setup, adopt_lightning_orphan,
    resolve_lightning_orphan, rest_lightning_setup, close_lightning_setup, end_lightning_setup,
    complete_lightning_setup, roll_back_lightning_setup, record_lightning_setup, hold_lightning_setup,
    claim_lightning_setup, claim_lightning_setups, list_lightning_setups, find_lightning_setup, lightning_fault_text;
