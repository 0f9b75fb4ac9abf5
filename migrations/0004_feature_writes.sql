-- compatible-with: 0002_notes

-- What routeservice.v1.Features keeps of a feature. Programs that know nothing of it, and people with psql, write rows as before: the defaults
-- and the trigger fill these columns. None of this rewrites the table.

-- Numbers, each given once, also after a feature was deleted. Everybody who may insert a feature needs it.
CREATE SEQUENCE feature_revision CACHE 100;
GRANT USAGE ON SEQUENCE feature_revision TO PUBLIC;

-- The features that are there have the revision 0, and the time of this migration.
ALTER TABLE feature
    ADD COLUMN revision bigint NOT NULL DEFAULT 0,
    ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN updated_at timestamptz;
ALTER TABLE feature ALTER COLUMN revision SET DEFAULT nextval('feature_revision');

COMMENT ON COLUMN feature.revision IS 'Of the last write; the etag.';
COMMENT ON COLUMN feature.updated_at IS 'Null: the feature is as it was created.';
-- Beside the features, whose rows stay as narrow as the classic calls read them. Whoever writes properties holds the lock of the feature's row.
CREATE TABLE feature_properties
(
    latitude   integer NOT NULL,
    longitude  integer NOT NULL,
    properties jsonb NOT NULL,
    PRIMARY KEY (latitude, longitude)
);

COMMENT ON TABLE feature_properties IS 'Of the features that have any.';

-- Who may do something to features may do it to their properties: a role that was set up before goes on deleting features.
DO $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role, privilege_type
        FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
        WHERE pg_class.oid = 'feature'::regclass AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
    LOOP
        EXECUTE format('GRANT %s ON feature_properties TO %s', allowed.privilege_type, allowed.role);
    END LOOP;
END
$$;

-- By statement, since an import deletes a million rows with one.
CREATE FUNCTION feature_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'DELETE FROM %I.feature_properties AS p USING gone WHERE p.latitude = gone.latitude AND p.longitude = gone.longitude',
        TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE TRIGGER feature_deleted AFTER DELETE ON feature
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION feature_deleted();

CREATE FUNCTION feature_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('TRUNCATE %I.feature_properties', TG_TABLE_SCHEMA);
    RETURN NULL;
END
$$;

CREATE TRIGGER feature_truncated AFTER TRUNCATE ON feature FOR EACH STATEMENT EXECUTE FUNCTION feature_truncated();

CREATE FUNCTION feature_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.revision := nextval(format('%I.feature_revision', TG_TABLE_SCHEMA)::regclass);
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- For writers that do not give a revision.
CREATE TRIGGER feature_written BEFORE UPDATE ON feature
    FOR EACH ROW WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION feature_written();

-- The writes that were made under an id of their caller, so that none is made twice.
CREATE TABLE feature_request
(
    request_id   uuid PRIMARY KEY,
    fingerprint  bigint NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX feature_request_time ON feature_request (requested_at);

COMMENT ON COLUMN feature_request.fingerprint IS 'What the write was, so that another with the same id is refused.';
