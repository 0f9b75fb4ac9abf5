-- compatible-with: 0002_notes

-- The change log of features: what routeservice.v1.Features.WatchFeatures reads. Triggers write it for whoever changes features, so programs
-- that know nothing of it go on writing as before.

CREATE TABLE feature_change
(
    sequence   bigint PRIMARY KEY,
    changed_at timestamptz NOT NULL,
    latitude   integer NOT NULL,
    longitude  integer NOT NULL,
    kind       smallint NOT NULL CONSTRAINT feature_change_kind_check CHECK (kind BETWEEN 1 AND 4),
    north      integer,
    east       integer
);

COMMENT ON TABLE feature_change IS 'Its last row stays, because the next sequence is one above.';
COMMENT ON COLUMN feature_change.kind IS '1 created, 2 updated, 3 deleted, 4 reset: anything from latitude, longitude to north, east.';

-- The changes of open transactions, a row for each statement. No row is ever committed, so nothing is lost where a crash empties the table.
CREATE UNLOGGED TABLE feature_change_pending
(
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kinds      smallint[] NOT NULL,
    latitudes  integer[] NOT NULL,
    longitudes integer[] NOT NULL,
    north      integer,
    east       integer
);

CREATE FUNCTION feature_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    -- Above this number of rows, a statement is one reset.
    listed CONSTANT integer := 10000;
    rows   integer;
BEGIN
    -- Each query has one good plan, because the plan that is made for a row is used for a million as well.
    IF TG_OP = 'INSERT' THEN
        SELECT count(*) INTO rows FROM (SELECT FROM written LIMIT listed + 1) AS counted;
        IF rows > listed THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes, north, east)
            SELECT ARRAY[4], ARRAY[min(latitude)], ARRAY[min(longitude)], max(latitude), max(longitude) FROM written;
        ELSIF rows > 0 THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes)
            SELECT array_agg(1), array_agg(latitude), array_agg(longitude) FROM written;
        END IF;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) INTO rows FROM (SELECT FROM gone LIMIT listed + 1) AS counted;
        IF rows > listed THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes, north, east)
            SELECT ARRAY[4], ARRAY[min(latitude)], ARRAY[min(longitude)], max(latitude), max(longitude) FROM gone;
        ELSIF rows > 0 THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes)
            SELECT array_agg(3), array_agg(latitude), array_agg(longitude) FROM gone;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        -- A row may have got another key.
        SELECT count(*) INTO rows FROM (SELECT FROM written LIMIT listed + 1) AS counted;
        IF rows > listed THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes, north, east)
            SELECT ARRAY[4], ARRAY[min(latitude)], ARRAY[min(longitude)], max(latitude), max(longitude)
            FROM (SELECT latitude, longitude FROM gone UNION ALL SELECT latitude, longitude FROM written) AS changed;
        ELSIF rows > 0 THEN
            INSERT INTO feature_change_pending (kinds, latitudes, longitudes)
            SELECT array_agg(kind), array_agg(latitude), array_agg(longitude)
            FROM (
                SELECT latitude, longitude, CASE WHEN NOT bool_or(is_there) THEN 3 WHEN bool_and(is_there) THEN 1 ELSE 2 END AS kind
                FROM (
                    SELECT latitude, longitude, false AS is_there FROM gone
                    UNION ALL SELECT latitude, longitude, true FROM written) AS changed
                GROUP BY latitude, longitude) AS places;
        END IF;
    ELSE
        INSERT INTO feature_change_pending (kinds, latitudes, longitudes, north, east)
        VALUES (ARRAY[4], ARRAY[-900000000], ARRAY[-1800000000], 900000000, 1800000000);
    END IF;

    RETURN NULL;
END
$$;

CREATE TRIGGER feature_change_inserted AFTER INSERT ON feature
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION feature_changed();
CREATE TRIGGER feature_change_updated AFTER UPDATE ON feature
    REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION feature_changed();
CREATE TRIGGER feature_change_deleted AFTER DELETE ON feature
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION feature_changed();
CREATE TRIGGER feature_change_truncated AFTER TRUNCATE ON feature
    FOR EACH STATEMENT EXECUTE FUNCTION feature_changed();

-- Gives the changes of a transaction their sequences, when it commits, under a lock that is released when the commit is visible: a reader that has
-- read up to a sequence has seen every lower one. The lock is the last one of a transaction, so two of them never wait for each other. It is no
-- row, because the versions of a row that is updated for each commit pile up while a long transaction keeps VACUUM from removing them.
CREATE FUNCTION feature_change_logged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    -- The letters "RouteChg".
    log_lock CONSTANT bigint := 5940095576300546151;
    head     bigint;
BEGIN
    -- All statements of the transaction are logged with the first. Rows of others are never visible.
    PERFORM FROM feature_change_pending WHERE id = NEW.id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    PERFORM pg_advisory_xact_lock(log_lock);
    SELECT coalesce(max(sequence), 0) INTO head FROM feature_change;
    INSERT INTO feature_change (sequence, changed_at, latitude, longitude, kind, north, east)
    SELECT head + row_number() OVER (ORDER BY id, i), clock_timestamp(), latitude, longitude, kind, north, east
    FROM feature_change_pending
        CROSS JOIN unnest(latitudes, longitudes, kinds) WITH ORDINALITY AS change (latitude, longitude, kind, i)
    WHERE id >= NEW.id;
    DELETE FROM feature_change_pending WHERE id >= NEW.id;
    PERFORM pg_notify('feature_change', '');
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER feature_change_logged AFTER INSERT ON feature_change_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION feature_change_logged();

DO $$
DECLARE
    allowed record;
BEGIN
    -- The functions run with the rights of their owner, so nobody who writes features needs rights on the log; and with these schemas only.
    EXECUTE format('ALTER FUNCTION feature_changed() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION feature_change_logged() SET search_path = pg_catalog, %I, pg_temp', current_schema());

    -- Who may read features may read their log, and who may delete them may remove what is old in it.
    FOR allowed IN
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role, privilege_type
        FROM pg_class CROSS JOIN LATERAL aclexplode(relacl)
        WHERE pg_class.oid = 'feature'::regclass AND privilege_type IN ('SELECT', 'DELETE')
    LOOP
        EXECUTE format('GRANT %s ON feature_change TO %s', allowed.privilege_type, allowed.role);
    END LOOP;
END
$$;
