//! The data: airports, flights and films of the npm package `vega-datasets`, as related tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::csv;
use super::records::{Record, cell, find, find_number, name, optional};
use super::tables::{Cell, Column, Kind, Table, integer, real, reference, text};
use crate::generate::Numbers;
use crate::run;

/// Pinned, so that the demonstration shows the same rows everywhere.
const PACKAGE: &str = "vega-datasets@3.2.1";

const STATES: &[Column] = &[
    text("code"),
    text("name"),
    integer("fips"),
    text("capital"),
    real("latitude"),
    real("longitude"),
    integer("population"),
    real("obesity"),
];
const INCOMES: &[Column] =
    &[text("id"), reference("state", "states"), text("bracket"), real("share"), integer("households")];
const AIRPORTS: &[Column] = &[
    text("iata"),
    text("name"),
    text("city"),
    reference("state", "states"),
    text("country"),
    real("latitude"),
    real("longitude"),
];
const ROUTES: &[Column] =
    &[text("id"), reference("origin", "airports"), reference("destination", "airports"), integer("flights")];
const FLIGHTS: &[Column] = &[
    text("id"),
    text("departure"),
    reference("origin", "airports"),
    reference("destination", "airports"),
    integer("distance"),
    integer("delay"),
];
const COUNTRIES: &[Column] =
    &[text("name"), text("region"), integer("income"), real("health"), integer("population")];
const INDICATORS: &[Column] = &[
    text("id"),
    reference("country", "countries"),
    integer("year"),
    integer("population"),
    real("life_expectancy"),
    real("fertility"),
];
const DIRECTORS: &[Column] = &[text("name")];
const MOVIES: &[Column] = &[
    text("id"),
    text("title"),
    reference("director", "directors"),
    text("genre"),
    text("released"),
    integer("budget"),
    integer("gross"),
    real("rating"),
];

/// Fetches the package into `dir`, unless it is there, and returns the directory of its data.
pub fn fetch(dir: &Path) -> Result<PathBuf> {
    let data = dir.join("package/data");
    if data.join("airports.csv").is_file() {
        return Ok(data);
    }
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let packed = run::quietly(run::command("npm").args(["pack", "--silent", PACKAGE]).current_dir(dir))?;
    let archive = packed.lines().last().context("npm pack names no file")?.to_owned();
    run::quietly(run::command("tar").args(["-xzf", &archive]).current_dir(dir))?;
    Ok(data)
}

/// All tables, each after the ones that it refers to.
pub fn tables(data: &Path) -> Result<Vec<Table>> {
    let files = Files(data);
    let (airports, flights) = (files.csv("airports.csv")?, files.json("flights-10k.json")?);
    let (films, years) = (files.json("movies.json")?, files.json("gapminder.json")?);
    Ok(vec![
        Table { name: "states", columns: STATES, rows: states(&files, &airports)? },
        Table { name: "incomes", columns: INCOMES, rows: incomes(&files)? },
        Table { name: "airports", columns: AIRPORTS, rows: plain(&airports, AIRPORTS)? },
        Table { name: "routes", columns: ROUTES, rows: routes(&files)? },
        Table {
            name: "flights",
            columns: FLIGHTS,
            rows: with_uuids(&flights, FLIGHTS, 1, &[("departure", "date")])?,
        },
        Table { name: "countries", columns: COUNTRIES, rows: countries(&files, &years)? },
        Table { name: "indicators", columns: INDICATORS, rows: indicators(&years)? },
        Table { name: "directors", columns: DIRECTORS, rows: directors(&films)? },
        Table { name: "movies", columns: MOVIES, rows: with_uuids(&films, MOVIES, 2, MOVIE_FIELDS)? },
    ])
}

const MOVIE_FIELDS: &[(&str, &str)] = &[
    ("title", "Title"),
    ("director", "Director"),
    ("genre", "Major Genre"),
    ("released", "Release Date"),
    ("budget", "Production Budget"),
    ("gross", "Worldwide Gross"),
    ("rating", "IMDB Rating"),
];

struct Files<'a>(&'a Path);

impl Files<'_> {
    fn csv(&self, file: &str) -> Result<Vec<Record>> {
        csv::parse(&self.read(file)?).with_context(|| format!("read {file}"))
    }

    fn json(&self, file: &str) -> Result<Vec<Record>> {
        serde_json::from_str(&self.read(file)?).with_context(|| format!("read {file}"))
    }

    fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.0.join(file)).with_context(|| format!("read {file} of {PACKAGE}"))
    }
}

type Rows = Vec<Vec<Cell>>;

/// Records whose fields have the columns' names.
fn plain(records: &[Record], columns: &[Column]) -> Result<Rows> {
    let row = |record| columns.iter().map(|column| cell(record, column.name, column.kind)).collect();
    records.iter().map(row).collect()
}

/// Records that have no key of their own get a UUID; `fields` tells where a field's name is not the column's.
fn with_uuids(records: &[Record], columns: &[Column], seed: u64, fields: &[(&str, &str)]) -> Result<Rows> {
    let mut numbers = Numbers::from_seed(seed);
    let field = |column: &Column| {
        fields.iter().find(|(name, _)| *name == column.name).map_or(column.name, |(_, field)| field)
    };
    let mut rows = Rows::new();
    for record in records {
        let mut row = vec![Cell::Text(numbers.uuid_v4())];
        for column in &columns[1..] {
            row.push(cell(record, field(column), column.kind)?);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Four files know the states by name, code or number. Codes that only airports have are rows too.
fn states(files: &Files, airports: &[Record]) -> Result<Rows> {
    let (codes, capitals) = (files.json("obesity.json")?, files.json("us-state-capitals.json")?);
    let (people, incomes) = (files.csv("population_engineers_hurricanes.csv")?, files.json("income.json")?);
    let known: BTreeSet<&str> = airports.iter().filter_map(|record| record["state"].as_str()).collect();
    let listed: BTreeSet<&str> = codes.iter().filter_map(|record| record["state"].as_str()).collect();
    let outside = OUTSIDE.iter().map(|(code, _)| *code);
    let mut rows = Rows::new();
    for code in known.into_iter().chain(listed).chain(outside).collect::<BTreeSet<_>>() {
        let by_code = find(&codes, "state", code);
        let fips = match OUTSIDE.iter().find(|(outside, _)| *outside == code) {
            Some((_, fips)) => Cell::Integer(*fips),
            None => optional(by_code, "id", Kind::Integer)?,
        };
        let number = if let Cell::Integer(number) = fips { number } else { -1 };
        let (person, income) = (find_number(&people, "id", number), find_number(&incomes, "id", number));
        let name = optional(income, "name", Kind::Text)?;
        let capital = if let Cell::Text(name) = &name { find(&capitals, "state", name) } else { None };
        rows.push(vec![
            Cell::Text(code.to_owned()),
            name,
            fips,
            optional(capital, "city", Kind::Text)?,
            optional(capital, "lat", Kind::Real)?,
            optional(capital, "lon", Kind::Real)?,
            optional(person, "population", Kind::Integer)?,
            optional(by_code, "rate", Kind::Real)?,
        ]);
    }
    Ok(rows)
}

/// Codes of what has incomes but is in no list of states by code.
const OUTSIDE: &[(&str, i64)] = &[("DC", 11), ("PR", 72)];

fn incomes(files: &Files) -> Result<Rows> {
    let codes = files.json("obesity.json")?;
    let mut rows = Rows::new();
    for record in files.json("income.json")? {
        let fips = cell(&record, "id", Kind::Integer)?;
        let outside = OUTSIDE.iter().find(|(_, number)| fips == Cell::Integer(*number));
        let code = match (&fips, outside) {
            (_, Some((code, _))) => code,
            (Cell::Integer(number), None) => {
                name(find_number(&codes, "id", *number).context("no such state")?, "state")?
            }
            _ => anyhow::bail!("an income without a state: {record:?}"),
        };
        let bracket = name(&record, "group")?;
        rows.push(vec![
            Cell::Text(format!("{code} {bracket}")),
            Cell::Text(code.to_owned()),
            Cell::Text(bracket.to_owned()),
            cell(&record, "pct", Kind::Real)?,
            cell(&record, "total", Kind::Integer)?,
        ]);
    }
    Ok(rows)
}

fn routes(files: &Files) -> Result<Rows> {
    let row = |record: &Record| {
        let (origin, destination) = (name(record, "origin")?, name(record, "destination")?);
        let key = Cell::Text(format!("{origin}-{destination}"));
        Ok(vec![
            key,
            Cell::Text(origin.into()),
            Cell::Text(destination.into()),
            cell(record, "count", Kind::Integer)?,
        ])
    };
    files.csv("flights-airport.csv")?.iter().map(row).collect()
}

fn countries(files: &Files, years: &[Record]) -> Result<Rows> {
    let wealth = files.csv("gapminder-health-income.csv")?;
    let names: BTreeSet<&str> =
        wealth.iter().chain(years).filter_map(|record| record["country"].as_str()).collect();
    let row = |country: &str| {
        let record = find(&wealth, "country", country);
        Ok(vec![
            Cell::Text(country.to_owned()),
            optional(record, "region", Kind::Text)?,
            optional(record, "income", Kind::Integer)?,
            optional(record, "health", Kind::Real)?,
            optional(record, "population", Kind::Integer)?,
        ])
    };
    names.into_iter().map(row).collect()
}

fn indicators(years: &[Record]) -> Result<Rows> {
    let row = |record: &Record| {
        let country = name(record, "country")?;
        let key = Cell::Text(format!("{country} {}", record["year"]));
        let fields = [
            ("year", Kind::Integer),
            ("pop", Kind::Integer),
            ("life_expect", Kind::Real),
            ("fertility", Kind::Real),
        ];
        let values = fields.iter().map(|(field, kind)| cell(record, field, *kind));
        [Ok(key), Ok(Cell::Text(country.to_owned()))].into_iter().chain(values).collect()
    };
    years.iter().map(row).collect()
}

fn directors(films: &[Record]) -> Result<Rows> {
    let names: BTreeSet<&str> = films.iter().filter_map(|film| film["Director"].as_str()).collect();
    Ok(names.into_iter().map(|name| vec![Cell::Text(name.to_owned())]).collect())
}
