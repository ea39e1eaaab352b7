-- Gives a plain PostgreSQL the look of a Supabase project, as far as cloudsync is concerned: roles, their
-- timeouts and grants, schema auth with the functions that policies call, schema extensions. For tests;
-- on Supabase itself all of this exists. Run it as a superuser. It can be run again.
--
-- Sources: Supabase documentation, "Postgres Roles", "Timeouts" and "Row Level Security"; the functions of
-- schema auth follow the description of their claims in PostgREST's documentation, "Transaction-scoped settings".

DO $$
BEGIN
    -- Roles are the server's, and another database's run of this file may be making them right now. An
    -- advisory lock holds in one database only; one on the catalog of roles holds in all.
    LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon') THEN
        CREATE ROLE anon NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        CREATE ROLE authenticated NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
        CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator') THEN
        CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD 'authenticator';
    END IF;
    GRANT anon, authenticated, service_role TO authenticator;
    ALTER ROLE anon SET statement_timeout = '3s';
    ALTER ROLE authenticated SET statement_timeout = '8s';
    ALTER ROLE authenticator SET statement_timeout = '8s';
END
$$;

CREATE SCHEMA IF NOT EXISTS extensions;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

CREATE SCHEMA IF NOT EXISTS auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;

-- The claims are '' and not NULL after a transaction that had some.
CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb
    STABLE LANGUAGE sql SET search_path = ''
    AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid
    STABLE LANGUAGE sql SET search_path = ''
    AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;
CREATE OR REPLACE FUNCTION auth.role() RETURNS text
    STABLE LANGUAGE sql SET search_path = ''
    AS $$ SELECT auth.jwt() ->> 'role' $$;
CREATE OR REPLACE FUNCTION auth.email() RETURNS text
    STABLE LANGUAGE sql SET search_path = ''
    AS $$ SELECT auth.jwt() ->> 'email' $$;

-- Which schemas the API exposes; Supabase's advisors look here too.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET pgrst.db_schemas = ''public''', current_database());
    EXECUTE format('ALTER DATABASE %I SET search_path = ''$user'', public, extensions', current_database());
END
$$;
