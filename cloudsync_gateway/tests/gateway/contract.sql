-- What the table of expectations calls, beside cloudsync's own functions.

CREATE SCHEMA other;
GRANT USAGE ON SCHEMA other TO anon, authenticated;
CREATE DOMAIN public."text/html" AS text;
CREATE DOMAIN public."*/*" AS bytea;

-- One parameter without a name.
CREATE FUNCTION public.echo_domain(bytea) RETURNS cloudsync_api."application/octet-stream"
    STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.echo_bytea(bytea) RETURNS bytea STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.echo_named(data bytea) RETURNS cloudsync_api."application/octet-stream"
    STABLE LANGUAGE sql AS 'SELECT data';
CREATE FUNCTION public.echo_text(text) RETURNS text STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.echo_json(json) RETURNS json STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.no_bytes(bytea) RETURNS cloudsync_api."application/octet-stream"
    STABLE LANGUAGE sql AS 'SELECT NULL::bytea';
CREATE FUNCTION public.any_type() RETURNS "*/*" STABLE LANGUAGE sql AS $$ SELECT 'any'::bytea $$;
CREATE FUNCTION public.page() RETURNS "text/html" STABLE LANGUAGE sql AS $$ SELECT '<p>é</p>' $$;
CREATE FUNCTION public.many_bytes() RETURNS SETOF cloudsync_api."application/octet-stream"
    STABLE LANGUAGE sql AS $$ SELECT 'a'::bytea $$;

-- Parameters by name.
CREATE FUNCTION public.add(a int, b int DEFAULT 10) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a + b';
CREATE FUNCTION public.exact(n numeric) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT n::text';
CREATE FUNCTION public.answer() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 42';
CREATE FUNCTION public.nothing() RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT NULL::text';
CREATE FUNCTION public.rows(n int) RETURNS TABLE (i int, t text)
    IMMUTABLE LANGUAGE sql AS $$ SELECT g, 'x' || g FROM generate_series(1, n) g $$;
CREATE FUNCTION public.ambiguous(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION public.ambiguous(a text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION public."odd ""name" ("p "" q" int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION public.not_listed() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION other.answer() RETURNS text STABLE LANGUAGE sql AS 'SELECT current_schemas(false)::text';

-- Writing.
CREATE TABLE public.note (id int GENERATED ALWAYS AS IDENTITY, t text UNIQUE, owner uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON public.note TO anon, authenticated;
CREATE FUNCTION public.write_note(t text) RETURNS void
    VOLATILE LANGUAGE sql AS 'INSERT INTO note (t) VALUES (t)';
CREATE FUNCTION public.write_note_and_fail(t text) RETURNS void VOLATILE LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO note (t) VALUES (t); RAISE 'no'; END $$;
CREATE FUNCTION public.stable_write(t text) RETURNS void
    STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM write_note(t); END $$;
CREATE FUNCTION public.count_notes(t text) RETURNS bigint
    STABLE LANGUAGE sql AS 'SELECT count(*) FROM note WHERE note.t = count_notes.t';
CREATE TABLE public.parent (id int PRIMARY KEY);
CREATE TABLE public.child (id int REFERENCES public.parent DEFERRABLE INITIALLY DEFERRED);
GRANT ALL ON public.parent, public.child TO authenticated;
CREATE FUNCTION public.orphan() RETURNS void
    VOLATILE LANGUAGE sql AS 'INSERT INTO child VALUES (1)';

-- What a function sees of its request.
CREATE FUNCTION public.seen() RETURNS json STABLE LANGUAGE sql AS $$
    SELECT json_build_object(
        'user', current_user, 'session', session_user,
        'claims', current_setting('request.jwt.claims', true)::json,
        'method', current_setting('request.method', true), 'path', current_setting('request.path', true),
        'headers', current_setting('request.headers', true)::json,
        'cookies', current_setting('request.cookies', true)::json,
        'search_path', current_setting('search_path'), 'statement_timeout', current_setting('statement_timeout'),
        'isolation', current_setting('transaction_isolation'), 'read_only', current_setting('transaction_read_only'))
$$;
CREATE FUNCTION public.seen_by_volatile() RETURNS json VOLATILE LANGUAGE sql AS 'SELECT seen()';
CREATE FUNCTION public.seen_hoisted() RETURNS json STABLE LANGUAGE sql
    SET statement_timeout = '17s' SET default_transaction_isolation = 'repeatable read' AS 'SELECT seen()';
CREATE FUNCTION public.leave_behind() RETURNS void VOLATILE LANGUAGE sql AS $$
    SELECT set_config('request.jwt.claims', '{"sub":"left behind"}', false),
        set_config('my.setting', 'left behind', false),
        pg_advisory_lock(4711) $$;
CREATE FUNCTION public.left_behind() RETURNS text STABLE LANGUAGE sql
    AS $$ SELECT coalesce(nullif(current_setting('my.setting', true), ''), 'nothing') $$;
CREATE FUNCTION public.session_claims() RETURNS text STABLE LANGUAGE sql
    AS $$ SELECT current_setting('request.jwt.claims', true) $$;

-- Errors and chosen answers.
CREATE FUNCTION public.raise(state text, message text DEFAULT 'm', detail text DEFAULT '', hint text DEFAULT '')
    RETURNS void VOLATILE LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = message, DETAIL = detail, HINT = hint; END $$;
CREATE FUNCTION public.choose(status text, headers text) RETURNS text VOLATILE LANGUAGE sql AS $$
    SELECT set_config('response.status', status, true) || set_config('response.headers', headers, true) $$;
CREATE FUNCTION public.secret() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION public.secret() FROM PUBLIC;
CREATE FUNCTION public.sleep(seconds float) RETURNS void VOLATILE LANGUAGE sql AS 'SELECT pg_sleep(seconds)';
-- Sleeps for ten minutes, whatever the role's time, and holds a lock of its number while it does.
CREATE TABLE public.sleeping (id int PRIMARY KEY, mark text);
INSERT INTO public.sleeping VALUES (1001, 'too long'), (1002, 'client gone');
GRANT SELECT ON public.sleeping TO anon;
CREATE FUNCTION public.sleep_long(mark text) RETURNS void VOLATILE LANGUAGE plpgsql SET statement_timeout = 0 AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(s.id) FROM sleeping s WHERE s.mark = sleep_long.mark;
        PERFORM pg_sleep(600);
    END $$;

-- cloudsync's own.
CREATE TABLE public.task (id text PRIMARY KEY, owner uuid, title text NOT NULL DEFAULT '');
ALTER TABLE public.task ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.task TO authenticated USING (owner = (SELECT auth.uid()));
GRANT SELECT, INSERT, UPDATE, DELETE ON public.task TO authenticated;
SELECT extensions.cloudsync_init('public.task');
