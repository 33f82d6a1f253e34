-- Refused once there is such a row: the trail only grows.
DROP FUNCTION note_lightning_seed_shown;
ALTER DOMAIN setup_operation DROP CONSTRAINT setup_operation_is_a_word;
ALTER DOMAIN setup_operation ADD CONSTRAINT setup_operation_is_a_word CHECK (
    VALUE IN (
        'setup_begun', 'setup_completed', 'setup_failed', 'setup_needs_attention', 'teardown_begun',
        'teardown_completed', 'repaired', 'adopted', 'resolved'
    )
);
