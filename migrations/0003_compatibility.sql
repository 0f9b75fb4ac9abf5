-- compatible-with: 0002_notes

-- The earliest migration whose programs run on the database after this one; null for none but this migration's own programs and later ones.
-- A program accepts later migrations as far as they name its newest migration or an earlier one. A migration states it in its first line.
ALTER TABLE schema_migration ADD COLUMN compatible_with text;

COMMENT ON COLUMN schema_migration.compatible_with IS 'Programs with this migration or a later one run on the database.';
