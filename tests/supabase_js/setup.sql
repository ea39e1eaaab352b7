-- What the calls need beside the fixture and the migration.
CREATE FUNCTION public.whoami() RETURNS text STABLE LANGUAGE sql SET search_path = '' AS 'SELECT current_user::text';
CREATE FUNCTION public.add(a int, b int) RETURNS int IMMUTABLE LANGUAGE sql SET search_path = '' AS 'SELECT a + b';
CREATE TABLE public.task (id text PRIMARY KEY, owner uuid, title text NOT NULL DEFAULT '');
CREATE INDEX task_owner ON public.task (owner);
ALTER TABLE public.task ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.task TO authenticated USING (owner = (SELECT auth.uid()));
GRANT SELECT, INSERT, UPDATE, DELETE ON public.task TO authenticated;
SELECT extensions.cloudsync_init('public.task');
