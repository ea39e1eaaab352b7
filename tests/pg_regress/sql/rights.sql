-- Who may do what; writes of a role that has no right on schema cloudsync are captured all the same.
CREATE TABLE t (id text PRIMARY KEY, a int);
SELECT length(cloudsync_init('t'));
CREATE ROLE cloudsync_regress_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON t TO cloudsync_regress_user;
GRANT CREATE ON SCHEMA public TO cloudsync_regress_user;
SET ROLE cloudsync_regress_user;
INSERT INTO t VALUES ('x', 1), ('y', 1);
UPDATE t SET a = 2 WHERE id = 'x';
DELETE FROM t WHERE id = 'y';
INSERT INTO t VALUES ('y', 1);
SELECT cloudsync_version() ~ '^[0-9.]+$', length(cloudsync_uuid()::text), substr(cloudsync_uuid()::text, 15, 1);
SELECT * FROM cloudsync.log;
SELECT cloudsync.insert_delta(1);
SELECT cloudsync_siteid();
SELECT cloudsync_init('t');
CREATE TABLE mine (id text PRIMARY KEY, a int);
INSERT INTO mine VALUES ('m');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cloudsync_init(text, text, int) TO cloudsync_regress_user;
SET ROLE cloudsync_regress_user;
SELECT cloudsync_init('t');
\echo -- a table of its own, with an index expression that would act as whoever plans a query
CREATE TABLE witness (who text);
CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('is_superuser') = 'on' OR current_user <> 'cloudsync_regress_user' THEN
        RAISE WARNING 'spy runs as %', current_user;
    END IF;
    RETURN 'x';
END $$;
CREATE INDEX ON mine ((spy()));
SELECT length(cloudsync_init('mine'));
INSERT INTO mine VALUES ('n', 1);
UPDATE mine SET a = 2;
DELETE FROM mine; INSERT INTO mine VALUES ('n', 1); DELETE FROM mine;
BEGIN; INSERT INTO mine VALUES ('n', 1); DELETE FROM mine; COMMIT;
ALTER TABLE mine ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY insert_only ON mine FOR INSERT WITH CHECK (true);
INSERT INTO mine VALUES ('n', 1);
TRUNCATE mine;
RESET ROLE;
SELECT * FROM diag.clocks('t');
SELECT * FROM diag.clocks('mine');
\echo -- no function is open to everybody but these
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
WHERE d.classid = 'pg_proc'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cloudsync')
AND has_function_privilege('cloudsync_regress_user', p.oid, 'EXECUTE') ORDER BY 1::text;
SELECT has_schema_privilege('cloudsync_regress_user', 'cloudsync', 'USAGE');
DROP OWNED BY cloudsync_regress_user;
DROP ROLE cloudsync_regress_user;
