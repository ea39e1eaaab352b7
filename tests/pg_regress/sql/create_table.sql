-- cloudsync_translate_ddl and cloudsync_create_table: SQLite's CREATE TABLE, made and synced on the server.
SELECT cloudsync_translate_ddl('CREATE TABLE a (id TEXT PRIMARY KEY NOT NULL, n INT NOT NULL DEFAULT 0)');
\echo -- all problems at once, with their places
SELECT cloudsync_translate_ddl('CREATE TABLE a (id INTEGER PRIMARY KEY, x);
CREATE VIEW v AS SELECT 1');
\echo :LAST_ERROR_SQLSTATE
SELECT cloudsync_translate_ddl(NULL) IS NULL;
\echo -- made and synced, parents first
SELECT cloudsync_create_table('
CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, list TEXT REFERENCES lists(id), done BOOLEAN NOT NULL DEFAULT 0);
CREATE TABLE lists (id TEXT PRIMARY KEY NOT NULL DEFAULT (cloudsync_uuid()), "Title" TEXT NOT NULL DEFAULT '''');
CREATE INDEX items_list ON items(list);');
SELECT name, relation::regclass, algorithm FROM cloudsync.tables ORDER BY id;
\d items
INSERT INTO lists ("Title") VALUES ('one');
SELECT state FROM diag.clocks('lists');
\echo -- the same again is no error; a new table beside it is made
SELECT cloudsync_create_table('CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, list TEXT, done BOOL NOT NULL DEFAULT 0);
CREATE TABLE tags (id TEXT PRIMARY KEY NOT NULL);');
\echo -- a table that differs is not, and nothing is left of the rest
SELECT cloudsync_create_table('CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, list INT, note TEXT);
CREATE TABLE more (id TEXT PRIMARY KEY NOT NULL)');
\echo :LAST_ERROR_SQLSTATE
SELECT to_regclass('more') IS NULL;
\echo -- in a schema, with an algorithm, with flags
CREATE SCHEMA "App";
SELECT cloudsync_create_table('CREATE TABLE log (id INTEGER PRIMARY KEY, at TEXT)', 'App', 'gos', 1);
SELECT cloudsync_create_table('CREATE TABLE log (id INTEGER PRIMARY KEY, at TEXT)', 'App', 'gos', 1);
SELECT name, relation::regclass, algorithm FROM cloudsync.tables WHERE name = 'log';
SELECT cloudsync_create_table('CREATE TABLE log (id INTEGER PRIMARY KEY, at TEXT)', 'App', 'gos');
SELECT cloudsync_create_table('CREATE TABLE t (id TEXT PRIMARY KEY)', 'nowhere');
SELECT cloudsync_create_table(NULL);
\echo -- as the caller: the right to the function is not the right to the schema
CREATE ROLE cloudsync_maker;
GRANT USAGE ON SCHEMA "App" TO cloudsync_maker;
SET ROLE cloudsync_maker;
SELECT cloudsync_create_table('CREATE TABLE mine (id TEXT PRIMARY KEY)', 'App');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cloudsync_create_table TO cloudsync_maker;
SET ROLE cloudsync_maker;
SELECT cloudsync_create_table('CREATE TABLE mine (id TEXT PRIMARY KEY)', 'App');
SELECT cloudsync_create_table('CREATE TABLE items (id TEXT PRIMARY KEY NOT NULL, list TEXT, done BOOL NOT NULL DEFAULT 0)', 'public');
RESET ROLE;
GRANT CREATE ON SCHEMA "App" TO cloudsync_maker;
SET ROLE cloudsync_maker;
SELECT cloudsync_create_table('CREATE TABLE mine (id TEXT PRIMARY KEY)', 'App');
\echo -- a search path that hides built-in functions changes nothing
RESET ROLE;
CREATE SCHEMA evil;
CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::pg_catalog.regclass';
CREATE DOMAIN evil.text AS pg_catalog.int4;
SET search_path = evil, pg_catalog, public;
SELECT public.cloudsync_create_table('CREATE TABLE plain (id TEXT PRIMARY KEY)', 'public');
RESET search_path;
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attname = 'id';
\echo -- what a device is told: only what its user may read
CREATE TABLE kinds (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), i int NOT NULL DEFAULT -1, b bool NOT NULL DEFAULT true,
    r float8 DEFAULT 1.5, n numeric(10,2) NOT NULL DEFAULT 0.50, t text DEFAULT 'it''s', x bytea DEFAULT '\x00ff',
    at timestamptz NOT NULL DEFAULT now(), d date DEFAULT '2026-01-02', j jsonb DEFAULT '{"a": 1}', s text DEFAULT lower('A'),
    g int GENERATED ALWAYS AS (i + 1) STORED);
SELECT length(cloudsync_init('kinds'));
SELECT cloudsync_set_table('kinds', 'conflicts', 'on'), cloudsync_set_column('kinds', 't', 'algo', 'block');
CREATE FUNCTION told() RETURNS TABLE (line text) LANGUAGE sql AS $$
    SELECT t->>'schema' || '.' || (t->>'name') || ' ' || (t->>'algorithm') || ' ' || (t->>'key') || ' ' || (t->>'settings')
        || coalesce(E'\n    ' || (SELECT string_agg(c::text, E'\n    ') FROM json_array_elements(t->'columns') c), '')
    FROM json_array_elements(convert_from(cloudsync_pull_schema('{}'), 'UTF8')::json->'tables') t $$;
SELECT told();
GRANT SELECT (id, i) ON kinds TO cloudsync_maker;
GRANT SELECT ON lists, items TO cloudsync_maker;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE lists ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON lists FOR SELECT TO cloudsync_maker USING (true);
CREATE POLICY p ON items FOR INSERT WITH CHECK (true);
SET ROLE cloudsync_maker;
SELECT told();
RESET ROLE;
\echo -- defaults that a device cannot have, and some that only look so
CREATE TABLE defaults (id text PRIMARY KEY DEFAULT cloudsync_uuid()::text, a text DEFAULT 'a' || 'b', b serial,
    c int DEFAULT (-(-3)), d varchar(9) DEFAULT '(x)::y', e time DEFAULT now()::time, f bool DEFAULT (1 = 1),
    g bigint DEFAULT 5::bigint + 1, h bool DEFAULT (true::bool AND false), i varchar(3) DEFAULT 'v'::varchar(3));
SELECT length(cloudsync_init('defaults', 'cls', 2));
SELECT line FROM told() WHERE line LIKE '%defaults%';
SELECT cloudsync_pull_schema('no json'), 1;
\echo :LAST_ERROR_SQLSTATE
SELECT cloudsync_pull_schema('[]'), 1;
DROP OWNED BY cloudsync_maker;
DROP ROLE cloudsync_maker;
