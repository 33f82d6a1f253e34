DELETE FROM operations WHERE id = 1;
