-- Every cell with its version, to those who may see it.
CREATE TABLE item (id text, part int, a int, b text, c bytea, PRIMARY KEY (id, part));
INSERT INTO item VALUES ('old', 0, 1, 'stood here before init', NULL);
SELECT length(cloudsync_init('item'));
CREATE VIEW diag.changes AS SELECT tbl, pk, col_name, col_value, cl, seq, col_version = db_version AS one_version,
    db_version = 1 AS base, site_id = (SELECT site_id FROM cloudsync.sites WHERE ordinal = 0) AS own
FROM cloudsync_changes ORDER BY db_version, seq;
INSERT INTO item VALUES ('x', 1, 5, 'hello', '\xdead'), ('y', 2, NULL, NULL, NULL);
UPDATE item SET a = 6 WHERE id = 'x';
DELETE FROM item WHERE id = 'y';
TABLE diag.changes;
\echo -- what is shown reads back
SELECT DISTINCT cloudsync_pk_decode(pk, 1), cloudsync_pk_decode(pk, 2), cloudsync_pk_decode(pk, 3),
    pk = cloudsync_pk_encode(cloudsync_pk_decode(pk, 1), cloudsync_pk_decode(pk, 2)::int)
FROM cloudsync_changes ORDER BY 1;
SELECT col_value = cloudsync_encode_value(6), cloudsync_pk_decode(col_value, 1) FROM cloudsync_changes
WHERE col_name = 'a' AND pk = cloudsync_pk_encode('x', 1);
\echo -- newer than a version; of a site
SELECT col_name, cl FROM cloudsync_changes_select(1) ORDER BY db_version, seq;
SELECT col_name FROM cloudsync_changes_select((SELECT max(db_version) - 1 FROM cloudsync_changes));
SELECT count(*) FROM cloudsync_changes_select((SELECT max(db_version) FROM cloudsync_changes));
SELECT count(*) FROM cloudsync_changes_select(cloudsync_db_version());
SELECT count(*) = (SELECT count(*) FROM cloudsync_changes) FROM cloudsync_changes_select(NULL, cloudsync_siteid());
SELECT count(*) FROM cloudsync_changes_select(0, decode(repeat('ab', 16), 'hex'));
SELECT cloudsync_changes_select(0, '\xab');
\echo -- an old row is not read again for what is newer
CREATE FUNCTION looked(id text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'looked at %', id; RETURN true; END $$;
CREATE ROLE cloudsync_regress_reader;
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY look ON item FOR SELECT USING (looked(id));
GRANT SELECT ON item TO cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT count(*) FROM cloudsync_changes_select(1);
RESET ROLE;
DROP POLICY look ON item;
\echo -- row-level security: who sees no row sees no change of it, and nobody but the owner a tombstone
INSERT INTO item VALUES ('mine', 1, 1, 'for the reader', NULL);
CREATE POLICY mine ON item FOR SELECT USING (id = 'mine');
SET ROLE cloudsync_regress_reader;
SELECT pk, col_name, cl, seq FROM cloudsync_changes ORDER BY db_version, seq;
SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[RIP]__' OR cl > 1;
SET row_security = off;
SELECT count(*) FROM cloudsync_changes;
RESET row_security;
RESET ROLE;
ALTER TABLE item DISABLE ROW LEVEL SECURITY;
SET ROLE cloudsync_regress_reader;
SELECT DISTINCT cloudsync_pk_decode(pk, 1), col_name FROM cloudsync_changes WHERE seq = 0 ORDER BY 1;
RESET ROLE;
\echo -- rights on columns: a column that may not be read is left out, and the others keep their place
REVOKE SELECT ON item FROM cloudsync_regress_reader;
GRANT SELECT (id, part, b) ON item TO cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT DISTINCT col_name, seq FROM cloudsync_changes ORDER BY 2;
RESET ROLE;
REVOKE SELECT (id) ON item FROM cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT count(*) FROM cloudsync_changes;
RESET ROLE;
\echo -- a schema that may not be used hides its tables, not the others
CREATE SCHEMA closed;
CREATE TABLE closed.other (id text PRIMARY KEY);
INSERT INTO closed.other VALUES ('o');
SELECT length(cloudsync_init('closed.other'));
GRANT SELECT ON closed.other TO cloudsync_regress_reader;
GRANT SELECT ON item TO cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT DISTINCT tbl FROM cloudsync_changes;
RESET ROLE;
\echo -- those whom no policy could bind see tombstones: members of the owner, roles that bypass policies
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE ROLE cloudsync_regress_owner;
GRANT cloudsync_regress_owner TO cloudsync_regress_reader;
GRANT CREATE ON SCHEMA public TO cloudsync_regress_owner;
ALTER TABLE item OWNER TO cloudsync_regress_owner;
SET ROLE cloudsync_regress_reader;
SELECT pk, cl FROM cloudsync_changes WHERE col_name = '__[RIP]__';
RESET ROLE;
REVOKE cloudsync_regress_owner FROM cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT pk, cl FROM cloudsync_changes WHERE col_name = '__[RIP]__';
RESET ROLE;
ALTER ROLE cloudsync_regress_reader BYPASSRLS;
SET ROLE cloudsync_regress_reader;
SELECT pk, cl FROM cloudsync_changes WHERE col_name = '__[RIP]__';
RESET ROLE;
\echo -- a view that belongs to another role shows what its reader may see
ALTER ROLE cloudsync_regress_reader NOBYPASSRLS;
CREATE VIEW borrowed AS SELECT * FROM cloudsync_changes;
GRANT SELECT ON borrowed TO cloudsync_regress_reader;
SET ROLE cloudsync_regress_reader;
SELECT DISTINCT cloudsync_pk_decode(pk, 1) FROM borrowed;
RESET ROLE;
\echo -- it is read-only, and values do not depend on the session
INSERT INTO cloudsync_changes (tbl) VALUES ('item');
CREATE TABLE types (id timestamptz PRIMARY KEY, n numeric, d date, i interval, f float8, u uuid, ch char(4), t bool, j jsonb);
SELECT length(cloudsync_init('types'));
SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET intervalstyle = 'postgres_verbose'; SET extra_float_digits = -5;
INSERT INTO types VALUES ('2026-02-28 12:00+00', 1.50, '2026-02-28', '1 day 2 hours', 0.1::float8 + 0.2::float8,
    '0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B', 'ab', true, '{"a": 1}');
SELECT cloudsync_pk_decode(pk, 1), col_name, cloudsync_pk_decode(col_value, 1) FROM cloudsync_changes
WHERE tbl = 'types' ORDER BY seq;
SELECT cloudsync_pk_decode(cloudsync_pk_encode(id, d, i, t), g) FROM types, generate_series(1, 5) g;
SELECT bool_and(c.col_value = v.value) FROM cloudsync_changes c JOIN (SELECT e.* FROM types, LATERAL (VALUES
    ('n', cloudsync_encode_value(n)), ('d', cloudsync_encode_value(d)), ('i', cloudsync_encode_value(i)),
    ('f', cloudsync_encode_value(f)), ('u', cloudsync_encode_value(u)), ('ch', cloudsync_encode_value(ch)),
    ('t', cloudsync_encode_value(t)), ('j', cloudsync_encode_value(j))) e(name, value)) v ON v.name = c.col_name
WHERE c.tbl = 'types';
SHOW timezone; SHOW extra_float_digits;
DROP OWNED BY cloudsync_regress_reader, cloudsync_regress_owner CASCADE;
DROP ROLE cloudsync_regress_reader, cloudsync_regress_owner;
