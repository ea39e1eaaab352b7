//! The protocol between a device and the server: the messages beside the payload that devices
//! exchange without a server. Both calls are stateless: all that the server must know travels here.

use roaring::RoaringTreemap;

use crate::change::{ChangeBatch, LostReason};
use crate::clock::Stamp;
use crate::hlc::{Millis, Version};
use crate::id::{RowId, SiteId};
use crate::port::Refusal;
use crate::schema::Algorithm;
use crate::value::Value;

/// One life of a server: changes when it was restored, failed over or cloned, and then no cursor
/// and no row id of before counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub [u8; 16]);

/// A point in the server's history: PostgreSQL's text form of `pg_snapshot`. Opaque to the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(pub String);

/// Device to server: local writes.
#[derive(Clone, Debug, PartialEq)]
pub struct PushRequest {
    /// The sender.
    pub site: SiteId,
    /// The server that the device believes to speak to, if it ever spoke to one.
    pub epoch: Option<Epoch>,
    /// What it wrote.
    pub changes: ChangeBatch,
    /// Which rows are to be taken or refused together: for each table of `changes`, in order, the number
    /// of each row's group, 0 for a row without one and no number higher than there are rows. Empty if no
    /// row has a group.
    pub groups: Vec<Vec<u32>>,
    /// For each table of `changes`, in order, the [bases](Bases) of its cells; empty if no table has any. The
    /// reply then tells which cells lost.
    pub bases: Vec<Bases>,
}

/// What the cells of one table replaced where they were written: one entry a cell, row by row. `None`: the
/// server may have the cell from this device already, so nothing follows from it. Empty if the device does not
/// keep conflicts of the table.
pub type Bases = Vec<Option<Stamp<SiteId>>>;

/// What became of one pushed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowResult {
    /// The server has it, under this id, merged with what it had. If it was sent without an id and has
    /// another causal length there, it is in [`PushReply::restored`] too.
    Accepted(RowId),
    /// The row is deleted on the server: the device should not have it.
    Dead,
    /// The server refused the write. Its own row, if the user may see it, is in
    /// [`PushReply::restored`].
    Refused(Refusal),
    /// The server does not sync a table of that name.
    UnknownTable,
    /// The row of that id was deleted so long ago that the server has forgotten it, the delete included. What
    /// stands under its key by now is another row; it is in [`PushReply::restored`], if the user may see it.
    Collected,
}

/// Server to device: the answer to a [`PushRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct PushReply {
    /// The server's life.
    pub epoch: Epoch,
    /// The server's clock.
    pub server_time: Millis,
    /// For each table of the request, in order, one result for each row, in order.
    pub results: Vec<Vec<RowResult>>,
    /// The server's whole rows in place of refused writes, under the keys of collected rows, and of rows
    /// accepted without an id that have another causal length there.
    pub restored: ChangeBatch,
    /// The told cells that lost against a write that their author had not seen, of tables with bases.
    pub lost: Vec<LostValue>,
}

/// A told cell that lost a merge, and the value that won.
#[derive(Clone, Debug, PartialEq)]
pub struct LostValue {
    /// The index of its table in the request.
    pub table: u32,
    /// The index of its row in the table.
    pub row: u32,
    /// The index of its column among those of the table in the request.
    pub column: u32,
    /// Why it lost.
    pub reason: LostReason,
    /// The stamp of what won.
    pub won: Stamp<SiteId>,
    /// The value that won; NULL if the row is gone, or the line was deleted after all.
    pub value: Value,
    /// Of a line of a text what lost; of others that is the told value.
    pub line: Option<LostText>,
}

/// A line that lost: its content, and the version of that write of its teller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostText {
    /// When it was written.
    pub version: Version,
    /// The line.
    pub text: String,
}

/// How far a download of several pages has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The snapshot taken when the download began: its end is the device's next cursor.
    pub until: Snapshot,
    /// The table in hand.
    pub table: String,
    /// The last row id of it that was looked at.
    pub after: RowId,
}

/// Device to server: what is new?
#[derive(Clone, Debug, PartialEq)]
pub struct PullRequest {
    /// The asker; its own pushes are left out.
    pub site: SiteId,
    /// The server that `from` and `progress` belong to.
    pub epoch: Option<Epoch>,
    /// The tables it has, by the name under which they are synced.
    pub tables: Vec<String>,
    /// The end of the last download; `None`: everything.
    pub from: Option<Snapshot>,
    /// Where to go on; `None`: at the start.
    pub progress: Option<Progress>,
    /// Rows that it holds and does not want again, by table; looked at only without `from`.
    pub held: Vec<(String, RoaringTreemap)>,
    /// Roughly how many bytes of values the answer may hold.
    pub max_bytes: u32,
}

/// All that decides what a user may see of a table, but for the table's own rows, boiled down to two
/// numbers. Opaque to the device: if one is not what it was, what the device holds may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Which columns. If it changed, rows that the device holds may lack some.
    pub columns: u64,
    /// Which rows: identity, grants, policies, and what policies read. If it changed, rows may have
    /// come into sight or gone out of it without having been written.
    pub rows: u64,
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more: ask again with this.
    More(Progress),
    /// That was all: ask next time from here.
    Done(Snapshot),
    /// What changed since the asker's cursor is not known any more: it must start anew, without one. The
    /// reply tells nothing else.
    Expired,
}

/// Server to device: a page of rows, each whole.
#[derive(Clone, Debug, PartialEq)]
pub struct PullReply {
    /// The server's life. If it is not the one asked for, the rest is empty and the device must
    /// forget its cursor and row ids.
    pub epoch: Epoch,
    /// The server's clock.
    pub server_time: Millis,
    /// On the first page, the view of each table asked for, in order; else empty.
    pub views: Vec<View>,
    /// The rows.
    pub changes: ChangeBatch,
    /// Some row changed that the user may not see, or that is deleted: if the device holds rows, it
    /// should ask which of them are gone.
    pub hidden: bool,
    /// What comes next.
    pub next: Next,
    /// Deletes with a lower version than this have been collected on the server: a device that has nothing
    /// unsent of a row deleted before need not remember it either, and must not hold it against a row that
    /// stands under the key by now. [`Version::NEVER`]: nothing was collected yet.
    pub collected: Version,
}

/// Device to server: which of the rows that I hold are gone?
#[derive(Clone, Debug, PartialEq)]
pub struct GoneRequest {
    /// The asker.
    pub site: SiteId,
    /// The server that the row ids belong to.
    pub epoch: Epoch,
    /// Look only at rows that changed after this; `None`: at all of them.
    pub from: Option<Snapshot>,
    /// The ids held, by table.
    pub held: Vec<(String, RoaringTreemap)>,
}

/// Server to device: the rows among those asked for that are deleted or that the user may not see.
#[derive(Clone, Debug, PartialEq)]
pub struct GoneReply {
    /// The server's life; if it is not the one asked for, `gone` is empty.
    pub epoch: Epoch,
    /// The ids gone, by table.
    pub gone: Vec<(String, RoaringTreemap)>,
}

/// Device to server: make these tables, and sync them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// SQLite's `CREATE TABLE` and `CREATE INDEX` statements.
    pub script: String,
    /// What is to become of the script's tables, and of tables that those refer to.
    pub tables: Vec<TableWish>,
}

/// What is to become of a table that is named in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableWish {
    /// Its name in the script.
    pub name: String,
    /// How its rows merge.
    pub algorithm: Algorithm,
    /// The name under which the device syncs it: a plain one, or one with a schema
    /// ([`crate::qualified::QualifiedName`]).
    pub synced_as: String,
}

/// Server to device: the tables of a [`CreateRequest`] that are there and synced now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateReply {
    /// The names under which they are synced.
    pub tables: Vec<String>,
}

/// Any message, as the header tells them apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Changes from device to device, through a file or the application.
    Payload(ChangeBatch),
    /// See [`PushRequest`].
    PushRequest(PushRequest),
    /// See [`PushReply`].
    PushReply(PushReply),
    /// See [`PullRequest`].
    PullRequest(PullRequest),
    /// See [`PullReply`].
    PullReply(PullReply),
    /// See [`GoneRequest`].
    GoneRequest(GoneRequest),
    /// See [`GoneReply`].
    GoneReply(GoneReply),
    /// See [`CreateRequest`].
    CreateRequest(CreateRequest),
    /// See [`CreateReply`].
    CreateReply(CreateReply),
}
