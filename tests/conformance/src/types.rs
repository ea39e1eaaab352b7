//! The types of PostgreSQL that the tests of values go through, each with the SQLite type to declare and
//! with values that have broken something somewhere.

/// A type with values.
pub struct Sample {
    /// As in CREATE TABLE on the server.
    pub server: &'static str,
    /// As in CREATE TABLE on a device.
    pub device: &'static str,
    /// Literals of the server.
    pub values: &'static [&'static str],
}

const fn sample(server: &'static str, device: &'static str, values: &'static [&'static str]) -> Sample {
    Sample { server, device, values }
}

/// What the samples need on the server.
pub const PREPARATION: &str = "
CREATE SCHEMA types;
CREATE EXTENSION citext SCHEMA types;
CREATE EXTENSION hstore SCHEMA types;
CREATE EXTENSION ltree SCHEMA types;
CREATE TYPE types.mood AS ENUM ('sad', 'so so', 'glad', 'NULL', 'Gla''d\"');
CREATE TYPE types.pair AS (name text, at timestamptz, amount money);
CREATE DOMAIN types.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN types.code AS varchar(5);
CREATE DOMAIN types.short_code AS types.code CHECK (VALUE <> 'no');
CREATE DOMAIN types.tags AS text[];
CREATE DOMAIN types.price AS numeric(10,2);
";

/// The types.
pub const SAMPLES: &[Sample] = &[
    sample("smallint", "INTEGER", &["0", "'-32768'", "32767"]),
    sample("integer", "INTEGER", &["0", "'-2147483648'", "2147483647"]),
    sample("bigint", "INTEGER", &["0", "'-9223372036854775808'", "9223372036854775807", "9007199254740993"]),
    sample("boolean", "INTEGER", &["true", "false"]),
    sample("boolean", "BOOLEAN", &["true", "false"]),
    sample(
        "real",
        "REAL",
        &["0", "0.1", "3.4028235e38", "1.4e-45", "'-Infinity'", "'Infinity'", "16777217", "1.17549e-38"],
    ),
    sample(
        "double precision",
        "REAL",
        &[
            "0",
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            "2.2250738585072014e-308",
            "'Infinity'",
            "'-Infinity'",
            "9007199254740993",
            "1e22",
            "1e23",
            "123456789012345680",
            "-1e-7",
        ],
    ),
    sample("double precision", "", &["'-0'", "0", "1", "1e300"]),
    sample(
        "numeric",
        "TEXT",
        &[
            "0",
            "0.00",
            "1.0",
            "1.00",
            "-0.0001",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "1e-300",
            "repeat('9', 1000)::numeric",
            "('0.' || repeat('1', 1000))::numeric",
            "1e1000",
            "12345678901234567890.5",
        ],
    ),
    sample("numeric(12,4)", "TEXT", &["0", "1.5", "-99999999.9999", "'NaN'"]),
    sample("numeric(5,-2)", "TEXT", &["12345", "-100"]),
    sample("numeric(3,5)", "TEXT", &["0.00123"]),
    sample("money", "TEXT", &["0", "1234567.89", "-0.01", "'-92233720368547758.08'", "92233720368547758.07"]),
    sample(
        "text",
        "TEXT",
        &[
            "''",
            "'NULL'",
            "' a '",
            "E'a\\nb\\tc\\\\'",
            "'é e\u{301} 漢字 🙂'",
            "repeat('x', 100000)",
            "E'\\u0001\\uFFFF'",
            "'0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b'",
            "'1e3'",
            "'007'",
        ],
    ),
    sample("varchar(10)", "TEXT", &["''", "'abc  '", "'十文字十文字十文字十'"]),
    sample("varchar", "VARCHAR", &["''", "'abc  '", "'12'"]),
    sample("char(4)", "TEXT", &["''", "'ab'", "'abcd'", "'é'"]),
    sample("bpchar", "TEXT", &["''", "'ab'"]),
    sample("\"char\"", "TEXT", &["'a'", "''", "''''"]),
    sample("name", "TEXT", &["''", "'abc'", "repeat('é', 31)"]),
    sample("types.citext", "TEXT", &["'Ab'", "'ab'", "''"]),
    sample("bytea", "BLOB", &["''", "'\\x00'", "'\\x00ff80'", "decode(repeat('ab', 5000), 'hex')"]),
    sample(
        "uuid",
        "TEXT",
        &["'0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B'", "'00000000-0000-0000-0000-000000000000'"],
    ),
    sample(
        "date",
        "TEXT",
        &[
            "'2026-02-28'",
            "'infinity'",
            "'-infinity'",
            "'0044-03-15 BC'",
            "'4714-11-24 BC'",
            "'5874897-12-31'",
            "'0001-01-01'",
            "'2000-02-29'",
            "make_date(2026, 3, 4)",
        ],
    ),
    sample("date", "DATE", &["'2026-02-28'", "'infinity'", "'0044-03-15 BC'"]),
    sample("time", "TEXT", &["'00:00'", "'24:00:00'", "'23:59:59.999999'", "'23:59:60'", "'12:00:00.1'"]),
    sample("time(3)", "TEXT", &["'12:00:00.123456'"]),
    sample("timetz", "TEXT", &["'12:00:00+05:30'", "'24:00:00-15:59:59'", "'00:00:00+00'"]),
    sample(
        "timestamp",
        "TEXT",
        &[
            "'2026-02-28 13:14:15.123456'",
            "'infinity'",
            "'-infinity'",
            "'0044-03-15 01:02:03 BC'",
            "'4714-11-24 00:00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
            "make_timestamp(2026, 3, 4, 5, 6, 7.5)",
        ],
    ),
    sample(
        "timestamptz",
        "TEXT",
        &[
            "'2026-02-28 13:14:15.123456+05:30'",
            "'infinity'",
            "'-infinity'",
            "'0044-03-15 01:02:03+00 BC'",
            "'294276-12-31 23:59:59.999999+00'",
            "'1890-01-01 00:00:00+00'",
            "'2026-03-29 01:30:00+00'",
            "'2026-10-25 00:30:00+00'",
            "'2026-10-25 01:30:00+00'",
        ],
    ),
    sample("timestamptz(0)", "TEXT", &["'2026-02-28 13:14:15.6+00'"]),
    sample(
        "interval",
        "TEXT",
        &[
            "'0'",
            "'1 year -2 months 3 days -04:05:06.789'",
            "'-1 mon 1 day'",
            "'-0.000001 s'",
            "'178000000 years'",
            "'-178000000 years'",
            "'2147483647 days'",
            "make_interval(secs => 1e-6)",
            "'1000000 hours'",
            "'999999999 hours 59 min 59.999999 s'",
            "'-999999999 hours -0.5 s'",
            "'0.1 s'",
            "'1 day 0.000001 s'",
        ],
    ),
    sample("interval day to second(2)", "TEXT", &["'3 days 04:05:06.789'"]),
    sample(
        "json",
        "TEXT",
        &["'{\"b\":1, \"a\" : [1.0, \"\\u0000 é\"], \"a\": null}'", "'1'", "'null'", "'\"x\"'", "'1.0'"],
    ),
    sample(
        "jsonb",
        "TEXT",
        &[
            "'{\"b\":1, \"a\" : [1.0, \"\\u0007 é\"], \"a\": 1e400}'",
            "'12345678901234567890'",
            "'null'",
            "'1.0'",
        ],
    ),
    sample("jsonpath", "TEXT", &["'$.a[*] ? (@ > 1)'"]),
    sample("xml", "TEXT", &["'<a>b&lt;</a>'", "'text <b/>'"]),
    sample("inet", "TEXT", &["'10.0.0.1'", "'10.0.0.1/8'", "'::1'", "'::ffff:1.2.3.4/120'"]),
    sample("cidr", "TEXT", &["'10.0.0.0/8'", "'10.1.2.3'", "'::/0'"]),
    sample("macaddr", "TEXT", &["'08:00:2b:01:02:03'"]),
    sample("macaddr8", "TEXT", &["'08:00:2b:01:02:03:04:05'"]),
    sample("bit(5)", "TEXT", &["B'00101'", "B'00000'"]),
    sample("bit varying(9)", "TEXT", &["B''", "B'101'"]),
    sample("bit varying", "TEXT", &["repeat('01', 300)::varbit"]),
    sample("tsvector", "TEXT", &["to_tsvector('english', 'a fat cat''s \\\\ tail')", "''"]),
    sample("tsquery", "TEXT", &["'fat & (rat | !cat:AB) <2> x:*'"]),
    sample("oid", "INTEGER", &["0", "4294967295"]),
    sample("regclass", "INTEGER", &["'types.pair'", "'pg_class'"]),
    sample("pg_lsn", "TEXT", &["'16/B374D848'"]),
    sample("point", "TEXT", &["'(0.1,-1e300)'", "'(Infinity,NaN)'"]),
    sample("polygon", "TEXT", &["'((0,0),(1,0.1),(1,1))'"]),
    sample("circle", "TEXT", &["'<(0.1,0.2),3.3>'"]),
    sample("int4range", "TEXT", &["'empty'", "'[1,5)'", "'(,)'", "'[3,]'"]),
    sample("numrange", "TEXT", &["'(1.10,2.200]'"]),
    sample("tstzrange", "TEXT", &["'[2026-01-01 00:00+02, infinity)'", "'(,\"0044-03-15 01:02:03+00 BC\"]'"]),
    sample("int4multirange", "TEXT", &["'{}'", "'{[1,3),[7,9)}'"]),
    sample(
        "text[]",
        "TEXT",
        &[
            "'{}'",
            "ARRAY['a', NULL, 'NULL', '', 'x\"y\\\\z', '{},', ' ']",
            "'[2:3]={a,b}'",
            "'{{a,b},{c,d}}'",
        ],
    ),
    sample("integer[]", "TEXT", &["'{}'", "'{1,NULL,-3}'"]),
    sample("uuid[]", "TEXT", &["ARRAY['0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B'::uuid]"]),
    sample(
        "timestamptz[]",
        "TEXT",
        &["ARRAY['2026-02-28 13:14:15.123456+05:30'::timestamptz, 'infinity', '0044-03-15 01:02:03+00 BC']"],
    ),
    sample("date[]", "TEXT", &["ARRAY['2026-03-04'::date, NULL]"]),
    sample("interval[]", "TEXT", &["ARRAY['1 mon -1 day 00:00:00.1'::interval]"]),
    sample("bytea[]", "TEXT", &["ARRAY['\\x00ff'::bytea, '']"]),
    sample("double precision[]", "TEXT", &["ARRAY[0.1, 1e22, 'NaN', '-0', 5e-324]::float8[]"]),
    sample("real[]", "TEXT", &["ARRAY[0.1, 16777217, 'Infinity']::real[]"]),
    sample("money[]", "TEXT", &["ARRAY[1234.5::money]"]),
    sample("types.mood[]", "TEXT", &["ARRAY['NULL', 'so so', 'Gla''d\"']::types.mood[]"]),
    sample("types.mood", "TEXT", &["'sad'", "'so so'", "'Gla''d\"'", "'NULL'"]),
    sample(
        "types.pair",
        "TEXT",
        &[
            "('a,\"b\\', '2026-02-28 13:14:15.123456+05:30', -12345.67)",
            "(NULL, NULL, NULL)",
            "('a', NULL, 1)",
        ],
    ),
    sample("types.pair[]", "TEXT", &["ARRAY[ROW('x', '2026-03-04 00:00+00', 1)]::types.pair[]"]),
    sample("types.hstore", "TEXT", &["'a=>1, \"b c\"=>NULL, \"\"=>\"\\\"\"'"]),
    sample("types.ltree", "TEXT", &["'a.b_c.d'"]),
    sample("types.positive", "INTEGER", &["1", "2147483647"]),
    sample("types.short_code", "TEXT", &["'abcde'", "'a '"]),
    sample("types.tags", "TEXT", &["ARRAY['a', 'b c']"]),
    sample("types.price", "TEXT", &["1.5", "-0.01"]),
];

/// One table for each sample, named `t0`, `t1` and so on.
pub fn server_tables() -> String {
    let tables = SAMPLES.iter().enumerate();
    let tables =
        tables.map(|(at, sample)| format!("CREATE TABLE t{at} (id text PRIMARY KEY, v {});", sample.server));
    tables.collect()
}

/// The same on a device.
pub fn device_tables() -> String {
    let tables = SAMPLES.iter().enumerate();
    let tables = tables.map(|(at, sample)| {
        format!("CREATE TABLE t{at} (id TEXT PRIMARY KEY NOT NULL, v {});", sample.device)
    });
    tables.collect()
}

/// The names of the tables.
pub fn names() -> Vec<String> {
    (0..SAMPLES.len()).map(|at| format!("t{at}")).collect()
}
