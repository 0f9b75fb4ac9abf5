-- compatible-with: 0002_notes

-- The order of pages: the code of a place on the Z-order curve, as ZOrder.Encode of this program computes it. The bits of the latitude and of
-- the longitude, each counted from its minimum, alternate; the table has the four bits of a number from 0 to 15 with a gap after each.
-- The body is parsed once, here, so that it means the same under every search_path, and is inlined, since nothing is set for it.
CREATE FUNCTION z_order(latitude integer, longitude integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN
        (get_byte(decode('00010405101114154041444550515455', 'hex'), latitude + 900000000 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), (longitude + 1800000000::bigint & 15)::integer))::bigint |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 4 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 4 & 15)::integer))::bigint << 8) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 8 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 8 & 15)::integer))::bigint << 16) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 12 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 12 & 15)::integer))::bigint << 24) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 16 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 16 & 15)::integer))::bigint << 32) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 20 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 20 & 15)::integer))::bigint << 40) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 24 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 24 & 15)::integer))::bigint << 48) |
        ((get_byte(decode('00010405101114154041444550515455', 'hex'), (latitude + 900000000) >> 28 & 15) << 1
            | get_byte(decode('00010405101114154041444550515455', 'hex'), ((longitude + 1800000000::bigint) >> 28 & 15)::integer))::bigint << 56);

-- Also where new functions are not for everybody: whoever writes a feature computes its code.
GRANT EXECUTE ON FUNCTION z_order(integer, integer) TO PUBLIC;

COMMENT ON FUNCTION z_order(integer, integer) IS 'The place on the Z-order curve of a latitude and a longitude in degrees times 10^7.';

-- The index on it is built afterwards, beside readers and writers: PostgisIndexes.
