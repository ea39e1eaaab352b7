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
VALUES ('epoch', replace(gen_random_uuid()::text, '-', ''));

-- Every replica that wrote something here, by the number under which clocks name it. 0 is this one.
CREATE TABLE cloudsync.sites (
    ordinal int PRIMARY KEY,
    site_id bytea NOT NULL UNIQUE CHECK (length(site_id) = 16)
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
    enabled bool NOT NULL DEFAULT true
);

-- Per table and column: what cloudsync_set_table() and cloudsync_set_column() set.
CREATE TABLE cloudsync.table_settings (
    table_id int NOT NULL REFERENCES cloudsync.tables ON DELETE CASCADE,
    col_name text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (table_id, col_name, key)
);

-- What changed in which transaction: one row for each statement that touched rows of a synced table.
-- What is new to a reader are rows whose xid was not visible in its snapshot.
CREATE TABLE cloudsync.log (
    xid xid8 NOT NULL,
    table_id int NOT NULL,
    site int NOT NULL,
    rows bytea NOT NULL
);
CREATE INDEX log_xid ON cloudsync.log (xid);

REVOKE ALL ON ALL TABLES IN SCHEMA cloudsync FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA cloudsync FROM PUBLIC;

-- The protocol. Both run as the caller, under the caller's row-level security.
CREATE FUNCTION @extschema@.cloudsync_push(request bytea) RETURNS bytea
    VOLATILE STRICT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_push_wrapper';
CREATE FUNCTION @extschema@.cloudsync_pull(request bytea) RETURNS bytea
    STABLE STRICT PARALLEL UNSAFE LANGUAGE c AS 'MODULE_PATHNAME', 'cloudsync_pull_wrapper';
