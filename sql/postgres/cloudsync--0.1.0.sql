\echo Use "CREATE EXTENSION cloudsync" to load this file. \quit

-- Metadata. Nobody but the extension's own functions, which act as its owner, may read or write it.
-- Functions of users are created in the extension's schema; internals in schema cloudsync.
CREATE SCHEMA cloudsync;
REVOKE ALL ON SCHEMA cloudsync FROM PUBLIC;

CREATE TABLE cloudsync.settings (
    key text PRIMARY KEY,
    value text NOT NULL
);
-- The site id is a UUID of version 7; the epoch is the random half of a server's life.
INSERT INTO cloudsync.settings (key, value)
SELECT 'site_id',
    lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(r.hex, 14, 19)
FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS hex) r;
INSERT INTO cloudsync.settings (key, value)
VALUES ('epoch', replace(gen_random_uuid()::text, '-', '')),
    ('view_secret', gen_random_uuid()::text);

-- Every replica that wrote something here, by the number under which clocks name it. 0 is this one.
-- The identity is that of the first user who pushed under this site id, and nobody else may: a JSON array
-- of the role and, where there is one, the subject of its token. NULL: its writes came through others only.
CREATE TABLE cloudsync.sites (
    ordinal int PRIMARY KEY,
    site_id bytea NOT NULL UNIQUE CHECK (length(site_id) = 16),
    identity text
);
CREATE SEQUENCE cloudsync.site_ordinal AS int START 1 OWNED BY cloudsync.sites.ordinal;
INSERT INTO cloudsync.sites (ordinal, site_id)
SELECT 0, decode(value, 'hex') FROM cloudsync.settings WHERE key = 'site_id';

-- The highest version received; written only when it is ahead of this server's clock. One row.
CREATE TABLE cloudsync.highest (version bigint NOT NULL);
CREATE UNIQUE INDEX highest_one_row ON cloudsync.highest ((true));
INSERT INTO cloudsync.highest VALUES (0);

-- Synced tables. The clocks of each are in cloudsync.clock_<id>, made by cloudsync_init().
CREATE TABLE cloudsync.tables (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation oid NOT NULL UNIQUE,
    name text NOT NULL UNIQUE,
    algorithm text NOT NULL,
    enabled bool NOT NULL DEFAULT true,
    -- The key columns' numbers when the clock table was made.
    key_columns int2[] NOT NULL,
    -- The highest id of a deleted row whose clock was collected; 0: none was.
    collected bigint NOT NULL DEFAULT 0
);

-- Per table and column: what cloudsync_set_table() and cloudsync_set_column() set.
CREATE TABLE cloudsync.table_settings (
    table_id int NOT NULL REFERENCES cloudsync.tables ON DELETE CASCADE,
    col_name text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (table_id, col_name, key)
);

-- Row filters. Each is a function of the columns with these numbers and types, in schema cloudsync_filter,
-- which those who sync must be able to call.
CREATE TABLE cloudsync.filters (
    table_id int PRIMARY KEY REFERENCES cloudsync.tables ON DELETE CASCADE,
    expression text NOT NULL,
    function text NOT NULL,
    columns int2[] NOT NULL,
    types oid[] NOT NULL
);
CREATE SEQUENCE cloudsync.filter_number OWNED BY cloudsync.filters.table_id;
CREATE SCHEMA cloudsync_filter;
GRANT USAGE ON SCHEMA cloudsync_filter TO PUBLIC;

-- What changed in which transaction: one row for each statement that touched rows of a synced table.
-- What is new to a reader are rows whose xid was not visible in its snapshot.
CREATE TABLE cloudsync.log (
    xid xid8 NOT NULL,
    table_id int NOT NULL,
    site int NOT NULL,
    rows bytea NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX log_xid ON cloudsync.log (xid);

-- What cloudsync_collect() has removed: entries of the log up to a transaction, deletes below a version. One row.
CREATE TABLE cloudsync.horizon (xid xid8 NOT NULL, version bigint NOT NULL);
CREATE UNIQUE INDEX horizon_one_row ON cloudsync.horizon ((true));
INSERT INTO cloudsync.horizon VALUES ('0', 0);

-- Values that lost a merge, of tables with the setting conflicts. A row is named by its id, a column by its
-- number, lines of a text that one write lost by a digest each (else 0); values are kept as text. See the view
-- cloudsync_conflicts.
CREATE TABLE cloudsync.conflicts (
    table_id int NOT NULL REFERENCES cloudsync.tables ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    row_id bigint NOT NULL,
    col int NOT NULL,
    lost_value text,
    lost_version bigint NOT NULL,
    lost_site bytea NOT NULL,
    won_value text,
    won_version bigint NOT NULL,
    won_site bytea NOT NULL,
    line bigint NOT NULL,
    reason text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_id, id),
    UNIQUE (table_id, row_id, col, lost_version, lost_site, line)
);

-- The clocks of lines of texts that were edited by line; the digest says of which text. A row is named by its
-- id, a column by its number. See docs/text.md.
CREATE TABLE cloudsync.texts (
    table_id int NOT NULL REFERENCES cloudsync.tables ON DELETE CASCADE,
    row_id bigint NOT NULL,
    attnum int2 NOT NULL,
    document bytea NOT NULL,
    digest bigint NOT NULL,
    PRIMARY KEY (table_id, row_id, attnum)
);
-- The latest edits of those texts, and in which transaction each was made. An entry without an edit is a
-- bound: whoever's snapshot does not see its transaction has to be told the whole text.
CREATE TABLE cloudsync.text_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    table_id int NOT NULL REFERENCES cloudsync.tables ON DELETE CASCADE,
    row_id bigint NOT NULL,
    attnum int2 NOT NULL,
    xid xid8 NOT NULL,
    delta bytea,
    PRIMARY KEY (table_id, row_id, attnum, id)
);

-- Tables that policies of synced tables read and whose writes are noted: in the log each stands under
-- its number with a minus sign, without rows.
CREATE TABLE cloudsync.watched (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation oid NOT NULL UNIQUE
);

REVOKE ALL ON ALL TABLES IN SCHEMA cloudsync FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA cloudsync FROM PUBLIC;

-- The protocol. Both run as the caller, under the caller's row-level security. The settings fix the
-- text form of values and spare the compiling of statements that run once; the search path stays the caller's, whose triggers run inside.
CREATE FUNCTION @extschema@.cloudsync_push(request bytea) RETURNS bytea
    VOLATILE STRICT PARALLEL UNSAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    SET jit = off
    -- A push holds the locks of what it has written: it does not wait long for more. The device tries again.
    SET lock_timeout = '5s'
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_push_wrapper';
CREATE FUNCTION @extschema@.cloudsync_pull(request bytea) RETURNS bytea
    STABLE STRICT PARALLEL UNSAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    SET jit = off
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pull_wrapper';

-- The synced tables of which the caller may read the key, as JSON, so that a new device can make them. Takes the
-- JSON of what the device knows; at present an empty object.
CREATE FUNCTION @extschema@.cloudsync_pull_schema(request bytea) RETURNS bytea
    STABLE STRICT PARALLEL UNSAFE
    SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET search_path = pg_catalog, pg_temp
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pull_schema_wrapper';

-- Changes cell by cell. Everybody may ask: a row appears to those who may SELECT it, a tombstone only
-- to those whom no policy could bind (the table's owner, superusers, roles with BYPASSRLS). The
-- function fixes the text form of values itself: settings here would be made anew for each row.
CREATE FUNCTION @extschema@.cloudsync_changes_select(min_db_version bigint DEFAULT 0, filter_site_id bytea DEFAULT NULL)
    RETURNS TABLE (tbl text, pk bytea, col_name text, col_value bytea, col_version bigint, db_version bigint,
        site_id bytea, cl bigint, seq bigint)
    STABLE PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_changes_select_wrapper';
CREATE VIEW @extschema@.cloudsync_changes AS SELECT * FROM @extschema@.cloudsync_changes_select();
-- The function acts as its caller in any case; before version 15 a view has no such option.
DO $$ BEGIN
    IF pg_catalog.current_setting('server_version_num')::int >= 150000 THEN
        ALTER VIEW @extschema@.cloudsync_changes SET (security_invoker = true);
    END IF;
END $$;
GRANT SELECT ON @extschema@.cloudsync_changes TO PUBLIC;

-- Values that lost a merge. A conflict appears to those who may SELECT its row and its column now, one of a
-- deleted row only to those who see tombstones.
CREATE FUNCTION @extschema@.cloudsync_conflicts_select()
    RETURNS TABLE (tbl text, pk bytea, col_name text, lost_value text, lost_version bigint, lost_site bytea,
        won_value text, won_version bigint, won_site bytea, reason text, noted_at bigint)
    STABLE PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_conflicts_select_wrapper';
CREATE VIEW @extschema@.cloudsync_conflicts AS
SELECT c.tbl, c.pk, c.col_name,
    c.lost_value, c.lost_version, to_timestamp((c.lost_version >> 16) / 1000.0) AS lost_at, c.lost_site,
    c.won_value, c.won_version, to_timestamp((c.won_version >> 16) / 1000.0) AS won_at, c.won_site,
    c.reason, to_timestamp(c.noted_at / 1000.0) AS noted_at
FROM @extschema@.cloudsync_conflicts_select() c;
DO $$ BEGIN
    IF pg_catalog.current_setting('server_version_num')::int >= 150000 THEN
        ALTER VIEW @extschema@.cloudsync_conflicts SET (security_invoker = true);
    END IF;
END $$;
GRANT SELECT ON @extschema@.cloudsync_conflicts TO PUBLIC;

-- Payloads. What is applied is written as the caller, all of it or nothing.
CREATE FUNCTION cloudsync.payload_step(state internal, tbl text, pk bytea, col_name text, col_value bytea,
    col_version bigint, db_version bigint, site_id bytea, cl bigint, seq bigint) RETURNS internal
    IMMUTABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_payload_step_wrapper';
CREATE FUNCTION cloudsync.payload_finish(state internal) RETURNS bytea
    IMMUTABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_payload_finish_wrapper';
CREATE AGGREGATE @extschema@.cloudsync_payload_encode(tbl text, pk bytea, col_name text, col_value bytea,
    col_version bigint, db_version bigint, site_id bytea, cl bigint, seq bigint) (
    SFUNC = cloudsync.payload_step, STYPE = internal, FINALFUNC = cloudsync.payload_finish,
    FINALFUNC_MODIFY = READ_WRITE
);
CREATE FUNCTION @extschema@.cloudsync_payload_apply(payload bytea) RETURNS int
    VOLATILE STRICT PARALLEL UNSAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    SET jit = off
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_payload_apply_wrapper';
CREATE FUNCTION @extschema@.cloudsync_payload_decode(payload bytea) RETURNS int
    VOLATILE STRICT PARALLEL UNSAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    SET jit = off
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_payload_apply_wrapper';

-- Keys and values as changes show them. They touch no table; values are printed in the fixed form.
CREATE FUNCTION @extschema@.cloudsync_pk_encode(VARIADIC key "any") RETURNS bytea
    STABLE PARALLEL SAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pk_encode_wrapper';
CREATE FUNCTION @extschema@.cloudsync_pk_decode(pk bytea, index int) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pk_decode_wrapper';
CREATE FUNCTION @extschema@.cloudsync_text_lines(col_value bytea) RETURNS jsonb
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_text_lines_wrapper';
CREATE FUNCTION @extschema@.cloudsync_encode_value(value anyelement) RETURNS bytea
    STABLE PARALLEL SAFE
    SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'iso_8601' SET extra_float_digits = 1 SET bytea_output = 'hex'
    SET lc_monetary = 'C' SET array_nulls = on SET xmloption = content
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_encode_value_wrapper';
CREATE FUNCTION @extschema@.cloudsync_uuid_text(id bytea, dash boolean DEFAULT true) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_uuid_text_wrapper';
CREATE FUNCTION @extschema@.cloudsync_uuid_text(id bytea, dash int) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
    AS 'SELECT @extschema@.cloudsync_uuid_text(id, dash OPERATOR(pg_catalog.<>) 0)';
CREATE FUNCTION @extschema@.cloudsync_uuid_blob(id text) RETURNS bytea
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_uuid_blob_wrapper';

-- Capture: what the statement triggers of synced tables call.
CREATE FUNCTION cloudsync.capture() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_capture_wrapper';
CREATE FUNCTION cloudsync.local_stamp(highest bigint) RETURNS bigint
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_local_stamp_wrapper';
CREATE FUNCTION cloudsync.insert_delta(stamp bigint) RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_insert_delta_wrapper';
CREATE FUNCTION cloudsync.delete_delta(stamp bigint, algorithm int) RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_delete_delta_wrapper';
CREATE FUNCTION cloudsync.row_delta(columns bytea, stamp bigint, VARIADIC old_new "any") RETURNS bytea
    IMMUTABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_row_delta_wrapper';
CREATE FUNCTION cloudsync.row_exists(table_id int, relation oid, VARIADIC key "any") RETURNS bool
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_row_exists_wrapper';
CREATE FUNCTION cloudsync.join_deltas(a bytea, b bytea) RETURNS bytea
    IMMUTABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_join_deltas_wrapper';
CREATE FUNCTION cloudsync.clock_touch(clock bytea, delta bytea, algorithm int) RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_clock_touch_wrapper';
CREATE FUNCTION cloudsync.clock_is_alive(clock bytea) RETURNS bool
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_clock_is_alive_wrapper';
CREATE FUNCTION cloudsync.clock_highest(clock bytea) RETURNS bigint
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_clock_highest_wrapper';
CREATE FUNCTION cloudsync.base_clock() RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_base_clock_wrapper';
CREATE FUNCTION cloudsync.collect_lines(document bytea, before bigint) RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_collect_lines_wrapper';
CREATE FUNCTION cloudsync.pack_rows(rows bigint[]) RETURNS bytea
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pack_rows_wrapper';
-- What the triggers of watched tables call. It acts as its owner, since the writer has no right on the
-- log; it takes nothing from the writer but whether there are rows.
CREATE FUNCTION cloudsync.note_write() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM cloudsync_old) THEN RETURN NULL; END IF;
    ELSIF TG_OP IN ('INSERT', 'UPDATE') THEN
        IF NOT EXISTS (SELECT FROM cloudsync_new) THEN RETURN NULL; END IF;
    END IF;
    INSERT INTO cloudsync.log (xid, table_id, site, rows)
    SELECT pg_current_xact_id(), -w.id, 0, cloudsync.pack_rows('{}')
    FROM cloudsync.watched w WHERE w.relation = TG_RELID;
    RETURN NULL;
END $$;
CREATE FUNCTION cloudsync.clock_json(clock bytea) RETURNS text
    IMMUTABLE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_clock_json_wrapper';
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cloudsync FROM PUBLIC;

-- Setting tables up. The caller must own the table.
CREATE FUNCTION @extschema@.cloudsync_init(table_name text, algorithm text DEFAULT 'cls', flags int DEFAULT 0)
    RETURNS bytea VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_init_wrapper';
CREATE FUNCTION @extschema@.cloudsync_cleanup(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_cleanup_wrapper';
CREATE FUNCTION @extschema@.cloudsync_enable(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_enable_wrapper';
CREATE FUNCTION @extschema@.cloudsync_disable(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_disable_wrapper';
CREATE FUNCTION @extschema@.cloudsync_is_enabled(table_name text) RETURNS boolean
    STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_is_enabled_wrapper';

-- Tables from SQLite's own CREATE TABLE. They are made as the caller, who needs CREATE on the schema. The
-- default for the schema is evaluated in the caller's search path, everything else in the one named here.
CREATE FUNCTION @extschema@.cloudsync_create_table(ddl text, schema text DEFAULT pg_catalog.current_schema(),
    algorithm text DEFAULT 'cls', flags int DEFAULT 0) RETURNS text[]
    VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, @extschema@, pg_temp
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_create_table_wrapper';
-- The same for a device: takes and answers a message of the wire format.
CREATE FUNCTION @extschema@.cloudsync_create_tables(request bytea, schema text DEFAULT pg_catalog.current_schema())
    RETURNS bytea
    VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, @extschema@, pg_temp
    LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_create_tables_wrapper';
CREATE FUNCTION @extschema@.cloudsync_translate_ddl(ddl text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_translate_ddl_wrapper';

-- Facts.
CREATE FUNCTION @extschema@.cloudsync_version() RETURNS text
    IMMUTABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_version_wrapper';
CREATE FUNCTION @extschema@.cloudsync_siteid() RETURNS bytea
    STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_siteid_wrapper';
CREATE FUNCTION @extschema@.cloudsync_db_version() RETURNS bigint
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_db_version_wrapper';
CREATE FUNCTION @extschema@.cloudsync_uuid() RETURNS uuid
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_uuid_wrapper';

-- The horizon: forgets what changed, and what was deleted, more than so many days ago. Whoever it is granted to
-- needs no right on the metadata. It waits for nobody but another call: what is in use stays for the next one.
CREATE FUNCTION @extschema@.cloudsync_collect(days int DEFAULT 90, OUT deleted_rows bigint, OUT log_entries bigint,
    OUT line_edits bigint, OUT texts bigint)
    VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp LANGUAGE plpgsql AS $$
DECLARE
    batch CONSTANT int := 10000;
    before timestamptz;
    bound bigint;
    until xid8;
    removed xid8;
    removed_edit xid8;
    synced record;
    after bigint;
    upto bigint;
    gone bigint[];
    counted bigint;
BEGIN
    IF days < 0 OR days > 36500 THEN
        RAISE EXCEPTION 'the number of days is from 0 to 36500, not %', days USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM cloudsync.horizon FOR UPDATE;
    before := clock_timestamp() - make_interval(days => days);
    bound := floor(extract(epoch FROM before) * 1000)::bigint << 16;
    deleted_rows := 0;
    log_entries := 0;
    line_edits := 0;
    texts := 0;
    -- The first transaction that is to remain: one that is young, or that some snapshot to come may not see.
    SELECT least(pg_snapshot_xmin(pg_current_snapshot()),
        (SELECT l.xid FROM cloudsync.log l WHERE l.noted_at >= before ORDER BY l.xid LIMIT 1)) INTO until;
    SELECT l.xid INTO removed FROM cloudsync.log l WHERE l.xid < until ORDER BY l.xid DESC LIMIT 1;
    SELECT l.xid INTO removed_edit FROM cloudsync.text_log l WHERE l.xid < until ORDER BY l.xid DESC LIMIT 1;
    UPDATE cloudsync.horizon h
    SET xid = greatest(h.xid, removed, removed_edit), version = greatest(h.version, bound);
    LOOP
        DELETE FROM cloudsync.log l
        WHERE l.ctid = ANY (ARRAY(SELECT o.ctid FROM cloudsync.log o WHERE o.xid < until ORDER BY o.xid LIMIT batch));
        GET DIAGNOSTICS counted = ROW_COUNT;
        EXIT WHEN counted = 0;
        log_entries := log_entries + counted;
    END LOOP;
    LOOP
        DELETE FROM cloudsync.text_log l
        WHERE l.ctid = ANY (ARRAY(SELECT o.ctid FROM cloudsync.text_log o WHERE o.xid < until LIMIT batch));
        GET DIAGNOSTICS counted = ROW_COUNT;
        EXIT WHEN counted = 0;
        line_edits := line_edits + counted;
    END LOOP;
    -- Clocks of deleted rows. Their last transaction, of which xmin is the lower half, is one before the first that
    -- remains, so that every cursor that still counts has seen it.
    FOR synced IN SELECT t.id FROM cloudsync.tables t ORDER BY t.id LOOP
        after := 0;
        LOOP
            EXECUTE format('SELECT max(p.row_id) FROM (SELECT c.row_id FROM cloudsync.clock_%s c
                WHERE c.row_id > $1 ORDER BY c.row_id LIMIT $2) p', synced.id) INTO upto USING after, batch;
            EXIT WHEN upto IS NULL;
            EXECUTE format('WITH dead AS (SELECT c.row_id FROM cloudsync.clock_%1$s c,
                    (SELECT pg_current_xact_id()::text::bigint AS xid) now
                WHERE c.row_id > $1 AND c.row_id <= $2 AND NOT cloudsync.clock_is_alive(c.clock)
                    AND cloudsync.clock_highest(c.clock) < $3
                    AND now.xid - ((now.xid - c.xmin::text::bigint) & 4294967295) < $4::text::bigint
                FOR UPDATE OF c SKIP LOCKED),
                gone AS (DELETE FROM cloudsync.clock_%1$s c USING dead d WHERE c.row_id = d.row_id RETURNING c.row_id)
                SELECT array_agg(g.row_id) FROM gone g', synced.id) INTO gone USING after, upto, bound, until;
            after := upto;
            CONTINUE WHEN gone IS NULL;
            deleted_rows := deleted_rows + cardinality(gone);
            DELETE FROM cloudsync.conflicts x WHERE x.table_id = synced.id AND x.row_id = ANY (gone);
            UPDATE cloudsync.tables t SET collected = greatest(t.collected, (SELECT max(g) FROM unnest(gone) g))
            WHERE t.id = synced.id;
        END LOOP;
    END LOOP;
    -- Deleted lines, of texts whose edits every cursor that still counts has seen: the log has none any more.
    FOR synced IN SELECT t.id FROM cloudsync.tables t ORDER BY t.id LOOP
        after := 0;
        LOOP
            SELECT max(p.row_id) INTO upto FROM (SELECT x.row_id FROM cloudsync.texts x
                WHERE x.table_id = synced.id AND x.row_id > after ORDER BY x.row_id LIMIT batch) p;
            EXIT WHEN upto IS NULL;
            WITH shorter AS (SELECT x.row_id, x.attnum, cloudsync.collect_lines(x.document, bound) AS document
                FROM cloudsync.texts x WHERE x.table_id = synced.id AND x.row_id > after AND x.row_id <= upto
                    AND NOT EXISTS (SELECT FROM cloudsync.text_log l
                        WHERE l.table_id = x.table_id AND l.row_id = x.row_id AND l.attnum = x.attnum)
                FOR UPDATE OF x SKIP LOCKED)
            UPDATE cloudsync.texts x SET document = s.document FROM shorter s
            WHERE x.table_id = synced.id AND x.row_id = s.row_id AND x.attnum = s.attnum AND s.document IS NOT NULL;
            GET DIAGNOSTICS counted = ROW_COUNT;
            texts := texts + counted;
            after := upto;
        END LOOP;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION @extschema@.cloudsync_collect(int) FROM PUBLIC;

-- Settings.
CREATE FUNCTION @extschema@.cloudsync_set(key text, value text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_set_wrapper';
CREATE FUNCTION @extschema@.cloudsync_set_table(table_name text, key text, value text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_set_table_wrapper';
CREATE FUNCTION @extschema@.cloudsync_set_column(table_name text, column_name text, key text, value text)
    RETURNS boolean VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_set_column_wrapper';
CREATE FUNCTION @extschema@.cloudsync_set_filter(table_name text, filter text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_set_filter_wrapper';
CREATE FUNCTION @extschema@.cloudsync_clear_filter(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_clear_filter_wrapper';
-- A text is always whole in its column: this only says whether such a row is there for the caller.
CREATE FUNCTION @extschema@.cloudsync_text_materialize(table_name text, column_name text, VARIADIC key "any")
    RETURNS int VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_text_materialize_wrapper';
CREATE FUNCTION @extschema@.cloudsync_table_schema(table_name text) RETURNS text
    STABLE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_table_schema_wrapper';
CREATE FUNCTION @extschema@.cloudsync_begin_alter(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_begin_alter_wrapper';
CREATE FUNCTION @extschema@.cloudsync_commit_alter(table_name text) RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_commit_alter_wrapper';
CREATE FUNCTION @extschema@.cloudsync_terminate() RETURNS boolean
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_terminate_wrapper';

-- Table names are resolved in the caller's search path; these two show and set it.
CREATE FUNCTION @extschema@.cloudsync_schema() RETURNS text
    STABLE LANGUAGE sql AS 'SELECT pg_catalog.current_schema()::pg_catalog.text';
CREATE FUNCTION @extschema@.cloudsync_set_schema(name text) RETURNS boolean
    VOLATILE LANGUAGE sql
    AS 'SELECT pg_catalog.set_config(''search_path'', pg_catalog.quote_ident(name) OPERATOR(pg_catalog.||) '', @extschema@'', false) IS NOT NULL';

-- A payload tells of changes as made by whatever sites it names. Whom to trust with that is for the owner
-- to say.
REVOKE ALL ON FUNCTION @extschema@.cloudsync_payload_apply(bytea), @extschema@.cloudsync_payload_decode(bytea)
    FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cloudsync_set(text, text),
    @extschema@.cloudsync_set_filter(text, text), @extschema@.cloudsync_clear_filter(text),
    @extschema@.cloudsync_set_table(text, text, text),
    @extschema@.cloudsync_set_column(text, text, text, text), @extschema@.cloudsync_table_schema(text),
    @extschema@.cloudsync_text_materialize(text, text, "any"),
    @extschema@.cloudsync_begin_alter(text), @extschema@.cloudsync_commit_alter(text),
    @extschema@.cloudsync_terminate(), @extschema@.cloudsync_schema(),
    @extschema@.cloudsync_set_schema(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cloudsync_create_table(text, text, text, int),
    @extschema@.cloudsync_create_tables(bytea, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cloudsync_init(text, text, int), @extschema@.cloudsync_cleanup(text),
    @extschema@.cloudsync_enable(text), @extschema@.cloudsync_disable(text),
    @extschema@.cloudsync_is_enabled(text), @extschema@.cloudsync_siteid(),
    @extschema@.cloudsync_db_version() FROM PUBLIC;
