-- What decides which rows of the synced tables $1 a role may see, one line for each object.
--
-- A scope begins with a table ('t') and goes on with the relations ('r') and functions ('f') that the
-- policies for reading name, that views and functions named there name, and so on. Stored expressions
-- tell by number what they name; the body of a function that is text is searched for words that are
-- names of relations or functions, which finds too much rather than too little.
WITH RECURSIVE scope (root, kind, object) AS (
    SELECT c.oid, 't', c.oid FROM pg_class c WHERE c.oid = ANY ($1::oid[])
    UNION
    SELECT s.root, named.kind, named.object
    FROM scope s CROSS JOIN LATERAL (
        SELECT CASE m[1] WHEN 'relid' THEN 'r' ELSE 'f' END, m[2]::oid
        FROM (
            SELECT p.polqual::text FROM pg_policy p
            WHERE s.kind <> 'f' AND p.polrelid = s.object AND p.polcmd IN ('r', '*')
            UNION ALL
            SELECT w.ev_action::text FROM pg_rewrite w WHERE s.kind = 'r' AND w.ev_class = s.object
            UNION ALL
            SELECT p.prosqlbody::text FROM pg_proc p WHERE s.kind = 'f' AND p.oid = s.object
        ) AS stored (tree)
        CROSS JOIN LATERAL regexp_matches(stored.tree, ':(relid|funcid|opfuncid) (\d{5,})', 'g') AS m
        UNION ALL
        SELECT found.kind, found.object
        FROM pg_proc p
        CROSS JOIN LATERAL (
            SELECT DISTINCT word::name FROM regexp_split_to_table(p.prosrc || ' ' || lower(p.prosrc), '[^\w$]+') AS w (word)
            WHERE length(word) BETWEEN 1 AND 63
        ) AS words (word)
        CROSS JOIN LATERAL (
            SELECT 'r', c.oid FROM pg_class c WHERE c.relname = words.word AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            UNION ALL
            SELECT 'f', g.oid FROM pg_proc g WHERE g.proname = words.word
        ) AS found (kind, object)
        WHERE s.kind = 'f' AND p.oid = s.object AND p.prosqlbody IS NULL
    ) AS named (kind, object)
    -- Numbers below are PostgreSQL's own objects.
    WHERE named.object >= 16384
),
relations AS (
    SELECT c.oid, concat_ws(' ', c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
            (SELECT string_agg(concat_ws(' ', p.polcmd, p.polpermissive, p.polroles, p.polqual), ' ' ORDER BY p.oid)
                FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*'))) AS definition,
        (SELECT string_agg(pg_get_expr(p.polqual, p.polrelid), ' ') FROM pg_policy p
            WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')) AS source,
        c.relkind = 'f' OR EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND (
                p.polqual::text ~ 'SQLVALUEFUNCTION :op [0-8] '
                OR EXISTS (SELECT FROM regexp_matches(p.polqual::text, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
                    JOIN pg_proc f ON f.oid = m[1]::oid
                    WHERE f.provolatile = 'v' AND f.oid < 16384
                        OR f.proname IN ('now', 'transaction_timestamp', 'statement_timestamp') OR f.oid = 1386))
        ) AS opaque
    FROM pg_class c WHERE c.oid IN (SELECT object FROM scope WHERE kind <> 'f')
),
functions AS (
    SELECT f.oid, concat_ws(' ', f.proowner, f.prosecdef, f.proacl, f.proconfig, f.prosrc, f.prosqlbody) AS definition,
        concat_ws(' ', f.prosrc, pg_get_function_sqlbody(f.oid)) AS source,
        l.lanname NOT IN ('sql', 'plpgsql')
            OR concat_ws(' ', f.prosrc, pg_get_function_sqlbody(f.oid)) ~* ('\m(now|current_date|current_time|current_timestamp|'
                || 'localtime|localtimestamp|clock_timestamp|transaction_timestamp|statement_timestamp|timeofday|age|random|'
                || 'gen_random_uuid|nextval|execute)\M') AS opaque
    FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang
    WHERE f.oid IN (SELECT object FROM scope WHERE kind = 'f')
)
SELECT s.root::int8, s.kind, s.object::int8, md5(d.definition), d.opaque,
    (SELECT string_agg(DISTINCT m[1], E'\n' ORDER BY m[1])
        FROM regexp_matches(d.source, 'current_setting\s*\(\s*''([^'']+)''', 'gi') AS m)
FROM scope s JOIN LATERAL (
    SELECT r.definition, r.opaque, r.source FROM relations r WHERE s.kind <> 'f' AND r.oid = s.object
    UNION ALL
    SELECT f.definition, f.opaque, f.source FROM functions f WHERE s.kind = 'f' AND f.oid = s.object
) AS d ON true
ORDER BY 1, 2, 3
