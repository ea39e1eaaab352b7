-- Row filters: what may be one, what it hides, and what it survives.
CREATE TABLE t (id text PRIMARY KEY, body text COLLATE "C", private int DEFAULT 0);
SELECT cloudsync_set_filter('t', 'private = 0');
SELECT length(cloudsync_init('t'));
INSERT INTO t VALUES ('a', 'open', 0), ('b', 'secret', 1), ('c', 'unknown', NULL), ('x', 'x', 0);
SELECT cloudsync_set_filter('t', 'private = 0 AND body <> ''x''');
SELECT expression FROM cloudsync.filters;
SELECT cloudsync_pk_decode(pk, 1) FROM cloudsync_changes WHERE col_name = '__[NEW]__' ORDER BY 1;
\echo -- what is no filter
SELECT cloudsync_set_filter('t', 'private = 0 AND EXISTS (SELECT 1)');
SELECT cloudsync_set_filter('t', 'now() > ''2020-01-01''');
SELECT cloudsync_set_filter('t', 'privat = 0');
SELECT cloudsync_set_filter('t', 'private');
SELECT cloudsync_set_filter('t', 'private = $1');
SELECT cloudsync_set_filter('t', 'count(*) > 1');
SELECT cloudsync_set_filter('t', 'true); DROP TABLE t');
SELECT cloudsync_set_filter('t', 'private = 0 --');
SELECT cloudsync_set_filter('t', ' ');
SELECT cloudsync_set_filter('t', NULL);
SELECT cloudsync_set_filter('t', 'private = ' || repeat('0', 2048));
SELECT cloudsync_set_table('t', 'filter', 'true');
SELECT expression FROM cloudsync.filters;
\echo -- its names mean what they meant to its owner
CREATE SCHEMA other;
CREATE FUNCTION other.is_open(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = 0';
SET search_path = other, public;
SELECT cloudsync_set_filter('t', 'is_open(private)');
RESET search_path;
SELECT expression FROM cloudsync.filters;
SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[NEW]__';
\echo -- columns that are called otherwise, another key, another type
ALTER TABLE t RENAME private TO hidden;
SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[NEW]__';
ALTER TABLE t ADD number int GENERATED ALWAYS AS IDENTITY;
ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (number);
SELECT cloudsync_commit_alter('t');
ALTER TABLE t RENAME hidden TO private;
SELECT cloudsync_set_filter('t', 'private = 0');
SELECT cloudsync_commit_alter('t');
SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[NEW]__';
ALTER TABLE t ALTER private TYPE bigint;
SELECT count(*) FROM cloudsync_changes;
SELECT cloudsync_clear_filter('t'), cloudsync_clear_filter('t');
SELECT count(*) FROM cloudsync_changes WHERE col_name = '__[NEW]__';
\echo -- it leaves nothing behind
SELECT cloudsync_set_filter('t', 'true');
SELECT cloudsync_cleanup('t');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'cloudsync_filter'::regnamespace;
SELECT length(cloudsync_init('t', 'cls', 3)), cloudsync_set_filter('t', 'private = 0');
DROP EXTENSION cloudsync CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'cloudsync%';
