-- Keys of several columns and of types whose equality is not that of their bytes; keys that move.
CREATE TABLE many ("sel""ect" text, n numeric, t timestamptz, u uuid, "user" text,
    PRIMARY KEY (n, "sel""ect", t, u));
SELECT length(cloudsync_init('many'));
INSERT INTO many VALUES ('Aa', 1.0, '2020-01-01 00:00Z', '00000000-0000-0000-0000-000000000001', 'x');
INSERT INTO many VALUES ('Aa', 1.00, '2020-01-01 00:00Z', '00000000-0000-0000-0000-000000000001', 'y')
    ON CONFLICT (n, "sel""ect", t, u) DO UPDATE SET "user" = 'z';
SET timezone = 'UTC';
SELECT * FROM diag.clocks('many');
DELETE FROM many WHERE "sel""ect" = 'Aa';
SELECT * FROM diag.clocks('many');
\echo -- keys swapped by one statement
CREATE TABLE swap (id int PRIMARY KEY DEFERRABLE, v text);
SELECT length(cloudsync_init('swap', 'cls', 1));
INSERT INTO swap SELECT g, 'v' || g FROM generate_series(1, 4) g;
UPDATE swap SET id = id + 1;
SELECT * FROM diag.clocks('swap');
UPDATE swap SET id = 7 - id;
SELECT * FROM diag.clocks('swap');
\echo -- domains, enums, collations
CREATE DOMAIN code AS text CHECK (value <> '');
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE typed (c code, m mood, x text COLLATE "C", v int, PRIMARY KEY (c, m, x));
SELECT length(cloudsync_init('typed'));
INSERT INTO typed VALUES ('k', 'glad', 'é', 1);
UPDATE typed SET v = 2;
SELECT * FROM diag.clocks('typed');
\echo -- keys that are equal and are not one text
CREATE EXTENSION citext;
CREATE TABLE folded (id citext PRIMARY KEY, v int);
SELECT cloudsync_init('folded');
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (id text COLLATE caseless PRIMARY KEY, v int);
SELECT cloudsync_init('collated');
