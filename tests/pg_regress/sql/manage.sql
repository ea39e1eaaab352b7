-- gos, enable and disable, cleanup, settings, dropping the extension.
CREATE TABLE g (id text PRIMARY KEY, v int);
SELECT length(cloudsync_init('g', 'gos'));
INSERT INTO g VALUES ('a', 1);
UPDATE g SET v = 2;
UPDATE g SET v = 2 WHERE id = 'none';
DELETE FROM g;
TRUNCATE g;
INSERT INTO g VALUES ('a', 1), ('b', 1) ON CONFLICT DO NOTHING;
SELECT * FROM diag.clocks('g');
\echo -- enable, disable
CREATE TABLE t (id text PRIMARY KEY, v int);
SELECT cloudsync_is_enabled('t'), cloudsync_is_enabled('nope');
SELECT cloudsync_disable('t');
SELECT length(cloudsync_init('t'));
SELECT cloudsync_is_enabled('t'), cloudsync_disable('t');
INSERT INTO t VALUES ('unseen', 1);
SELECT cloudsync_is_enabled('t'), cloudsync_enable('t');
INSERT INTO t VALUES ('seen', 1);
\echo -- a row without a clock is taken to have stood there before
UPDATE t SET v = 2;
SELECT * FROM diag.clocks('t');
\echo -- settings
SELECT cloudsync_set('k', 'v'), cloudsync_set_table('t', 'k', 'v'), cloudsync_set_column('t', 'v', 'kind', 'other');
SELECT cloudsync_set_column('t', 'v', 'algo', 'block');
SELECT key, value FROM cloudsync.settings WHERE key = 'k';
SELECT col_name, key, value FROM cloudsync.table_settings ORDER BY 1;
SELECT cloudsync_set('k', NULL), cloudsync_set_table('t', 'k', NULL);
SELECT cloudsync_set('site_id', 'x');
SELECT cloudsync_set_column('t', 'nope', 'k', 'v');
SELECT count(*) FROM cloudsync.table_settings;
SELECT cloudsync_begin_alter('t'), cloudsync_commit_alter('t'), cloudsync_terminate();
\echo -- cleanup
SELECT cloudsync_cleanup('t');
INSERT INTO t VALUES ('free', 1);
SELECT cloudsync_cleanup('t');
SELECT cloudsync_begin_alter('t');
SELECT length(cloudsync_init('t'));
SELECT * FROM diag.clocks('t');
\echo -- without the extension
DROP EXTENSION cloudsync;
DROP EXTENSION cloudsync CASCADE;
INSERT INTO t VALUES ('after', 1);
CREATE EXTENSION cloudsync;
SELECT count(*) FROM cloudsync.tables;
