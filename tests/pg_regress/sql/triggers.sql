-- Writes that triggers and foreign keys make in turn.
CREATE TABLE par (id text PRIMARY KEY, v int);
CREATE TABLE chi (id text PRIMARY KEY, pid text REFERENCES par ON DELETE CASCADE ON UPDATE CASCADE);
SELECT length(cloudsync_init('par')), length(cloudsync_init('chi'));
INSERT INTO par VALUES ('p1', 1), ('p2', 1);
INSERT INTO chi VALUES ('c1', 'p1'), ('c2', 'p2');
DELETE FROM par WHERE id = 'p1';
UPDATE par SET id = 'p3' WHERE id = 'p2';
SELECT * FROM diag.clocks('par');
SELECT * FROM diag.clocks('chi');
\echo -- a row that a trigger deletes within the statement that wrote it stays dead
CREATE TABLE nt (id text PRIMARY KEY, q int);
CREATE FUNCTION drop_empty() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN DELETE FROM nt WHERE id = new.id AND q = 0; RETURN NULL; END $$;
CREATE TRIGGER x AFTER INSERT OR UPDATE ON nt FOR EACH ROW EXECUTE FUNCTION drop_empty();
SELECT length(cloudsync_init('nt'));
INSERT INTO nt VALUES ('a', 1), ('b', 0);
UPDATE nt SET q = 0 WHERE id = 'a';
SELECT * FROM diag.clocks('nt');
\echo -- a row that one statement deletes and inserts is alive
INSERT INTO nt VALUES ('c', 1);
WITH d AS (DELETE FROM nt RETURNING *) INSERT INTO nt SELECT id, 9 FROM d;
SELECT state LIKE 'length %' AND substr(state, 8)::int % 2 = 1 FROM diag.clocks('nt') WHERE key = 'c';
WITH i AS (INSERT INTO nt SELECT id || '2', q FROM nt RETURNING *) DELETE FROM nt WHERE id = 'c';
SELECT key, substr(state, 8)::int % 2 AS alive FROM diag.clocks('nt') WHERE key LIKE 'c%';
