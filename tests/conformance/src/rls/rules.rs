//! Random changes of what users may do: memberships, rights, roles, policies, claims.

use crate::random::Random;
use crate::rls::policy::Policy;
use crate::rls::schema::{Schema, TEAMS};

/// The rules as they stand.
pub struct Rules {
    policies: Vec<Policy>,
    made: u64,
}

/// A change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The superuser's statement.
    pub sql: String,
    /// The user who has to log in anew to be subject to it.
    pub log_in: Option<usize>,
}

impl Rules {
    /// The rules at the start.
    pub fn new(policies: Vec<Policy>) -> Rules {
        Rules { made: policies.len() as u64, policies }
    }

    /// Any change.
    pub fn change(&mut self, random: &mut Random, schema: &Schema) -> Change {
        let number = random.below(schema.users.len() as u64) as usize;
        let user = &schema.users[number];
        let team = *random.pick(&TEAMS);
        let table = random.pick(&schema.tables).clone();
        let sql = match random.below(14) {
            0..=2 => format!("INSERT INTO member VALUES ('{team}', '{user}') ON CONFLICT DO NOTHING"),
            3 | 4 => format!("DELETE FROM member WHERE team = '{team}' AND who = '{user}'"),
            5 => format!("GRANT {} ON {} TO {user}", right(random), table.name),
            6 => format!("REVOKE {} ON {} FROM {user}", right(random), table.name),
            7 => {
                self.made += 1;
                let policy = Policy::random(random, schema, &table, self.made);
                let sql = policy.create();
                self.policies.push(policy);
                sql
            }
            8 => self.drop(random),
            9 => self.alter(random, schema),
            10 => format!("ALTER TABLE {} {} ROW LEVEL SECURITY", table.name, switch(random)),
            11 if random.below(2) == 0 => format!("GRANT {} TO {user}", schema.group),
            11 => format!("REVOKE {} FROM {user}", schema.group),
            12 if schema.by_claims => {
                let subject = random.pick(&schema.users);
                return Change { sql: schema.claim(user, subject), log_in: Some(number) };
            }
            _ => {
                let no = if random.below(3) > 0 { "NO" } else { "" };
                format!("ALTER ROLE {user} {no}BYPASSRLS")
            }
        };
        Change { sql, log_in: None }
    }

    fn drop(&mut self, random: &mut Random) -> String {
        if self.policies.is_empty() {
            return "SELECT 1".into();
        }
        let policy = self.policies.remove(random.below(self.policies.len() as u64) as usize);
        format!("DROP POLICY {} ON {}", policy.name, policy.table)
    }

    fn alter(&mut self, random: &mut Random, schema: &Schema) -> String {
        if self.policies.is_empty() {
            return "SELECT 1".into();
        }
        let at = random.below(self.policies.len() as u64) as usize;
        let table = schema.tables.iter().find(|table| table.name == self.policies[at].table);
        self.policies[at].alter(random, schema, table.expect("the policy's table"))
    }
}

fn right(random: &mut Random) -> &'static str {
    random.pick::<&str>(&["SELECT", "SELECT", "INSERT", "UPDATE", "DELETE"])
}

fn switch(random: &mut Random) -> &'static str {
    random.pick::<&str>(&["ENABLE", "ENABLE", "DISABLE", "FORCE", "NO FORCE"])
}
