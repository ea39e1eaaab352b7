//! What decides which rows and columns of a table the caller may see, boiled down to numbers that a
//! device keeps and compares: it compares all its rows only when one has changed.

use std::collections::BTreeMap;

use cloudsync_shared::message::View;
use pgrx::pg_sys;
use roaring::RoaringTreemap;

use super::spi::{Arg, Mode, query, query_kept};
use super::table::Table;
use crate::error::PgError;
use crate::ffi::owner::{AsOwner, AsTableOwner};
use crate::settings;

/// The setting that says how often, in seconds, rows are compared whose policies cannot be seen
/// through: they ask the time or the dice, or a function in a language that is not read.
const INTERVAL: &str = "reconcile_interval";
const DEFAULT_INTERVAL_SECONDS: u64 = 300;
/// The setting with the random text that keeps the numbers from being guessed at.
const SECRET: &str = "view_secret";

/// What every token has anew, and no policy of sense reads.
const PASSING_CLAIMS: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// Stands between the parts of a text that is hashed.
const BETWEEN: &str = "\u{1f}";

const SCOPE: &str = include_str!("scope.sql");

/// What was touched since the device's cursor, by number; watched tables have numbers below zero.
type Touched = BTreeMap<i64, RoaringTreemap>;

/// The view of each named table, in order; of a table that is not synced all zeros.
///
/// # Errors
/// The catalog cannot be read.
pub(super) fn views(
    mode: Mode,
    names: &[String],
    tables: &[Table],
    touched: Option<&Touched>,
) -> Result<Vec<View>, PgError> {
    let found: Vec<Option<&Table>> =
        names.iter().map(|name| tables.iter().find(|table| table.schema.name == *name)).collect();
    let restricted = found.iter().flatten().filter(|table| table.can_select() && table.has_row_security);
    let scopes = Scopes::read(mode, restricted.map(|table| table.oid).collect(), touched)?;
    let secret = settings::get(SECRET)?.unwrap_or_default();
    let mut texts = Vec::with_capacity(2 * found.len());
    for table in &found {
        let (columns, rows) = match table {
            None => (String::new(), String::new()),
            Some(table) if !table.can_select() => ("none".to_owned(), "none".to_owned()),
            Some(table) => (columns_of(table), with_filter(table, scopes.text_of(table))),
        };
        texts.extend([columns, rows].map(|text| Some(format!("{secret}{BETWEEN}{text}"))));
    }
    let numbers = hashes(mode, texts)?;
    let views = numbers.chunks_exact(2).zip(&found).map(|(pair, table)| match (table, pair) {
        (Some(_), [columns, rows]) => View { columns: *columns, rows: *rows },
        _ => View::default(),
    });
    Ok(views.collect())
}

/// A filter hides rows as policies do: with another one, all is compared.
fn with_filter(table: &Table, scope: String) -> String {
    match &table.filter {
        Some(filter) => [scope.as_str(), "filter", &filter.digest].join(BETWEEN),
        None => scope,
    }
}

fn columns_of(table: &Table) -> String {
    table
        .readable()
        .map(|column| format!("{} {}", column.id.0, column.name))
        .collect::<Vec<_>>()
        .join(BETWEEN)
}

/// The first 64 bits of the SHA-256 of each text.
fn hashes(mode: Mode, texts: Vec<Option<String>>) -> Result<Vec<u64>, PgError> {
    let sql = "SELECT pg_catalog.sha256(pg_catalog.convert_to(u.text, 'UTF8')) \
        FROM pg_catalog.unnest($1) WITH ORDINALITY AS u(text, ord) ORDER BY u.ord";
    query(mode, sql, vec![Arg::Texts(texts)], |row| {
        let hash = row.bytes(1)?.unwrap_or_default();
        let first = hash.first_chunk().ok_or_else(|| PgError::internal("cloudsync: a hash is too short"))?;
        Ok(u64::from_le_bytes(*first))
    })
}

/// One object of a scope, see `scope.sql`.
struct Line {
    root: i64,
    kind: String,
    object: i64,
    digest: String,
    opaque: bool,
    settings: Vec<String>,
}

/// What the policies of some tables depend on, and the state that all of it is in.
#[derive(Default)]
struct Scopes {
    lines: Vec<Line>,
    /// The rows of each relation that policies read.
    contents: Vec<(i64, Option<String>)>,
    /// Who the caller is.
    identity: String,
    /// Changes at each interval.
    tick: u64,
}

impl Scopes {
    fn read(mode: Mode, roots: Vec<i64>, touched: Option<&Touched>) -> Result<Scopes, PgError> {
        if roots.is_empty() {
            return Ok(Scopes::default());
        }
        let lines = scope(roots)?;
        let contents = contents(mode, &lines, touched)?;
        let mut names: Vec<String> = lines.iter().flat_map(|line| line.settings.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let interval = settings::get(INTERVAL)?.and_then(|text| text.parse().ok());
        let interval = interval.unwrap_or(DEFAULT_INTERVAL_SECONDS).max(1);
        Ok(Scopes {
            lines,
            contents,
            identity: identity(mode, names)?,
            tick: settings::now().0 / 1000 / interval,
        })
    }

    fn text_of(&self, table: &Table) -> String {
        if !table.has_row_security {
            return "all".to_owned();
        }
        let mut parts = vec![self.identity.clone()];
        let mut opaque = false;
        for line in self.lines.iter().filter(|line| line.root == table.oid) {
            parts.push(format!("{} {} {}", line.kind, line.object, line.digest));
            opaque |= line.opaque;
            if line.kind == "r" {
                match self.contents.iter().find(|(object, _)| *object == line.object) {
                    Some((_, Some(content))) => parts.push(content.clone()),
                    Some((_, None)) => opaque = true,
                    None => {}
                }
            }
        }
        if opaque {
            parts.push(self.tick.to_string());
        }
        parts.join(BETWEEN)
    }
}

fn scope(roots: Vec<i64>) -> Result<Vec<Line>, PgError> {
    let owner = AsOwner::enter()?;
    owner.plan_by_index();
    query_kept(SCOPE, roots, |row| {
        let settings = row.text(6)?.unwrap_or_default();
        Ok(Line {
            root: row.known_long(1)?,
            kind: row.known_text(2)?,
            object: row.known_long(3)?,
            digest: row.known_text(4)?,
            opaque: row.flag(5)?,
            settings: settings.lines().map(str::to_owned).collect(),
        })
    })
}

/// The relations that the policies of these tables read.
///
/// # Errors
/// The catalog cannot be read.
pub(crate) fn relations_read(tables: Vec<i64>) -> Result<Vec<i64>, PgError> {
    let mut read: Vec<i64> =
        scope(tables)?.into_iter().filter(|line| line.kind == "r").map(|line| line.object).collect();
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

/// A stamp of the rows of each relation that policies read: another one after any write to it. `None`
/// for a relation whose owner may not read it, or that keeps its rows elsewhere.
///
/// Where a row version lies and which transaction made it is all that is looked at, so no code of a
/// user's types runs; and it is looked at as the relation's owner, see [`AsTableOwner`].
fn contents(
    mode: Mode,
    lines: &[Line],
    touched: Option<&Touched>,
) -> Result<Vec<(i64, Option<String>)>, PgError> {
    let mut oids: Vec<i64> = lines.iter().filter(|line| line.kind == "r").map(|line| line.object).collect();
    oids.sort_unstable();
    oids.dedup();
    if oids.is_empty() {
        return Ok(Vec::new());
    }
    let _owner = AsOwner::enter()?;
    let sql = "SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname), c.relkind::text, c.relowner::int8, \
            has_table_privilege(c.relowner, c.oid, 'SELECT'), \
            (SELECT w.id FROM cloudsync.watched w WHERE w.relation = c.oid AND 4 = (SELECT count(*) \
                FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' \
                    AND t.tgfoid = 'cloudsync.note_write()'::regprocedure))::int8 \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[])";
    let relations = query(mode, sql, vec![Arg::Longs(oids)], |row| {
        let owner = (row.known_long(4)?, row.flag(5)?);
        Ok((row.known_long(1)?, row.known_text(2)?, row.known_text(3)?, owner, row.long(6)?))
    })?;
    let mut contents = Vec::with_capacity(relations.len());
    for (oid, name, kind, (owner, readable), watched) in relations {
        let stamp = match kind.as_str() {
            "r" if let Some(watched) = watched => {
                let was_written = touched.is_some_and(|touched| touched.contains_key(&-watched));
                // What a device keeps is the view of a download from the start, which never says this.
                Some(if was_written { "written".to_owned() } else { String::new() })
            }
            "r" | "p" | "m" if readable => Some(content(mode, &name, owner)?),
            // A view is as what it reads, which is in the scope too.
            "v" => Some(String::new()),
            _ => None,
        };
        contents.push((oid, stamp));
    }
    Ok(contents)
}

fn content(mode: Mode, relation: &str, owner: i64) -> Result<String, PgError> {
    let owner = u32::try_from(owner).map_err(|_| PgError::internal("cloudsync: an oid is out of range"))?;
    let _owner = AsTableOwner::enter(pg_sys::Oid::from(owner));
    let sql = format!(
        "SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), \
            pg_catalog.sum(pg_catalog.hash_record_extended(ROW(t.tableoid, t.ctid, t.xmin), 0))) \
        FROM {relation} AS t"
    );
    let found = query(mode, &sql, Vec::new(), |row| row.known_text(1))?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Who the caller is to policies: role, memberships, claims, and the settings that policies name.
fn identity(mode: Mode, names: Vec<String>) -> Result<String, PgError> {
    let sql = "SELECT CAST(r.oid AS pg_catalog.int8), \
            pg_catalog.concat_ws(' ', r.oid, r.rolinherit, session_user), \
            pg_catalog.current_setting('request.jwt.claims', true), \
            pg_catalog.concat_ws(' ', pg_catalog.current_setting('request.jwt.claim.sub', true), \
                pg_catalog.current_setting('request.jwt.claim.role', true), \
                pg_catalog.current_setting('request.jwt.claim.email', true)) \
        FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) current_user";
    let found = query(mode, sql, Vec::new(), |row| {
        Ok((row.known_long(1)?, row.known_text(2)?, row.known_text(3)?, row.known_text(4)?))
    })?;
    let Some((role, caller, claims, old_claims)) = found.into_iter().next() else {
        return Err(PgError::internal("cloudsync: the calling role does not exist"));
    };
    let sql = "SELECT pg_catalog.string_agg(pg_catalog.concat_ws('=', u.name, \
            pg_catalog.current_setting(u.name, true)), ' ') \
        FROM pg_catalog.unnest($1) AS u(name) \
        WHERE u.name OPERATOR(pg_catalog.<>) 'request.jwt.claims'";
    let names = names.into_iter().map(Some).collect();
    let settings = query(mode, sql, vec![Arg::Texts(names)], |row| row.known_text(1))?.concat();
    let sql = "WITH RECURSIVE m AS ( \
            SELECT a.* FROM pg_auth_members a WHERE a.member = $1::oid \
            UNION SELECT a.* FROM m JOIN pg_auth_members a ON a.member = m.roleid) \
        SELECT string_agg(m::text, ' ' ORDER BY m.roleid, m.member) FROM m";
    let groups = AsOwner::run(|| query(mode, sql, vec![Arg::Long(role)], |row| row.known_text(1)))?.concat();
    Ok([caller, lasting(&claims), old_claims, settings, groups].join(BETWEEN))
}

/// The claims without those that each token has anew.
fn lasting(claims: &str) -> String {
    match serde_json::from_str(claims) {
        Ok(serde_json::Value::Object(mut claims)) => {
            claims.retain(|name, _| !PASSING_CLAIMS.contains(&name.as_str()));
            serde_json::Value::Object(claims).to_string()
        }
        _ => claims.to_owned(),
    }
}
