-- The notes of RouteChat, in one order that all replicas agree on.
CREATE TABLE note
(
    sequence  bigint PRIMARY KEY,
    latitude  integer NOT NULL CHECK (latitude BETWEEN -900000000 AND 900000000),
    longitude integer NOT NULL CHECK (longitude BETWEEN -1800000000 AND 1800000000),
    message   text NOT NULL,
    author    uuid NOT NULL,
    note_id   text UNIQUE,
    posted_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX note_place ON note (latitude, longitude, sequence);

COMMENT ON COLUMN note.author IS 'The stream that posted it.';
COMMENT ON COLUMN note.note_id IS 'Its author''s own name for it.';

-- The highest sequence that has been given. Whoever appends holds this row until it has committed, so that notes are committed in the order of
-- their sequences, and one who has read up to a sequence has missed none below it. An identity column could not promise that.
CREATE TABLE note_head
(
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    sequence bigint NOT NULL
);

INSERT INTO note_head (sequence) VALUES (0);
