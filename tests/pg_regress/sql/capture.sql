-- Every kind of local write moves the clocks of the rows it changed, and of no other.
CREATE TABLE t (id text PRIMARY KEY, a int, b numeric DEFAULT 1, here text, f float8);
INSERT INTO t VALUES ('old1', 1), ('old2', 2);
SELECT length(cloudsync_init('t'));
\echo -- insert, update, no-op update, update that keeps the value but not its image
INSERT INTO t VALUES ('n1', 1), ('n2', 2);
UPDATE t SET a = a + 1 WHERE id = 'old1';
UPDATE t SET a = a WHERE id = 'old2';
UPDATE t SET b = 1.00, f = '0.0' WHERE id = 'n1';
UPDATE t SET f = '-0.0' WHERE id = 'n1';
UPDATE t SET here = 'x', f = 1 WHERE id = 'n2';
SELECT * FROM diag.clocks('t');
\echo -- one log row a statement that changed something; zero-row statements write none
SELECT count(*) FROM cloudsync.log;
UPDATE t SET a = 1 WHERE false; DELETE FROM t WHERE false; INSERT INTO t SELECT * FROM t WHERE false;
UPDATE t SET a = a;
SELECT count(*) FROM cloudsync.log;
\echo -- delete, insert again, change of key
DELETE FROM t WHERE id = 'n1';
INSERT INTO t (id) VALUES ('n1');
UPDATE t SET id = 'n3' WHERE id = 'n2';
SELECT * FROM diag.clocks('t');
\echo -- upsert and merge
INSERT INTO t (id, a) VALUES ('n1', 5) ON CONFLICT (id) DO UPDATE SET a = excluded.a;
INSERT INTO t (id, a) VALUES ('n1', 6), ('n4', 1) ON CONFLICT DO NOTHING;
MERGE INTO t USING (VALUES ('n3', 0), ('n4', 9), ('n5', 1)) v (id, a) ON t.id = v.id
    WHEN MATCHED AND v.a = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET a = v.a
    WHEN NOT MATCHED THEN INSERT (id, a) VALUES (v.id, v.a);
SELECT * FROM diag.clocks('t');
\echo -- savepoints, copy, replica role
BEGIN;
INSERT INTO t (id) VALUES ('s0'); SAVEPOINT a; INSERT INTO t (id) VALUES ('s1'); ROLLBACK TO a;
INSERT INTO t (id) VALUES ('s2');
COMMIT;
COPY t (id, a) FROM stdin;
c1	1
c2	2
\.
SET session_replication_role = replica;
INSERT INTO t (id) VALUES ('r1');
RESET session_replication_role;
SELECT * FROM diag.clocks('t') WHERE key ~ '^[scr]';
\echo -- truncate
TRUNCATE t;
SELECT DISTINCT state FROM diag.clocks('t');
\echo -- versions rise within a row, whatever the clock says
UPDATE cloudsync.highest SET version = 9000000000000000000;
INSERT INTO t (id) VALUES ('late');
SELECT cloudsync.clock_json(clock)::json->'life'->>0 FROM cloudsync.clock_1 WHERE k1 = 'late';
UPDATE t SET a = 1 WHERE id = 'late';
SELECT (cloudsync.clock_json(clock)::json->'cells'->'2'->>0)::bigint - 9000000000000000000
FROM cloudsync.clock_1 WHERE k1 = 'late';
\echo -- many rows at once: never seen, seen before, some of both
CREATE TABLE bulk (id text PRIMARY KEY, a int);
SELECT length(cloudsync_init('bulk'));
INSERT INTO bulk SELECT g FROM generate_series(1, 1000) g;
SELECT state, count(*) FROM diag.clocks('bulk') GROUP BY 1 ORDER BY 1;
DELETE FROM bulk WHERE id::int % 2 = 0;
INSERT INTO bulk SELECT g FROM generate_series(2, 3000) g ON CONFLICT DO NOTHING;
SELECT state, count(*) FROM diag.clocks('bulk') GROUP BY 1 ORDER BY 1;
INSERT INTO bulk SELECT g FROM generate_series(3001, 4000) g;
INSERT INTO bulk SELECT g FROM generate_series(4001, 5000) g;
UPDATE bulk SET a = 1;
SELECT state, count(*) FROM diag.clocks('bulk') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM cloudsync.log WHERE table_id = (SELECT id FROM cloudsync.tables WHERE name = 'bulk');
