//! Random policies.

use crate::random::Random;
use crate::rls::schema::{Schema, TEAMS, Table};

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Everything.
    All,
    /// Reading.
    Select,
    /// New rows.
    Insert,
    /// Changed rows.
    Update,
    /// Deleted rows.
    Delete,
}

const COMMANDS: [Command; 5] =
    [Command::All, Command::Select, Command::Insert, Command::Update, Command::Delete];

/// A policy as it was made.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    command: Command,
    restrictive: bool,
    to: String,
    using: String,
    check: Option<String>,
}

impl Policy {
    /// A first policy that lets most users do something: by ownership or by team.
    pub fn basic(random: &mut Random, schema: &Schema, table: &Table, number: u64) -> Policy {
        Policy {
            name: format!("p{number}"),
            table: table.name.clone(),
            command: Command::All,
            restrictive: false,
            to: "PUBLIC".into(),
            using: condition(random, schema, table, 5),
            check: (random.below(3) == 0).then(|| condition(random, schema, table, 7)),
        }
    }

    /// Any policy.
    pub fn random(random: &mut Random, schema: &Schema, table: &Table, number: u64) -> Policy {
        let to = match random.below(10) {
            0 => random.pick(&schema.users).clone(),
            1 | 2 => schema.group.clone(),
            _ => "PUBLIC".to_owned(),
        };
        let restrictive = random.below(4) == 0;
        let using =
            if restrictive { restriction(random, schema) } else { condition(random, schema, table, 9) };
        Policy {
            name: format!("p{number}"),
            table: table.name.clone(),
            command: *random.pick(&COMMANDS),
            restrictive,
            to,
            using,
            check: (random.below(3) == 0).then(|| condition(random, schema, table, 9)),
        }
    }

    /// The statement that makes it.
    pub fn create(&self) -> String {
        let kind = if self.restrictive { "RESTRICTIVE" } else { "PERMISSIVE" };
        let command = match self.command {
            Command::All => "ALL",
            Command::Select => "SELECT",
            Command::Insert => "INSERT",
            Command::Update => "UPDATE",
            Command::Delete => "DELETE",
        };
        format!(
            "CREATE POLICY {} ON {} AS {kind} FOR {command} TO {}{}",
            self.name,
            self.table,
            self.to,
            self.expressions()
        )
    }

    /// Gives it other conditions, and the statement for that.
    pub fn alter(&mut self, random: &mut Random, schema: &Schema, table: &Table) -> String {
        self.using = condition(random, schema, table, 9);
        format!("ALTER POLICY {} ON {}{}", self.name, self.table, self.expressions())
    }

    fn expressions(&self) -> String {
        let using = &self.using;
        match (self.command, &self.check) {
            (Command::Insert, check) => format!(" WITH CHECK ({})", check.as_ref().unwrap_or(using)),
            (Command::All | Command::Update, Some(check)) => format!(" USING ({using}) WITH CHECK ({check})"),
            _ => format!(" USING ({using})"),
        }
    }
}

/// One of the first `choices` conditions: those that let in few come first.
fn condition(random: &mut Random, schema: &Schema, table: &Table, choices: u64) -> String {
    let who = &schema.identity;
    let name = &table.name;
    match random.below(choices) {
        0 | 1 => format!("owner = {who}"),
        2 => format!("team IN (SELECT m.team FROM member m WHERE m.who = {who})"),
        3 => format!("EXISTS (SELECT 1 FROM member m WHERE m.team = {name}.team AND m.who = {who})"),
        4 => format!("owner = {who} OR team = ANY (ARRAY(SELECT my_teams({who})))"),
        5 => "published".to_owned(),
        6 => "true".to_owned(),
        7 => "n % 2 = 0".to_owned(),
        _ => format!("published AND team <> '{}'", random.pick(&TEAMS)),
    }
}

fn restriction(random: &mut Random, schema: &Schema) -> String {
    match random.below(4) {
        0 => format!("team <> '{}'", random.pick(&TEAMS)),
        1 => "NOT published".to_owned(),
        2 => format!("published OR owner = {}", schema.identity),
        _ => "n % 3 <> 0".to_owned(),
    }
}
