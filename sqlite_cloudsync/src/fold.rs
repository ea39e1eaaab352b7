//! The journal of local writes, folded into row clocks.
//!
//! Everything that reads clocks folds first. The fold holds the write lock before it reads, so two
//! connections never fold the same entries.

use std::collections::HashMap;

use cloudsync_shared::capture::{self, LocalWrite};
use cloudsync_shared::clock::RowClock;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::{ColumnId, SiteOrdinal};
use cloudsync_shared::key::Key;
use cloudsync_shared::schema::Algorithm;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params, params_from_iter};

use crate::bases::Replaced;
use crate::error::Result;
use crate::filter::judge::{self, Known, Verdict, judge};
use crate::filter::{self, Look};
use crate::savepoint::in_savepoint;
use crate::sent::{BULK_ROWS, UNSENT_BULK, UNSENT_WHOLE};
use crate::system::{self, SyncedTable};
use crate::table::{MASK_BITS, Table, journal_table};
use crate::texts::before::Befores;
use crate::texts::edits::Edited;
use crate::trigger::{OP_DELETE, OP_HINT, OP_HINT_PRIVATE, OP_INSERT};
use crate::unsendable;
use crate::value::Bound;
use crate::{buried, given, groups, init, parked, quote, sent};

/// How many journal entries are folded at a time: enough to write clocks in runs of neighbouring
/// keys, few enough that the pages of folded entries are reused for the clocks of the next ones.
const FOLD_BATCH: usize = 10_000;

/// What a fold did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Journal entries folded.
    pub entries: usize,
    /// Writes of rows that cannot be synced, one sentence each.
    pub skipped: Vec<String>,
}

/// Folds all journals; does nothing while remote changes are being applied.
///
/// # Errors
/// Another connection is writing, or the database failed.
pub fn fold(conn: &Connection) -> Result<Folded> {
    let mut folded = Folded::default();
    if !system::exists(conn)? || is_applying(conn)? {
        return Ok(folded);
    }
    let altered = system::schema_changed(conn)?;
    if !altered && !any_pending(conn)? {
        return Ok(folded);
    }
    in_savepoint(conn, || {
        system::lock(conn)?;
        if altered {
            for synced in system::tables(conn)? {
                filter::check_fits(conn, &synced)?;
            }
        }
        // A write that changed none of the columns that a trigger knows may have changed these.
        let added = if altered { init::register_new_columns(conn)? } else { Vec::new() };
        // Each table begins from what was seen before: a write must not count as later than it was
        // because another table, written afterwards, was folded first.
        let seen = system::highest(conn)?.max(given::highest(conn)?);
        let mut highest = seen;
        for table in Table::all(conn)? {
            if altered {
                buried::prepare(conn, &table)?;
            }
            let new = added.iter().find(|(id, _)| *id == table.synced.id).map(|(_, ids)| ids.clone());
            let befores = Befores::of(conn, &table)?;
            let new = new.unwrap_or_default();
            let mut fold = TableFold { conn, table: &table, new, highest: seen, befores };
            while fold.batch(&mut folded)? {}
            fold.befores.clear(conn, &table)?;
            highest = highest.max(fold.highest);
        }
        if highest > seen {
            system::observe(conn, highest)?;
            given::set_highest(conn, highest)?;
        }
        if altered {
            init::refresh(conn)?;
        }
        Ok(())
    })?;
    Ok(folded)
}

/// Whether this transaction is applying remote changes.
pub fn is_applying(conn: &Connection) -> Result<bool> {
    let mut statement = conn.prepare_cached("SELECT EXISTS(SELECT 1 FROM main.cloudsync_guard)")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Runs `work` without its writes being captured as local ones. Inside the caller's transaction.
///
/// # Errors
/// Whatever `work` answers.
pub fn while_applying<T>(conn: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut begin =
        conn.prepare_cached("INSERT INTO main.cloudsync_guard(applying) VALUES(1) ON CONFLICT DO NOTHING")?;
    begin.execute([])?;
    let done = work()?;
    conn.prepare_cached("DELETE FROM main.cloudsync_guard")?.execute([])?;
    Ok(done)
}

fn any_pending(conn: &Connection) -> Result<bool> {
    for table in system::tables(conn)? {
        if is_pending(conn, &table)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_pending(conn: &Connection, table: &SyncedTable) -> Result<bool> {
    let sql = format!("SELECT EXISTS(SELECT 1 FROM {})", quote::main(&journal_table(&table.name)));
    Ok(conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

/// One journal entry, understood.
enum Noted {
    Write(LocalWrite),
    /// The row may have been written without more being noted: look. Under a filter, whether it was true.
    Hint(bool),
}

/// One row of a batch.
struct Touched {
    key: Key,
    clock: Option<RowClock<SiteOrdinal>>,
    unsent: Option<i64>,
    changed: bool,
    /// What the first hint said, under a filter.
    first_look: Option<bool>,
    /// The transactions that changed it, if the table is atomic.
    transactions: Vec<i64>,
    /// What becomes of its buried cells, if that changes: these are kept, or none.
    buried: Option<Option<Vec<u8>>>,
    /// What the writes replaced, if conflicts of the table are listed.
    replaced: Replaced,
    /// What they did to texts, if the table has any that are merged by lines.
    edited: Edited,
}

impl Touched {
    fn new(key: Key) -> Touched {
        Touched {
            key,
            clock: None,
            unsent: None,
            changed: false,
            first_look: None,
            transactions: Vec::new(),
            buried: None,
            replaced: Replaced::default(),
            edited: Edited::default(),
        }
    }
}

/// One journal entry of a batch.
struct Entry {
    /// The index of its row.
    row: usize,
    at: Millis,
    noted: Noted,
    transaction: Option<i64>,
    /// What a deleted row held, if the table keeps that.
    cells: Option<Vec<u8>>,
}

/// A batch: rows, and entries in the order written.
#[derive(Default)]
struct Batch {
    rows: Vec<Touched>,
    entries: Vec<Entry>,
    last: i64,
}

struct TableFold<'a> {
    conn: &'a Connection,
    table: &'a Table,
    new: Vec<ColumnId>,
    highest: Version,
    befores: Befores,
}

impl TableFold<'_> {
    /// Folds one batch; answers whether there may be more.
    fn batch(&mut self, folded: &mut Folded) -> Result<bool> {
        let mut batch = self.read(folded)?;
        let count = batch.entries.len();
        if batch.last == 0 {
            return Ok(false);
        }
        let mut order: Vec<usize> = (0..batch.rows.len()).collect();
        order.sort_unstable_by(|a, b| {
            batch.rows.get(*a).map(|r| &r.key).cmp(&batch.rows.get(*b).map(|r| &r.key))
        });
        self.read_clocks(&mut batch, &order)?;
        self.touch(&mut batch)?;
        self.write_clocks(&batch, &order)?;
        let sql = format!("DELETE FROM {} WHERE seq <= ?1", self.table.journal());
        self.conn.prepare_cached(&sql)?.execute([batch.last])?;
        folded.entries += count;
        Ok(true)
    }

    fn read(&self, folded: &mut Folded) -> Result<Batch> {
        let ahead = system::runs_ahead(self.conn)?;
        let keys = self.table.info.key.len();
        let groups = self.table.extra_masks();
        let known = self.journal_masks()?;
        let key_list: String = (0..keys).map(|at| format!(", k{at}")).collect();
        let masks: String = (1..=groups.min(known)).map(|group| format!(", m{group}")).collect();
        let transaction = if self.table.synced.atomic { "txn" } else { "NULL" };
        let cells: String = match buried::keeps(self.table) {
            true => self
                .table
                .schema
                .columns
                .iter()
                .map(|column| format!(", {}", buried::journal_column(column.id)))
                .collect(),
            false => String::new(),
        };
        let sql = format!(
            "SELECT seq, op, at{key_list}{masks}, {transaction}{cells} FROM {} ORDER BY seq LIMIT {FOLD_BATCH}",
            self.table.journal()
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let mut batch = Batch::default();
        let mut known_keys: HashMap<Key, usize> = HashMap::new();
        while let Some(row) = rows.next()? {
            batch.last = row.get(0)?;
            let key = match self.table.key_of(row, 3)? {
                Ok(key) => key,
                Err(reason) => {
                    if !matches!(row.get(1)?, OP_DELETE | OP_HINT) {
                        unsendable::note_key(self.conn, self.table, row, 3, &reason)?;
                    }
                    folded.skipped.push(format!("table {}: {reason}", self.table.synced.name));
                    continue;
                }
            };
            let masks = groups.min(known);
            let Some(noted) = self.understand(row, 3 + keys, masks)? else { continue };
            let after_masks = 3 + keys + usize::from(masks);
            let transaction = row.get(after_masks)?;
            let cells = match noted {
                Noted::Write(LocalWrite::Delete) if buried::keeps(self.table) => {
                    Some(buried::of_journal(self.table, row, after_masks + 1)?)
                }
                _ => None,
            };
            let at = Millis(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0).saturating_sub(ahead));
            let index = match known_keys.get(&key) {
                Some(index) => *index,
                None => {
                    let index = batch.rows.len();
                    known_keys.insert(key.clone(), index);
                    batch.rows.push(Touched::new(key));
                    index
                }
            };
            batch.entries.push(Entry { row: index, at, noted, transaction, cells });
        }
        Ok(batch)
    }

    /// How many mask columns the journal has; fewer than needed if columns came since.
    fn journal_masks(&self) -> Result<u16> {
        let sql = "SELECT count(*) FROM pragma_table_xinfo(?1, 'main') WHERE name GLOB 'm[0-9]*'";
        let journal = journal_table(&self.table.synced.name);
        Ok(self.conn.prepare_cached(sql)?.query_row([journal], |row| row.get(0))?)
    }

    fn understand(&self, row: &Row<'_>, first_mask: usize, groups: u16) -> Result<Option<Noted>> {
        let op: i64 = row.get(1)?;
        let grow_only = self.table.synced.algorithm == Algorithm::Gos;
        Ok(match op {
            OP_INSERT => Some(Noted::Write(self.insert())),
            OP_DELETE | OP_HINT | OP_HINT_PRIVATE if grow_only => None,
            OP_DELETE => Some(Noted::Write(LocalWrite::Delete)),
            OP_HINT => Some(Noted::Hint(true)),
            OP_HINT_PRIVATE => Some(Noted::Hint(false)),
            _ => {
                let mut columns = Vec::new();
                self.columns_of(op >> 2, 0, &mut columns);
                for group in 1..=groups {
                    let mask: Option<i64> = row.get(first_mask + usize::from(group) - 1)?;
                    self.columns_of(mask.unwrap_or(0), group, &mut columns);
                }
                columns.extend_from_slice(&self.new);
                (!columns.is_empty()).then_some(Noted::Write(LocalWrite::Update(columns)))
            }
        })
    }

    /// An insert writes the late columns as it does the others.
    fn insert(&self) -> LocalWrite {
        let ids = self.table.schema.columns.iter().map(|column| column.id);
        let late: Vec<ColumnId> = ids.filter(|id| id.is_late()).collect();
        if late.is_empty() { LocalWrite::Insert } else { LocalWrite::InsertLate(late) }
    }

    fn columns_of(&self, mask: i64, group: u16, columns: &mut Vec<ColumnId>) {
        let ids = self.table.schema.columns.iter().map(|column| column.id);
        columns.extend(
            ids.filter(|id| id.number() / MASK_BITS == group && mask >> (id.number() % MASK_BITS) & 1 == 1),
        );
    }

    fn read_clocks(&self, batch: &mut Batch, order: &[usize]) -> Result<()> {
        let sql = format!("SELECT clock, unsent FROM {} WHERE key = ?1", self.table.clocks());
        let mut statement = self.conn.prepare_cached(&sql)?;
        for index in order {
            let Some(row) = batch.rows.get_mut(*index) else { continue };
            let found: Option<(Vec<u8>, Option<i64>)> =
                statement.query_row([&row.key.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            if let Some((clock, unsent)) = found {
                row.clock = Some(RowClock::from_bytes(&clock)?);
                row.unsent = unsent;
            }
        }
        Ok(())
    }

    fn touch(&mut self, batch: &mut Batch) -> Result<()> {
        let mut look = Look::new(self.conn, self.table)?;
        let sql = format!("SELECT 1 FROM {} WHERE {}", self.table.rows(), self.table.info.key_condition());
        let mut exists = self.conn.prepare_cached(&sql)?;
        let bulk = batch.rows.len() >= BULK_ROWS;
        if bulk {
            sent::expect_bulk(self.conn, self.table.synced.id)?;
        }
        let algorithm = self.table.synced.algorithm;
        for entry in std::mem::take(&mut batch.entries) {
            let Entry { row, at, noted, transaction, cells } = entry;
            let Some(row) = batch.rows.get_mut(row) else { continue };
            let write = match (noted, &mut look) {
                (noted, Some(look)) => match self.under_filter(look, row, noted)? {
                    Some(write) => write,
                    None => continue,
                },
                (Noted::Write(write), None) => write,
                (Noted::Hint(_), None) if self.row_exists(&mut exists, &row.key)? => continue,
                (Noted::Hint(_), None) => LocalWrite::Delete,
            };
            let after = capture::touch(algorithm, row.clock.as_ref(), &write, at, self.highest);
            if row.clock.as_ref() == Some(&after) {
                continue;
            }
            let version = after.highest();
            self.highest = self.highest.max(version);
            let unsent = match write {
                LocalWrite::Update(_) => i64::try_from(version.0).unwrap_or(i64::MAX),
                LocalWrite::Insert | LocalWrite::InsertLate(_) | LocalWrite::Delete if bulk => UNSENT_BULK,
                LocalWrite::Insert | LocalWrite::InsertLate(_) | LocalWrite::Delete => UNSENT_WHOLE,
            };
            row.unsent = Some(row.unsent.map_or(unsent, |before| before.min(unsent)));
            if buried::keeps(self.table) {
                row.buried = Some(cells);
            }
            if self.table.synced.conflicts {
                row.replaced.add(self.table, row.clock.as_ref(), &write);
            }
            if !self.table.schema.texts.is_empty() {
                row.edited.add(self.table, row.clock.as_ref(), &write);
            }
            row.clock = Some(after);
            row.changed = true;
            row.transactions.extend(transaction);
        }
        Ok(())
    }

    /// What an entry means for the others, if anything.
    fn under_filter(
        &self,
        look: &mut Look<'_>,
        row: &mut Touched,
        noted: Noted,
    ) -> Result<Option<LocalWrite>> {
        let entry = match noted {
            Noted::Write(write) => judge::Entry::Write(write),
            Noted::Hint(was_shared) => judge::Entry::Before(was_shared),
        };
        let known = match &row.clock {
            Some(clock) if clock.length.is_alive() => Known::Alive,
            Some(_) => Known::Dead,
            None if self.table.synced.base => Known::Base,
            None => Known::Never,
        };
        let now = look.at(&row.key)?;
        match judge(entry, now, known, &mut row.first_look, || self.insert()) {
            Verdict::Nothing => Ok(None),
            Verdict::Keep => {
                (row.clock, row.unsent, row.changed) = (None, None, true);
                Ok(None)
            }
            Verdict::Tell(write) => {
                if known != Known::Alive && write != LocalWrite::Delete {
                    // It is the next state of the others' row of that key, not the first of its own.
                    let parked = parked::clock_of(self.conn, &self.table.synced.name, &row.key)?;
                    row.clock = parked.into_iter().chain(row.clock.take()).max_by_key(|clock| clock.length);
                }
                Ok(Some(write))
            }
        }
    }

    fn row_exists(&self, statement: &mut Statement<'_>, key: &Key) -> Result<bool> {
        let values = self.table.key_values(key)?;
        Ok(statement.exists(params_from_iter(values.iter().map(Bound)))?)
    }

    fn write_clocks(&mut self, batch: &Batch, order: &[usize]) -> Result<()> {
        let sql = format!(
            "INSERT INTO {}(key, clock, unsent) VALUES(?1, ?2, ?3)
             ON CONFLICT(key) DO UPDATE SET clock = excluded.clock, unsent = excluded.unsent",
            self.table.clocks()
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        for row in order.iter().filter_map(|index| batch.rows.get(*index)).filter(|row| row.changed) {
            match &row.clock {
                Some(clock) => {
                    statement.execute(params![row.key.0, clock.to_bytes(), row.unsent])?;
                }
                None => filter::forget_clock(self.conn, self.table, &row.key)?,
            }
            if let Some(cells) = &row.buried {
                buried::store(self.conn, self.table, &row.key, cells.as_deref())?;
            }
            if let Some(clock) = row.clock.as_ref().filter(|_| !self.table.schema.texts.is_empty()) {
                row.edited.keep(self.conn, self.table, &row.key, clock, &mut self.befores)?;
            }
            if self.table.synced.conflicts {
                row.replaced.keep(self.conn, self.table, &row.key)?;
            }
            for transaction in &row.transactions {
                groups::join(self.conn, self.table, &row.key, *transaction)?;
            }
        }
        Ok(())
    }
}
