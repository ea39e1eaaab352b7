//! Values made up by chance, as literals of each engine.

use crate::random::Random;

/// The columns of the table that generated values go into: name, type on the server, type on a device.
pub const COLUMNS: &[(&str, &str, &str)] = &[
    ("small", "smallint", "INTEGER"),
    ("whole", "integer", "INTEGER"),
    ("big", "bigint", "INTEGER"),
    ("truth", "boolean", "INTEGER"),
    ("single", "real", "REAL"),
    ("double", "double precision", "REAL"),
    ("exact", "numeric", "TEXT"),
    ("price", "numeric(12,2)", "TEXT"),
    ("words", "text", "TEXT"),
    ("bytes", "bytea", "BLOB"),
    ("uid", "uuid", "TEXT"),
    ("day", "date", "TEXT"),
    ("clock", "time", "TEXT"),
    ("moment", "timestamp", "TEXT"),
    ("instant", "timestamptz", "TEXT"),
    ("span", "interval", "TEXT"),
    ("doc", "jsonb", "TEXT"),
    ("numbers", "bigint[]", "TEXT"),
    ("lines", "text[]", "TEXT"),
    ("doubles", "double precision[]", "TEXT"),
    ("extent", "tstzrange", "TEXT"),
];

/// A value of a column as a literal of the server, sometimes NULL.
pub fn server_literal(random: &mut Random, column: &str) -> String {
    if random.below(12) == 0 {
        return "NULL".to_owned();
    }
    let text = match column {
        "small" => (random.next_number() as i16).to_string(),
        "whole" => (random.next_number() as i32).to_string(),
        "big" => big(random).to_string(),
        "truth" => (random.below(2) == 0).to_string(),
        "single" => format!("{:e}", single(random)),
        "double" => spelled(double(random)),
        "exact" => exact(random),
        "price" => format!("{}.{:02}", random.next_number() as i32, random.below(100)),
        "words" => words(random),
        "bytes" => format!("\\x{}", hex(random)),
        "uid" => uuid(random),
        "day" => day(random),
        "clock" => clock(random),
        "moment" => moment(random),
        "instant" => instant(random),
        "span" => span(random),
        "doc" => format!(
            r#"{{"k{}": [{}, "{}", null]}}"#,
            random.below(9),
            exact(random).replace("NaN", "1"),
            uuid(random)
        ),
        "numbers" => list(random, |random| big(random).to_string()),
        "lines" => {
            list(random, |random| format!("\"{}\"", words(random).replace('\\', "\\\\").replace('"', "\\\"")))
        }
        "doubles" => list(random, |random| spelled(double(random))),
        "extent" => extent(random),
        other => panic!("no generator for column {other}"),
    };
    quoted(&text)
}

/// A value that an application of a device may store in a column, as a literal of SQLite: mostly of the
/// column's own kind, in forms that the server may write otherwise.
pub fn device_literal(random: &mut Random, column: &str) -> String {
    match (column, random.below(4)) {
        (_, 0) => "NULL".to_owned(),
        ("small" | "whole" | "big", _) => (random.next_number() as i16).to_string(),
        ("truth", _) => (*random.pick(&["0", "1", "'true'", "'f'", "'yes'", "'0'"])).to_owned(),
        ("single" | "double", 1) => (random.next_number() as i32).to_string(),
        ("single", _) => format!("{:e}", single(random)).replace("inf", "9e999"),
        ("double", _) => spelled(double(random)).replace("Infinity", "9e999"),
        ("exact" | "price", 1) => (random.next_number() as i16).to_string(),
        ("exact" | "price", 2) => format!("{}.5e2", random.next_number() as i16),
        ("price", _) => format!("'{}.5'", random.below(10_000)),
        ("bytes", _) => format!("x'{}'", hex(random)),
        ("uid", 1) => quoted(&uuid(random).to_uppercase()),
        ("uid", 2) => quoted(&uuid(random).replace('-', "")),
        ("day", 1) => quoted(&day(random).replace('-', "/")),
        ("instant", 1) => quoted(&instant(random).replacen(' ', "T", 1)),
        ("doc", 1) => "'{\"b\": 1.50,   \"a\": true}'".to_owned(),
        ("numbers", 1) => "'{ 1 , null , 007 }'".to_owned(),
        _ => match server_literal(random, column).as_str() {
            "NULL" => "NULL".to_owned(),
            literal => literal.to_owned(),
        },
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn big(random: &mut Random) -> i64 {
    let shift = random.below(64);
    (random.next_number() as i64) >> shift
}

fn single(random: &mut Random) -> f32 {
    let number = f32::from_bits(random.next_number() as u32);
    if number.is_finite() { number } else { 0.1 }
}

/// Any bits but those of NaN; -0.0 is left out, as a REAL column of SQLite has none.
fn double(random: &mut Random) -> f64 {
    let number = f64::from_bits(random.next_number());
    match random.below(20) {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => f64::from_bits(random.below(1 << 52).max(1)),
        3 => big(random) as f64 + 0.0,
        _ if number.is_nan() => 0.1,
        _ => number,
    }
}

fn spelled(number: f64) -> String {
    if number.is_infinite() {
        format!("{}Infinity", if number < 0.0 { "-" } else { "" })
    } else {
        format!("{number:e}")
    }
}

fn exact(random: &mut Random) -> String {
    let digits = |random: &mut Random, most: u64| -> String {
        (0..=random.below(most)).map(|_| char::from(b'0' + random.below(10) as u8)).collect()
    };
    match random.below(10) {
        0 => "NaN".to_owned(),
        1 => format!("{}{}", random.below(9) + 1, digits(random, 400)),
        2 => format!("0.{}", digits(random, 400)),
        _ => format!(
            "{}{}.{}",
            if random.below(2) == 0 { "-" } else { "" },
            big(random).unsigned_abs(),
            digits(random, 6)
        ),
    }
}

/// Unicode with what has a meaning in literals, arrays and patterns; no NUL, which is not text.
fn words(random: &mut Random) -> String {
    const PIECES: &[&str] = &[
        "a", "B", " ", "'", "\"", "\\", ",", "{", "}", "NULL", "\n", "\t", "é", "e\u{301}", "漢", "🙂",
        "\u{1}", "\u{feff}", "$1", "%s",
    ];
    (0..random.below(12)).map(|_| *random.pick(PIECES)).collect()
}

fn hex(random: &mut Random) -> String {
    (0..random.below(20)).map(|_| format!("{:02x}", random.below(256))).collect()
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next_number(), random.next_number());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn day(random: &mut Random) -> String {
    format!("{:04}-{:02}-{:02}", random.below(9_999) + 1, random.below(12) + 1, random.below(28) + 1)
}

fn clock(random: &mut Random) -> String {
    let seconds = format!("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60));
    if random.below(2) == 0 { seconds } else { format!("{seconds}.{}", random.below(1_000_000)) }
}

fn moment(random: &mut Random) -> String {
    match random.below(15) {
        0 => "infinity".to_owned(),
        1 => "-infinity".to_owned(),
        2 => format!("{:04}-{} BC", random.below(4_700) + 1, moment_in_year(random)),
        _ => format!("{} {}", day(random), clock(random)),
    }
}

fn moment_in_year(random: &mut Random) -> String {
    format!("{:02}-{:02} {}", random.below(12) + 1, random.below(28) + 1, clock(random))
}

fn instant(random: &mut Random) -> String {
    let zone = *random.pick(&["+00", "+05:30", "-11", "+14", "Z"]);
    format!("{} {}{zone}", day(random), clock(random))
}

fn span(random: &mut Random) -> String {
    format!(
        "{} months {} days {}.{:06} seconds",
        random.next_number() as i16,
        random.next_number() as i16,
        random.next_number() as i32,
        random.below(1_000_000)
    )
}

fn list(random: &mut Random, mut element: impl FnMut(&mut Random) -> String) -> String {
    let elements: Vec<String> = (0..random.below(4))
        .map(|_| if random.below(5) == 0 { "NULL".to_owned() } else { element(random) })
        .collect();
    format!("{{{}}}", elements.join(","))
}

fn extent(random: &mut Random) -> String {
    let year = random.below(5_000) + 1;
    match random.below(4) {
        0 => "empty".to_owned(),
        1 => format!("[{year:04}-01-01 {}+02,)", clock(random)),
        _ => format!("[{year:04}-01-01 {}+02,{:04}-06-01 00:00:00Z]", clock(random), year + 1),
    }
}
