-- cloudsync_init: which tables are accepted, under which names, and what it says of the others.
CREATE TABLE tasks (id text PRIMARY KEY, title text, done bool NOT NULL DEFAULT false);
INSERT INTO tasks VALUES ('a', 'one'), ('b', 'two');
SELECT length(cloudsync_init('tasks'));
SELECT * FROM diag.clocks('tasks');
SELECT count(*) FROM cloudsync.log;
\echo -- again: nothing happens
SELECT cloudsync_init('tasks') = cloudsync_siteid();
SELECT count(*) FROM cloudsync.log;
\echo -- another algorithm
SELECT cloudsync_init('tasks', 'gos');
SELECT cloudsync_init('tasks', 'lww');
\echo -- names
CREATE SCHEMA other;
CREATE TABLE other.tasks (id uuid PRIMARY KEY);
CREATE TABLE "MyTasks" (id text PRIMARY KEY);
CREATE TABLE "select ""x"".y" ("from" text PRIMARY KEY, "user" text);
SELECT length(cloudsync_init('other.tasks')), length(cloudsync_init('MyTasks')),
    length(cloudsync_init('"select ""x"".y"'));
INSERT INTO "select ""x"".y" VALUES ('k', 'v');
UPDATE "select ""x"".y" SET "user" = 'w';
SELECT name, relation::regclass, algorithm, enabled FROM cloudsync.tables ORDER BY id;
SELECT * FROM diag.clocks('select "x".y');
SELECT cloudsync_table_schema('other.tasks'), cloudsync_table_schema('tasks'), cloudsync_table_schema('nope');
\echo -- refused
CREATE TABLE no_key (a int);
CREATE TABLE three_faults (id int PRIMARY KEY, x text NOT NULL, y int NOT NULL);
CREATE TEMP TABLE temporary (id text PRIMARY KEY);
CREATE VIEW a_view AS SELECT 1;
CREATE UNLOGGED TABLE unlogged (id text PRIMARY KEY);
CREATE TABLE float_key (f float8 PRIMARY KEY);
CREATE TABLE parent (id text PRIMARY KEY);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
SELECT cloudsync_init('no_key');
\echo :LAST_ERROR_SQLSTATE
SELECT cloudsync_init('three_faults');
SELECT length(cloudsync_init('three_faults', 'cls', 3));
DO $$ BEGIN PERFORM cloudsync_init('temporary');
EXCEPTION WHEN wrong_object_type THEN RAISE WARNING '%', regexp_replace(sqlerrm, 'pg_temp_\d+', 'pg_temp'); END $$;
SELECT cloudsync_init('a_view');
SELECT cloudsync_init('unlogged');
SELECT cloudsync_init('float_key');
SELECT cloudsync_init('parent');
SELECT cloudsync_init('child');
SELECT cloudsync_init('pg_class');
SELECT cloudsync_init('cloudsync.log');
SELECT cloudsync_init('no such');
SELECT cloudsync_init('');
SELECT cloudsync_init(repeat('x', 600));
SELECT cloudsync_init(NULL);
\echo -- all
SET client_min_messages = notice;
SELECT length(cloudsync_init('*'));
