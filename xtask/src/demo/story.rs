//! Edits made offline at the same time, and what the rules make of them.

use anyhow::Result;

use super::compare::Replicas;

#[derive(Clone, Copy)]
enum Place {
    A,
    B,
    Server,
}

/// Edits that meet, in the order in which they are made: the clocks are those of the day.
struct Encounter {
    title: &'static str,
    edits: &'static [(Place, &'static str)],
    /// Valid on both engines; returns one text.
    query: &'static str,
    /// What every replica must answer.
    outcome: &'static str,
    /// The rule that decides it.
    rule: &'static str,
}

const ENCOUNTERS: &[Encounter] = &[
    Encounter {
        title: "A and B edit different columns of one row",
        edits: &[
            (Place::A, "UPDATE airports SET name = 'San Francisco Intl' WHERE iata = 'SFO'"),
            (Place::B, "UPDATE airports SET city = 'San Francisco Bay' WHERE iata = 'SFO'"),
        ],
        query: "SELECT name || ', ' || city FROM airports WHERE iata = 'SFO'",
        outcome: "San Francisco Intl, San Francisco Bay",
        rule: "both survive: columns merge one by one",
    },
    Encounter {
        title: "A and then B edit the same column",
        edits: &[
            (Place::A, "UPDATE airports SET name = 'Kennedy, says A' WHERE iata = 'JFK'"),
            (Place::B, "UPDATE airports SET name = 'Kennedy, says B' WHERE iata = 'JFK'"),
        ],
        query: "SELECT name FROM airports WHERE iata = 'JFK'",
        outcome: "Kennedy, says B",
        rule: "the last in time wins",
    },
    Encounter {
        title: "A, B and then the server edit the same column",
        edits: &[
            (Place::A, "UPDATE states SET population = 1 WHERE code = 'CA'"),
            (Place::B, "UPDATE states SET population = 2 WHERE code = 'CA'"),
            (Place::Server, "UPDATE states SET population = 3 WHERE code = 'CA'"),
        ],
        query: "SELECT population FROM states WHERE code = 'CA'",
        outcome: "3",
        rule: "the server is one more writer",
    },
    Encounter {
        title: "the server and then A edit the same column",
        edits: &[
            (Place::Server, "UPDATE states SET capital = 'Albany, says the server' WHERE code = 'NY'"),
            (Place::A, "UPDATE states SET capital = 'Albany, says A' WHERE code = 'NY'"),
        ],
        query: "SELECT capital FROM states WHERE code = 'NY'",
        outcome: "Albany, says A",
        rule: "and wins no more often than others",
    },
    Encounter {
        title: "A deletes what B edits",
        edits: &[
            (Place::A, "DELETE FROM routes WHERE id = 'ABE-ATL'"),
            (Place::B, "UPDATE routes SET flights = flights + 1 WHERE id = 'ABE-ATL'"),
        ],
        query: "SELECT count(*) FROM routes WHERE id = 'ABE-ATL'",
        outcome: "0",
        rule: "a delete beats an edit",
    },
    Encounter {
        title: "the server deletes what A edits",
        edits: &[
            (Place::Server, "DELETE FROM routes WHERE id = 'JFK-LAX'"),
            (Place::A, "UPDATE routes SET flights = 0 WHERE id = 'JFK-LAX'"),
        ],
        query: "SELECT count(*) FROM routes WHERE id = 'JFK-LAX'",
        outcome: "0",
        rule: "the same, written on the server",
    },
    Encounter {
        title: "A deletes a row and inserts it anew, B edits it",
        edits: &[
            (Place::B, "UPDATE routes SET flights = -1 WHERE id = 'ABE-CLE'"),
            (Place::A, "DELETE FROM routes WHERE id = 'ABE-CLE'"),
            (Place::A, "INSERT INTO routes VALUES ('ABE-CLE', 'ABE', 'CLE', 4242)"),
        ],
        query: "SELECT flights FROM routes WHERE id = 'ABE-CLE'",
        outcome: "4242",
        rule: "the new row is another life",
    },
    Encounter {
        title: "A and then B insert the same key",
        edits: &[
            (Place::A, "INSERT INTO countries(name, region, income) VALUES ('Atlantis', 'sunken', 1)"),
            (Place::B, "INSERT INTO countries(name, region, income) VALUES ('Atlantis', 'risen', 2)"),
        ],
        query: "SELECT region || ' ' || income FROM countries WHERE name = 'Atlantis'",
        outcome: "risen 2",
        rule: "one row, the last values",
    },
    Encounter {
        title: "B inserts rows that refer to one another",
        edits: &[
            (Place::B, "INSERT INTO states(code, name) VALUES ('ZZ', 'Nowhere')"),
            (Place::B, "INSERT INTO airports(iata, name, state) VALUES ('ZZZ', 'Nowhere Intl', 'ZZ')"),
            (
                Place::B,
                "INSERT INTO routes(id, origin, destination, flights) VALUES ('ZZZ-SFO', 'ZZZ', 'SFO', 7)",
            ),
        ],
        query: "SELECT s.name || ' ' || r.flights FROM routes r JOIN airports a ON a.iata = r.origin
                JOIN states s ON s.code = a.state WHERE r.id = 'ZZZ-SFO'",
        outcome: "Nowhere 7",
        rule: "parents go first",
    },
    Encounter {
        title: "the server inserts, with plain SQL",
        edits: &[(
            Place::Server,
            "INSERT INTO airports(iata, name, state) VALUES ('QQQ', 'Server Field', 'CA')",
        )],
        query: "SELECT name FROM airports WHERE iata = 'QQQ'",
        outcome: "Server Field",
        rule: "no other way to write is needed",
    },
    Encounter {
        title: "A sets NULL, B writes quotes and signs of all kinds",
        edits: &[
            (Place::A, "UPDATE countries SET region = NULL WHERE name = 'France'"),
            (Place::B, "UPDATE countries SET region = 'Zürich''s \"Straße\" 東京 🛫' WHERE name = 'Japan'"),
        ],
        query: "SELECT coalesce(f.region, 'NULL') || ' ' || j.region FROM countries f, countries j
                WHERE f.name = 'France' AND j.name = 'Japan'",
        outcome: "NULL Zürich's \"Straße\" 東京 🛫",
        rule: "values arrive as they were",
    },
    Encounter {
        title: "A and B each edit a column of many rows",
        edits: &[
            (Place::A, "UPDATE flights SET delay = 1000 WHERE origin = 'ATL'"),
            (Place::B, "UPDATE flights SET distance = 2000 WHERE origin = 'ATL'"),
        ],
        query: "SELECT min(delay) || ' ' || max(delay) || ' ' || min(distance) || ' ' || max(distance)
                FROM flights WHERE origin = 'ATL'",
        outcome: "1000 1000 2000 2000",
        rule: "columns merge one by one",
    },
];

/// Makes all edits, each where it belongs, and prints them.
pub fn edit(replicas: &Replicas) -> Result<()> {
    for encounter in ENCOUNTERS {
        println!("  {}", encounter.title);
        for (place, sql) in encounter.edits {
            println!("    {:<7} {sql}", name(*place));
            at(replicas, *place, sql)?;
        }
    }
    Ok(())
}

/// Asks everyone what became of the edits; returns how many outcomes are not as the rules say.
pub fn print_outcomes(replicas: &Replicas) -> Result<usize> {
    let mut wrong = 0;
    for Encounter { title, query, outcome, rule, .. } in ENCOUNTERS {
        println!("  {title}: {rule}");
        let mut answers = Vec::new();
        for place in [Place::A, Place::B, Place::Server] {
            answers.push((name(place), at(replicas, place, query)?));
        }
        if answers.iter().all(|(_, answer)| answer == outcome) {
            println!("    everywhere: {outcome}");
            continue;
        }
        wrong += 1;
        println!("    WRONG, should be: {outcome}");
        answers.iter().for_each(|(name, answer)| println!("    {name:<7} {answer}"));
    }
    Ok(wrong)
}

fn at(replicas: &Replicas, place: Place, sql: &str) -> Result<String> {
    let printed = match place {
        Place::A => replicas.a.run(&format!("{sql};")),
        Place::B => replicas.b.run(&format!("{sql};")),
        Place::Server => replicas.server.query(sql),
    };
    Ok(printed?.trim().to_owned())
}

fn name(place: Place) -> &'static str {
    match place {
        Place::A => "A",
        Place::B => "B",
        Place::Server => "server",
    }
}
