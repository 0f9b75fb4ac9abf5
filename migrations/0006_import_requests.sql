-- compatible-with: 0002_notes

-- An import that is sent again is answered with its counts.
ALTER TABLE feature_request ADD COLUMN summary bigint[];

COMMENT ON COLUMN feature_request.summary IS 'Of an import: the records read and superseded, the features overwritten and in all. Else null.';
