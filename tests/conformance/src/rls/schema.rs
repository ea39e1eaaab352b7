//! Random tables, users and first rules.

use crate::random::Random;
use crate::rls::policy::Policy;

/// The teams that there are.
pub const TEAMS: [&str; 3] = ["red", "green", "blue"];

/// A synced table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Whether its key is a `uuid` on the server, else a text.
    pub uuid: bool,
    /// What the deletion of a row of the first table does to rows that refer to it; `None`: they do not.
    pub on_delete: Option<&'static str>,
    /// The user that owns it, if not the superuser.
    pub owned_by: Option<usize>,
}

/// Tables, users, and how policies know a user.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The synced tables.
    pub tables: Vec<Table>,
    /// The login roles.
    pub users: Vec<String>,
    /// A role that users may be members of.
    pub group: String,
    /// The user as policies see it: `current_user`, or a claim.
    pub identity: String,
    /// Whether it is a claim.
    pub by_claims: bool,
}

impl Schema {
    /// Any schema; `tag` makes the names of roles unique on the server.
    pub fn random(random: &mut Random, tag: &str) -> Schema {
        let users: Vec<String> = (0..2 + random.below(2)).map(|number| format!("u{number}_{tag}")).collect();
        let uuid_keys = random.below(2) == 0;
        let tables = (0..1 + random.below(3)).map(|number| Table {
            name: format!("t{number}"),
            uuid: if number == 0 { uuid_keys } else { random.below(2) == 0 },
            on_delete: (number > 0 && random.below(2) == 0)
                .then(|| *random.pick(&["CASCADE", "SET NULL", "RESTRICT"])),
            owned_by: (random.below(4) == 0).then(|| random.below(users.len() as u64) as usize),
        });
        let tables = tables.collect();
        let by_claims = random.below(3) == 0;
        let identity = if by_claims {
            "(nullif(current_setting('request.jwt.claims', true), '')::json ->> 'acts_for')"
        } else {
            "current_user"
        };
        Schema { tables, users, group: format!("g_{tag}"), identity: identity.to_owned(), by_claims }
    }

    /// The names of the tables.
    pub fn table_names(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// The statements that make roles, tables, rights and first memberships, one after the other.
    pub fn server_ddl(&self, random: &mut Random) -> Vec<String> {
        let mut ddl = vec![
            "CREATE TABLE member (team text, who text, PRIMARY KEY (team, who))".to_owned(),
            "CREATE FUNCTION my_teams(who text) RETURNS SETOF text STABLE SECURITY DEFINER \
             SET search_path = pg_catalog, pg_temp LANGUAGE sql AS \
             'SELECT m.team FROM public.member m WHERE m.who = $1'"
                .to_owned(),
            "GRANT SELECT ON member TO PUBLIC".to_owned(),
            format!("CREATE ROLE {} NOLOGIN", self.group),
        ];
        for user in &self.users {
            let bypass = if random.below(12) == 0 { " BYPASSRLS" } else { "" };
            ddl.push(format!("CREATE ROLE {user} LOGIN{bypass}"));
            if self.by_claims {
                ddl.push(self.claim(user, user));
            }
            for team in TEAMS {
                if random.below(3) == 0 {
                    ddl.push(format!("INSERT INTO member VALUES ('{team}', '{user}')"));
                }
            }
        }
        for table in &self.tables {
            ddl.extend(self.table_ddl(random, table));
        }
        ddl
    }

    /// The statement that makes a user log in with `subject` as its claim from now on. It stays the same
    /// user: another subject would have to log out of the device.
    pub fn claim(&self, user: &str, subject: &str) -> String {
        // The database is the only one that the tests' roles ever log in to.
        format!(
            "ALTER ROLE {user} SET request.jwt.claims = '{{\"sub\": \"{user}\", \"acts_for\": \"{subject}\"}}'"
        )
    }

    fn table_ddl(&self, random: &mut Random, table: &Table) -> Vec<String> {
        let Table { name, .. } = table;
        let kind = |uuid| if uuid { "uuid" } else { "text" };
        let reference = match table.on_delete {
            Some(action) => format!(" REFERENCES t0 ON DELETE {action}"),
            None => String::new(),
        };
        let mut ddl = vec![format!(
            "CREATE TABLE {name} (id {} PRIMARY KEY, owner text NOT NULL DEFAULT '', \
             team text NOT NULL DEFAULT 'red', published boolean NOT NULL DEFAULT false, a text, b text, \
             n bigint DEFAULT 0, parent {}{reference})",
            kind(table.uuid),
            kind(self.tables[0].uuid)
        )];
        if random.below(12) > 0 {
            ddl.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"));
        }
        if random.below(3) == 0 {
            ddl.push(format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"));
        }
        if let Some(user) = table.owned_by {
            ddl.push(format!("ALTER TABLE {name} OWNER TO {}", self.users[user]));
        }
        for user in &self.users {
            ddl.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {user}"));
            if random.below(10) == 0 {
                let right = random.pick(&["INSERT", "UPDATE", "DELETE"]);
                ddl.push(format!("REVOKE {right} ON {name} FROM {user}"));
            }
        }
        ddl
    }

    /// The first policies.
    pub fn policies(&self, random: &mut Random) -> Vec<Policy> {
        let mut policies = Vec::new();
        for table in &self.tables {
            policies.push(Policy::basic(random, self, table, policies.len() as u64));
            for _ in 0..random.below(3) {
                policies.push(Policy::random(random, self, table, policies.len() as u64));
            }
        }
        policies
    }

    /// The tables on a device.
    pub fn device_ddl(&self) -> String {
        let table = |table: &Table| {
            format!(
                "CREATE TABLE {} (id TEXT PRIMARY KEY NOT NULL, owner TEXT NOT NULL DEFAULT '', \
                 team TEXT NOT NULL DEFAULT 'red', published INTEGER NOT NULL DEFAULT 0, a TEXT, b TEXT, \
                 n INTEGER DEFAULT 0, parent TEXT);",
                table.name
            )
        };
        self.tables.iter().map(table).collect()
    }
}
