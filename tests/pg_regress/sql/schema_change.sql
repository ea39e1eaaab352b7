-- ADD, DROP and RENAME COLUMN need no call: what was prepared in this backend is prepared anew.
CREATE TABLE t (id text PRIMARY KEY, a int, b int);
SELECT length(cloudsync_init('t'));
INSERT INTO t VALUES ('x', 1, 1), ('y', 1, 1);
UPDATE t SET a = 2; DELETE FROM t WHERE id = 'y';
ALTER TABLE t ADD COLUMN c int DEFAULT 5;
UPDATE t SET c = 6;
ALTER TABLE t RENAME COLUMN id TO ident;
UPDATE t SET b = 2;
ALTER TABLE t DROP COLUMN a;
INSERT INTO t VALUES ('z', 1, 1);
UPDATE t SET c = 7 WHERE ident = 'z';
DELETE FROM t WHERE ident = 'x';
ALTER TABLE t RENAME TO u;
ALTER TABLE u ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED;
UPDATE u SET b = 9;
INSERT INTO u (ident) VALUES ('x');
SELECT * FROM diag.clocks('t');
\echo -- more columns than one function call compares
CREATE TABLE wide (id text PRIMARY KEY);
SELECT 'ALTER TABLE wide ' || string_agg('ADD COLUMN c' || g || ' int', ', ' ORDER BY g)
FROM generate_series(1, 120) g \gexec
SELECT length(cloudsync_init('wide'));
INSERT INTO wide (id) VALUES ('w');
UPDATE wide SET c1 = 1, c60 = 1, c120 = 1;
SELECT * FROM diag.clocks('wide');
\echo -- a table dropped and made again under its name
DROP TABLE wide;
CREATE TABLE wide (id text PRIMARY KEY);
SELECT length(cloudsync_init('wide'));
INSERT INTO wide VALUES ('w');
SELECT * FROM diag.clocks('wide');
\echo -- a primary key that is gone, and another one
ALTER TABLE wide DROP CONSTRAINT wide_pkey, ADD COLUMN k2 text;
INSERT INTO wide VALUES ('v');
SELECT cloudsync_commit_alter('wide');
SELECT cloudsync_disable('wide');
UPDATE wide SET k2 = 'new';
SELECT cloudsync_enable('wide');
ALTER TABLE wide ADD PRIMARY KEY (k2, id);
INSERT INTO wide VALUES ('v', 'v');
SELECT cloudsync_commit_alter('wide');
INSERT INTO wide VALUES ('v', 'v');
SELECT * FROM diag.clocks('wide');
ALTER TABLE wide DROP CONSTRAINT wide_pkey;
SELECT cloudsync_cleanup('wide');
INSERT INTO wide VALUES ('v', 'v');
