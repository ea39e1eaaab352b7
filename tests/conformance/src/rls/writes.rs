//! Random writes of rows: on devices, by users on the server, and by its superuser.

use crate::random::Random;
use crate::rls::canary::Canaries;
use crate::rls::schema::{Schema, TEAMS, Table};

/// What a writer knows.
pub struct Writer<'a> {
    /// Where choices come from.
    pub random: &'a mut Random,
    /// Where values come from.
    pub canaries: &'a mut Canaries,
    /// Tables and users.
    pub schema: &'a Schema,
    /// The table to write.
    pub table: &'a Table,
    /// The keys that are there.
    pub keys: Vec<String>,
    /// Keys of this table that were ever used anywhere, by anybody.
    pub used: Vec<String>,
    /// Keys of the first table.
    pub parents: Vec<String>,
    /// The writer, if it is a user.
    pub user: Option<usize>,
    /// Whether SQLite is spoken.
    pub on_device: bool,
}

impl Writer<'_> {
    /// One statement.
    pub fn statement(mut self) -> String {
        let table = self.table.name.clone();
        if self.keys.is_empty() {
            return self.insert("");
        }
        let keys = std::mem::take(&mut self.keys);
        let key = self.random.pick(&keys).clone();
        let set = match self.random.below(14) {
            0..=2 => return self.insert(""),
            3 if self.on_device => return self.insert(&key),
            3 => format!("id = '{}'", self.fresh_key()),
            4 => format!("a = '{}'", self.canaries.text()),
            5 => format!("b = '{}', n = {}", self.canaries.text(), self.canaries.number()),
            6 => format!("n = {}", self.canaries.number()),
            7 | 8 => format!("team = '{}'", self.random.pick(&TEAMS)),
            9 => format!("owner = '{}', a = '{}'", self.owner(), self.canaries.text()),
            10 => format!("published = {}", self.published()),
            11 => {
                let (team, owner) = (*self.random.pick(&TEAMS), self.owner());
                return format!("UPDATE {table} SET team = '{team}' WHERE owner = '{owner}'");
            }
            _ => return format!("DELETE FROM {table} WHERE id = '{key}'"),
        };
        format!("UPDATE {table} SET {set} WHERE id = '{key}'")
    }

    /// An insert of a new key, or of this one in place of the row that has it.
    fn insert(&mut self, key: &str) -> String {
        let (verb, conflict) =
            if key.is_empty() { ("INSERT", " ON CONFLICT DO NOTHING") } else { ("INSERT OR REPLACE", "") };
        let key = match key {
            "" if !self.used.is_empty() && self.random.below(4) == 0 => self.random.pick(&self.used).clone(),
            "" => self.fresh_key(),
            key => key.to_owned(),
        };
        let parent = match self.parents.is_empty() || self.random.below(2) == 0 {
            true => "NULL".to_owned(),
            false => format!("'{}'", self.random.pick(&self.parents)),
        };
        format!(
            "{verb} INTO {} (id, owner, team, published, a, b, n, parent) \
             VALUES ('{key}', '{}', '{}', {}, '{}', '{}', {}, {parent}){conflict}",
            self.table.name,
            self.owner(),
            self.random.pick(&TEAMS),
            self.published(),
            self.canaries.text(),
            self.canaries.text(),
            self.canaries.number()
        )
    }

    fn fresh_key(&mut self) -> String {
        if self.table.uuid { self.canaries.uuid() } else { self.canaries.text() }
    }

    /// Mostly the writer itself.
    fn owner(&mut self) -> String {
        match self.user {
            Some(user) if self.random.below(3) > 0 => self.schema.users[user].clone(),
            _ => self.random.pick(&self.schema.users).clone(),
        }
    }

    fn published(&mut self) -> bool {
        self.random.below(2) == 0
    }
}
