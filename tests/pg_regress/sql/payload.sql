-- Changes carried as a value: encoded by one database, merged by another with the caller's rights.
CREATE TABLE parent (id text PRIMARY KEY, name text NOT NULL DEFAULT '');
CREATE TABLE child (id text PRIMARY KEY, parent text REFERENCES parent, n int CHECK (n < 100));
SELECT length(cloudsync_init('parent')), length(cloudsync_init('child'));
CREATE FUNCTION diag.payload() RETURNS bytea LANGUAGE sql AS
    'SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq ORDER BY random())
     FROM cloudsync_changes';
CREATE FUNCTION diag.site(number int) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(repeat('0' || number, 16), 'hex') $$;
-- One cell of a site of our making; versions are counted from a moment of last year.
CREATE FUNCTION diag.cell(tbl text, id text, col text, value bytea, version int, cl int DEFAULT 1) RETURNS bytea LANGUAGE sql AS $$
    SELECT cloudsync_payload_encode(tbl, cloudsync_pk_encode(id), col, value, 0, 114000000000000000 + version, diag.site(1), cl, 0) $$;
\echo -- no rows, no payload
SELECT diag.payload() IS NULL;
SELECT cloudsync_payload_apply(NULL) IS NULL;
\echo -- a round trip: emptied without a trace, the tables come back as they were
INSERT INTO parent VALUES ('p', 'parent'), ('q', 'other');
INSERT INTO child VALUES ('c', 'p', 1), ('d', 'q', 2), ('e', NULL, NULL);
DELETE FROM child WHERE id = 'd';
UPDATE child SET n = 7 WHERE id = 'c';
CREATE TABLE told AS SELECT * FROM cloudsync_changes;
CREATE TABLE kept AS SELECT diag.payload() AS payload;
SELECT cloudsync_payload_apply(payload) FROM kept;
SELECT count(*) FROM ((TABLE told EXCEPT TABLE cloudsync_changes) UNION ALL (TABLE cloudsync_changes EXCEPT TABLE told)) x;
SELECT cloudsync_cleanup('child'), cloudsync_cleanup('parent');
TRUNCATE parent, child;
SELECT length(cloudsync_init('parent')), length(cloudsync_init('child'));
SELECT cloudsync_payload_decode(payload) FROM kept;
TABLE parent ORDER BY id; TABLE child ORDER BY id;
SELECT count(*) FROM ((TABLE told EXCEPT TABLE cloudsync_changes) UNION ALL (TABLE cloudsync_changes EXCEPT TABLE told)) x;
\echo -- a second time it is nothing new, and the number is that of its rows all the same
SELECT cloudsync_payload_apply(payload) FROM kept;
\echo -- sites and versions of the payload are kept; the later write wins
SELECT cloudsync_payload_apply(diag.cell('parent', 'p', 'name', cloudsync_encode_value('too old'::text), 1));
SELECT cloudsync_payload_apply(diag.cell('parent', 'r', 'name', cloudsync_encode_value('new'::text), 2));
SELECT cloudsync_payload_apply(diag.cell('parent', 'r', 'name', cloudsync_encode_value('newer'::text), 4));
SELECT cloudsync_payload_apply(diag.cell('parent', 'r', 'name', cloudsync_encode_value('between'::text), 3));
TABLE parent ORDER BY id;
SELECT cloudsync_pk_decode(pk, 1), col_name, db_version - 114000000000000000, site_id = diag.site(1)
FROM cloudsync_changes_select(0, diag.site(1));
SELECT cloudsync_payload_apply(diag.cell('parent', 'r', '__[RIP]__', NULL, 5, 2));
SELECT count(*) FROM parent WHERE id = 'r';
\echo -- devices hear of it: the log names the rows under this server, whose changes nobody holds yet
SELECT t.name, l.site FROM cloudsync.log l JOIN cloudsync.tables t ON t.id = l.table_id ORDER BY l.xid DESC LIMIT 1;
\echo -- what is refused is refused with its own SQLSTATE, and all of the payload with it
CREATE FUNCTION diag.try(payload bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN RETURN cloudsync_payload_apply(payload);
EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; RETURN concat_ws(' | ', SQLSTATE, SQLERRM, d);
END $$;
-- A fine row of one table and a row of another, in one payload.
CREATE FUNCTION diag.two(tbl text, id text, col text, value bytea) RETURNS bytea LANGUAGE sql AS $$
    SELECT cloudsync_payload_encode(t, k, c, v, 0, 114000000000000000, diag.site(1), 1, 0)
    FROM (VALUES ('parent', cloudsync_pk_encode('s'::text), 'name', cloudsync_encode_value('fine'::text)),
        (tbl, cloudsync_pk_encode(id), col, value)) r(t, k, c, v) $$;
SELECT diag.try(diag.two('child', 's', 'n', cloudsync_encode_value(100)));
SELECT diag.try(diag.two('child', 's', 'parent', cloudsync_encode_value('nobody'::text)));
SELECT diag.try(diag.two('child', 's', 'n', cloudsync_encode_value('many'::text)));
SELECT count(*) FROM parent WHERE id = 's';
SELECT diag.try(diag.two('child', 's', 'parent', cloudsync_encode_value('s'::text)));
SELECT diag.try(diag.two('nowhere', 's', 'n', cloudsync_encode_value(1)));
\echo -- a deferrable constraint is looked at when all is written
CREATE TABLE slot (id text PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
SELECT length(cloudsync_init('slot'));
INSERT INTO slot VALUES ('a', 1), ('b', 2);
SELECT diag.try((SELECT cloudsync_payload_encode('slot', cloudsync_pk_encode(id), 'place', cloudsync_encode_value(3 - place), 0,
    cloudsync_db_version() + (1 << 20), diag.site(1), 1, 1) FROM slot));
TABLE slot ORDER BY id;
SELECT diag.try((SELECT cloudsync_payload_encode('slot', cloudsync_pk_encode(id), 'place', cloudsync_encode_value(5), 0,
    cloudsync_db_version() + (1 << 21), diag.site(1), 1, 1) FROM slot));
TABLE slot ORDER BY id;
\echo -- what is no payload, or comes from the future
SELECT diag.try('\x');
SELECT diag.try('\xdeadbeef');
SELECT diag.try(set_byte(payload, length(payload) - 1, get_byte(payload, length(payload) - 1) # 1)) FROM kept;
SELECT diag.try(cloudsync_push(payload)) FROM kept;
SELECT split_part(diag.try(cloudsync_payload_encode('parent', cloudsync_pk_encode('z'::text), 'name', '\x00', 0, 9000000000000000000,
    diag.site(1), 1, 0)), ' ', 1);
SELECT diag.try(diag.cell('parent', 'z', 'name', NULL, 0, (1 << 30) + 1));
SELECT diag.try(cloudsync_payload_encode('parent', '\x00', 'name', NULL, 0, 9, diag.site(1), 1, 0));
SELECT diag.try(cloudsync_payload_encode('parent', cloudsync_pk_encode('a'::text, 'b'::text), 'name', NULL, 0, 9, diag.site(1), 1, 0));
\echo -- what cannot be encoded
SELECT cloudsync_payload_encode(NULL, '\x', 'a', NULL, 0, 1, diag.site(1), 1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', NULL, 0, -1, diag.site(1), 1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', NULL, 0, 1, '\x01', 1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', NULL, 0, 1, diag.site(1), -1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', '\x0000', 0, 1, diag.site(1), 1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', '\x09', 0, 1, diag.site(1), 1, 0);
SELECT cloudsync_payload_encode('t', '\x', 'a', NULL, 0, 1, diag.site(1), 1, 0) OVER () FROM generate_series(1, 2);
SELECT cloudsync.payload_step(NULL, 't', '\x', 'a', NULL, 0, 1, diag.site(1), 1, 0);
SELECT cloudsync.payload_finish(NULL);
\echo -- a role sends what it may write, and nothing else
CREATE ROLE cloudsync_regress_writer;
GRANT USAGE ON SCHEMA diag TO cloudsync_regress_writer;
CREATE TABLE note (id text PRIMARY KEY, who text NOT NULL DEFAULT '', body text NOT NULL DEFAULT '');
SELECT length(cloudsync_init('note'));
INSERT INTO note VALUES ('theirs', 'root', 'hands off');
ALTER TABLE note ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON note USING (who = current_user);
SET ROLE cloudsync_regress_writer;
SELECT diag.try(diag.cell('note', 'mine', 'who', cloudsync_encode_value('cloudsync_regress_writer'::text), 1));
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON note TO cloudsync_regress_writer;
SET ROLE cloudsync_regress_writer;
SELECT diag.try(diag.cell('note', 'mine', 'who', cloudsync_encode_value('cloudsync_regress_writer'::text), 1));
SELECT diag.try(diag.cell('note', 'mine', 'body', cloudsync_encode_value('by me'::text), 2));
SELECT diag.try(diag.cell('note', 'others', 'who', cloudsync_encode_value('root'::text), 1));
SELECT diag.try(diag.cell('note', 'theirs', 'body', cloudsync_encode_value('by me'::text), 1));
SELECT diag.try(cloudsync_payload_encode('note', cloudsync_pk_encode('theirs'::text), 'body', cloudsync_encode_value('by me'::text), 0,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint << 16, diag.site(1), 1, 0));
SELECT diag.try(cloudsync_payload_encode('note', cloudsync_pk_encode('theirs'::text), '__[RIP]__', NULL, 0,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint << 16, diag.site(1), 2, 0));
TABLE note;
RESET ROLE;
TABLE note ORDER BY id;
\echo -- what a role has encoded is what it may see
SET ROLE cloudsync_regress_writer;
CREATE TEMP TABLE seen AS SELECT cloudsync_payload_encode(tbl, pk, col_name, col_value, col_version, db_version, site_id, cl, seq) AS payload
FROM cloudsync_changes;
RESET ROLE;
SELECT cloudsync_cleanup('note');
TRUNCATE note;
SELECT length(cloudsync_init('note'));
SELECT cloudsync_payload_apply(payload) FROM seen;
TABLE note;
\echo -- identifiers
SELECT cloudsync_uuid_text(cloudsync_uuid_blob('0190A1B2C3D47E5F8A9B0C1D2E3F4A5B')),
    cloudsync_uuid_text(cloudsync_uuid_blob('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'), false),
    cloudsync_uuid_text(cloudsync_uuid_blob('0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'), 0);
SELECT cloudsync_uuid_text('\x01');
SELECT cloudsync_uuid_blob('no uuid');
\echo -- keys
SELECT cloudsync_pk_encode(1, 'a'), cloudsync_pk_encode(1, NULL) IS NULL, cloudsync_encode_value(NULL::int);
SELECT cloudsync_pk_encode(VARIADIC ARRAY[1, 2]);
SELECT cloudsync_pk_decode('\x09', 1);
SELECT cloudsync_pk_decode(cloudsync_pk_encode(1.5::float8, '\x00ff'::bytea), g) FROM generate_series(0, 3) g;
SELECT cloudsync_pk_decode('\x03026100', 1);
DROP OWNED BY cloudsync_regress_writer;
DROP ROLE cloudsync_regress_writer;
