-- cloudsync's protocol functions as the REST endpoint calls them: one parameter without a name, which
-- takes the request's body as it is, and a result whose type is named after the media type, which goes out
-- as it is. They run as the caller, under the caller's row-level security.
--
-- For Supabase (self-hosted), PostgREST and the gateway. The extension's program files must be installed.
-- To expose them in another schema than public, replace `public.` here and add that schema to the API's.

CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS cloudsync SCHEMA extensions;
DO $$
DECLARE
    schema text := (SELECT extnamespace::regnamespace::text FROM pg_catalog.pg_extension WHERE extname = 'cloudsync');
BEGIN
    IF schema <> 'extensions' THEN
        RAISE EXCEPTION 'extension cloudsync is in schema %, and must be in schema extensions', schema
            USING HINT = 'Its own functions have the names of those that are exposed. DROP EXTENSION cloudsync,'
                ' run this again, and call cloudsync_init() for each table.';
    END IF;
END
$$;

-- The domain lives in a schema of its own, because another application may have made one of this name.
CREATE SCHEMA IF NOT EXISTS cloudsync_api;
DO $$
BEGIN
    CREATE DOMAIN cloudsync_api."application/octet-stream" AS bytea;
EXCEPTION WHEN duplicate_object THEN
    NULL; -- made by an earlier run
END
$$;

-- The search path is the one that the REST endpoint sets by itself: triggers of the synced tables run
-- inside, and may rely on it. Nothing here does: every name carries its schema.
CREATE OR REPLACE FUNCTION public.cloudsync_push(bytea)
    RETURNS cloudsync_api."application/octet-stream"
    LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = public, extensions
    AS $$ SELECT extensions.cloudsync_push($1) $$;

-- STABLE, so that the endpoint runs it in a READ ONLY transaction, on a replica too.
CREATE OR REPLACE FUNCTION public.cloudsync_pull(bytea)
    RETURNS cloudsync_api."application/octet-stream"
    LANGUAGE sql STABLE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = public, extensions
    AS $$ SELECT extensions.cloudsync_pull($1) $$;

CREATE OR REPLACE FUNCTION public.cloudsync_pull_schema(bytea)
    RETURNS cloudsync_api."application/octet-stream"
    LANGUAGE sql STABLE STRICT PARALLEL UNSAFE SECURITY INVOKER
    SET search_path = public, extensions
    AS $$ SELECT extensions.cloudsync_pull_schema($1) $$;

-- Makes tables for a device, in schema public if the device names no other. Nobody may call it by this: the
-- tables belong to whoever does, and have no row-level security until their owner gives them some. To let a
-- role make tables, grant it this function, the one behind it, and CREATE on the schema (docs/schema.md).
-- Such a grant outlives another run of this file.
DO $$
DECLARE
    role text;
BEGIN
    IF to_regprocedure('public.cloudsync_create_tables(bytea)') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE FUNCTION public.cloudsync_create_tables(bytea)
        RETURNS cloudsync_api."application/octet-stream"
        LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE SECURITY INVOKER
        SET search_path = public, extensions
        AS 'SELECT extensions.cloudsync_create_tables($1)';
    REVOKE ALL ON FUNCTION public.cloudsync_create_tables(bytea) FROM PUBLIC;
    FOR role IN SELECT rolname FROM pg_catalog.pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION public.cloudsync_create_tables(bytea) FROM %I', role);
    END LOOP;
END
$$;

-- A new function may be called by everyone until that is taken away; then every right is given by name.
-- The extension's own functions are left as they are: on Supabase they belong to another role, and schema
-- extensions is not exposed.
REVOKE ALL ON FUNCTION public.cloudsync_push(bytea), public.cloudsync_pull(bytea),
    public.cloudsync_pull_schema(bytea) FROM PUBLIC;
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN SELECT rolname FROM pg_catalog.pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA extensions, cloudsync_api TO %I', role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION public.cloudsync_push(bytea), public.cloudsync_pull(bytea),'
            ' public.cloudsync_pull_schema(bytea) TO %I', role);
    END LOOP;
END
$$;

NOTIFY pgrst, 'reload schema';
