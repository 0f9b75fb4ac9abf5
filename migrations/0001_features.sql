-- Features. The E7 integers are what is kept; the geometry is made from them, so that the two cannot disagree.
CREATE EXTENSION IF NOT EXISTS postgis;

CREATE TABLE feature
(
    latitude  integer NOT NULL CHECK (latitude BETWEEN -900000000 AND 900000000),
    longitude integer NOT NULL CHECK (longitude BETWEEN -1800000000 AND 1800000000),
    name      text NOT NULL,
    location  geometry(Point, 4326) NOT NULL
        GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(longitude / 1e7::float8, latitude / 1e7::float8), 4326)) STORED,
    PRIMARY KEY (latitude, longitude)
);

CREATE INDEX feature_location ON feature USING gist (location);

COMMENT ON COLUMN feature.latitude IS 'Degrees times 10^7.';
COMMENT ON COLUMN feature.longitude IS 'Degrees times 10^7.';
COMMENT ON COLUMN feature.name IS 'Empty for a place without one.';
