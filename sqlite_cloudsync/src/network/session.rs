//! One sync: send what is unsent, then receive what is new. Each request stands alone: a sync that is
//! cut anywhere goes on from there the next time.

use cloudsync_shared::hlc::Millis;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::message::{
    Epoch, GoneRequest, Message, Next, PullReply, PullRequest, PushReply, PushRequest, Snapshot, View,
};
use cloudsync_shared::wire;
use roaring::RoaringTreemap;
use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::inbox::{self, Received};
use crate::mapping::ServerNames;
use crate::network::creation;
use crate::network::interrupt::Interrupt;
use crate::network::pieces;
use crate::network::progress::{self, Phase, Progress, ProgressCallback};
use crate::network::state::{self, Pulled, Purpose, ServerState};
use crate::network::transport::Transport;
use crate::outbox::{self, Parcel, Pass};
use crate::restamp::restamp;
use crate::savepoint::in_savepoint;
use crate::table::Table;
use crate::{apply, fold, horizon, sent, system};

/// What sending came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// Rows that the server refused.
    pub rejected: usize,
    /// Tables that the server does not sync.
    pub unknown_tables: Vec<String>,
    /// Why those could not be made there, where that was wanted.
    pub not_created: Option<String>,
    /// A sentence on each row that is larger than the server takes. It stays unsent.
    pub too_large: Vec<String>,
}

/// One device speaking to one server.
pub struct Session<'a> {
    conn: &'a Connection,
    transport: &'a mut dyn Transport,
    callback: Option<ProgressCallback>,
    /// The server's clock when it last answered.
    server_time: Millis,
    /// The names of the tables in the last request.
    names: ServerNames,
}

/// Sends and receives. `first` says that it is the first time on this connection.
///
/// # Errors
/// The server cannot be reached or refused as a whole, or the database is busy or failed. What was
/// done before stays done.
pub fn sync(
    conn: &Connection,
    transport: &mut dyn Transport,
    callback: Option<ProgressCallback>,
    first: bool,
) -> Result<(SendReport, Received)> {
    let mut session = Session::new(conn, transport, callback)?;
    // A device that knows nothing of the server asks first: what it sends afterwards is its own, and
    // need not come back.
    let mut received = Received::default();
    // So does one that was just opened, and may be a copy: what its original has sent is not left out then.
    if ServerState::load(conn)?.cursor.is_none() || (first && outbox::unsent(conn)?.0 > 0) {
        // One that was away for too long sends before it starts anew: what it wrote is about the rows that it has.
        received.add(session.receive_within(Horizon::SendFirst)?);
    }
    let sent = session.send()?;
    received.add(session.receive()?);
    session.finish()?;
    Ok((sent, received))
}

/// What follows if the server does not know any more what changed since the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Horizon {
    /// Nothing yet: what is unsent goes out first.
    SendFirst,
    /// The device starts anew.
    StartAnew,
}

/// How a download ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the last page.
    Complete,
    /// The server does not know any more what changed since the cursor.
    Expired,
}

impl<'a> Session<'a> {
    /// Begins.
    ///
    /// # Errors
    /// A transaction is open, or nothing is synced yet.
    pub fn new(
        conn: &'a Connection,
        transport: &'a mut dyn Transport,
        callback: Option<ProgressCallback>,
    ) -> Result<Session<'a>> {
        if !conn.is_autocommit() {
            return Err(Error::state("a sync cannot run inside a transaction: COMMIT first"));
        }
        if system::site_id(conn)?.is_none() {
            return Err(Error::state("no table is synced yet: SELECT cloudsync_init('your_table')"));
        }
        let names = ServerNames::load(conn)?;
        Ok(Session { conn, transport, callback, server_time: apply::now(), names })
    }

    /// This database's site id, which may become another during a sync (see `twin`).
    fn site(&self) -> Result<SiteId> {
        Ok(system::site_id(self.conn)?.unwrap_or(SiteId::NIL))
    }

    /// Whose writes the server need not tell. If nothing was sent since the last download, then there are none
    /// of this database; but if there are, they are a twin's, and wanted.
    fn asker(&self) -> Result<SiteId> {
        if sent::since_download(self.conn)? { self.site() } else { Ok(SiteId::NIL) }
    }

    /// Sends everything unsent. Where the setting `create_tables` is on, tables that the server does not
    /// sync are made there before.
    ///
    /// # Errors
    /// As [`sync`].
    pub fn send(&mut self) -> Result<SendReport> {
        if !creation::is_wanted(self.conn)? {
            return self.send_unsent();
        }
        let lacking = self.lacking_tables()?;
        if lacking.is_empty() {
            return self.send_unsent();
        }
        match creation::create(self.conn, self.transport, &self.names, &lacking) {
            Ok(()) => self.send_unsent(),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                let mut report = self.send_unsent()?;
                report.not_created = Some(error.to_string());
                let known = report.unknown_tables.clone();
                report.unknown_tables.extend(lacking.into_iter().filter(|table| !known.contains(table)));
                Ok(report)
            }
        }
    }

    /// The tables that the server does not sync, of those of which this is possible: it is asked for their
    /// views, by a pull without rows.
    fn lacking_tables(&mut self) -> Result<Vec<String>> {
        let mut tables = state::tables_unseen(self.conn)?;
        let here = Table::all(self.conn)?;
        tables.retain(|name| here.iter().any(|table| table.schema.name == *name));
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.ask_views(tables.clone())?;
        let lacking = tables.into_iter().zip(reply.views).filter(|(_, view)| *view == View::default());
        Ok(lacking.map(|(table, _)| table).collect())
    }

    /// Sends everything unsent: a pass over all of it, and one more over what was refused, as a refusal
    /// may end when the rest has arrived.
    ///
    /// # Errors
    /// As [`sync`].
    fn send_unsent(&mut self) -> Result<SendReport> {
        // Writes get their versions by folding: before that the highest is not yet that of the last write.
        in_savepoint(self.conn, || {
            system::lock(self.conn)?;
            fold::fold(self.conn)
        })?;
        let up_to = system::highest(self.conn)?;
        let mut report = SendReport::default();
        let mut rows = 0u64;
        let postponed = match self.send_pass(false, &mut report, &mut rows) {
            Err(error) if error.is_clock_ahead() => {
                let now = self.ask_time()?;
                restamp(self.conn, now)?;
                self.send_pass(false, &mut report, &mut rows)?
            }
            done => done?,
        };
        if postponed > 0 {
            self.send_pass(true, &mut report, &mut rows)?;
        }
        let up_to = up_to.min(system::highest(self.conn)?);
        sent::set_told(self.conn, up_to)?;
        if report.unknown_tables.is_empty() && report.too_large.is_empty() {
            outbox::all_sent(self.conn)?;
            sent::set_acknowledged(self.conn, up_to)?;
        }
        Ok(report)
    }

    fn send_pass(&mut self, last: bool, report: &mut SendReport, rows: &mut u64) -> Result<usize> {
        let begin = || if last { Pass::last() } else { Pass::default() };
        let mut pass = begin();
        let mut postponed = 0;
        loop {
            let before = pass.clone();
            let Some(parcel) = outbox::take(self.conn, &mut pass, self.transport.chunk().bytes())? else {
                return Ok(postponed);
            };
            let state = ServerState::load(self.conn)?;
            let (site, epoch) = (self.site()?, state.epoch);
            let (changes, groups, bases) =
                (parcel.changes.clone(), parcel.groups.clone(), parcel.bases.clone());
            let request = PushRequest { site, epoch, changes, groups, bases };
            let reply = match self.push(request) {
                Ok(reply) => reply,
                Err(error) if error.is_too_much() => {
                    if self.send_less(&parcel, error, report)? {
                        pass = before;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.enter_epoch(state, reply.epoch)? {
                pass = begin();
                continue;
            }
            *rows += parcel.changes.row_count() as u64;
            let done = outbox::acknowledge(self.conn, &parcel, reply, last)?;
            postponed += done.postponed;
            report.rejected += done.rejected;
            for table in done.unknown_tables {
                if !report.unknown_tables.contains(&table) {
                    report.unknown_tables.push(table);
                }
            }
            self.tell(Phase::Sending, *rows)?;
        }
    }

    /// A request was too much. `true`: it is to be made anew, of fewer rows. `false`: it was one row, or the
    /// rows of one transaction, which stay unsent and are reported, as they must not hold up the others.
    fn send_less(&mut self, parcel: &Parcel, error: Error, report: &mut SendReport) -> Result<bool> {
        let rows = parcel.changes.row_count();
        if rows > 1 && self.transport.chunk().shrink() {
            return Ok(true);
        }
        let tables: Vec<&str> = parcel.changes.tables.iter().map(|table| table.table.as_str()).collect();
        let tables = tables.join(", ");
        // What no smaller request can hold: a row, or the rows of a transaction that stay together.
        let what = if rows > 1 { "a transaction on" } else { "a row of" };
        if (rows > 1 && parcel.groups.is_empty()) || !error.is_too_large() {
            return Err(error.about(&format!("{rows} row(s) of table {tables} cannot be sent")));
        }
        let sentence =
            format!("{what} table {tables} is too large to be sent, about {} bytes: {error}", parcel.bytes);
        if !report.too_large.contains(&sentence) {
            report.too_large.push(sentence);
        }
        self.transport.chunk().acquit();
        Ok(false)
    }

    /// The server's time, by a pull that asks for nothing.
    fn ask_time(&mut self) -> Result<Millis> {
        Ok(self.ask_views(Vec::new())?.server_time)
    }

    /// What the server says of tables beside their rows.
    fn ask_views(&mut self, tables: Vec<String>) -> Result<PullReply> {
        let state = ServerState::load(self.conn)?;
        let (site, epoch, from) = (self.site()?, state.epoch, state.cursor);
        let request =
            PullRequest { site, epoch, tables, from, progress: None, held: Vec::new(), max_bytes: 0 };
        match self.pull(Message::PullRequest(request))? {
            Message::PullReply(reply) => Ok(reply),
            _ => Err(Error::network("the server answered a pull with another message")),
        }
    }

    /// Receives everything new. A table that the device has not seen yet it gets whole first; one of which
    /// the user may see other rows than before is compared with the server's last.
    ///
    /// # Errors
    /// As [`sync`].
    pub fn receive(&mut self) -> Result<Received> {
        self.receive_within(Horizon::StartAnew)
    }

    fn receive_within(&mut self, beyond: Horizon) -> Result<Received> {
        let mut received = Received::default();
        let names: Vec<String> = Table::all(self.conn)?.into_iter().map(|table| table.schema.name).collect();
        if ServerState::load(self.conn)?.cursor.is_none() {
            return self.receive_whole(&names, received);
        }
        self.download_new_tables(&mut received)?;
        if self.download(Purpose::News, &names, &mut received)? == End::Expired {
            return match beyond {
                Horizon::SendFirst => Ok(received),
                Horizon::StartAnew => self.start_anew(&names, received),
            };
        }
        // The news may have said that other columns of a table may be read than those it has.
        self.download_new_tables(&mut received)?;
        let stale = state::tables_pulled(self.conn, Pulled::Stale)?;
        if !stale.is_empty() {
            self.download(Purpose::Sight, &stale, &mut received)?;
        }
        received.add(inbox::retry_parked(self.conn, self.server_time)?);
        Ok(received)
    }

    /// Everything, for a device that has no cursor.
    fn receive_whole(&mut self, tables: &[String], mut received: Received) -> Result<Received> {
        self.download(Purpose::Whole, tables, &mut received)?;
        received.add(inbox::retry_parked(self.conn, self.server_time)?);
        Ok(received)
    }

    /// After a time so long that the server does not know any more what changed: what is not unsent counts as
    /// a cache. Rows that are gone go first, while the rest is as it was: then every id that is left names the
    /// row that it always did. If that is cut, the next sync begins with it again.
    fn start_anew(&mut self, tables: &[String], mut received: Received) -> Result<Received> {
        self.remove_gone(None, tables, &mut received)?;
        apply::in_transaction(self.conn, || {
            horizon::forget_told(self.conn)?;
            horizon::set_starting_anew(self.conn, true)?;
            state::set_pulled(self.conn, tables, Pulled::Never)?;
            let epoch = ServerState::load(self.conn)?.epoch;
            ServerState { epoch, cursor: None, progress: None }.store(self.conn)
        })?;
        self.receive_whole(tables, received)
    }

    fn download_new_tables(&mut self, received: &mut Received) -> Result<()> {
        let new = state::tables_pulled(self.conn, Pulled::Never)?;
        if !new.is_empty() {
            self.download(Purpose::Whole, &new, received)?;
        }
        Ok(())
    }

    /// Downloads pages until the end, and removes what is gone.
    fn download(&mut self, purpose: Purpose, tables: &[String], received: &mut Received) -> Result<End> {
        let from = match purpose {
            Purpose::News => ServerState::load(self.conn)?.cursor,
            Purpose::Whole | Purpose::Sight => None,
        };
        let site = self.site()?;
        let names = ServerNames::load(self.conn)?;
        // Of a download that was cut, the pages before may have had hidden rows.
        let mut hidden = ServerState::load(self.conn)?.progress.is_some();
        loop {
            let state = ServerState::load(self.conn)?;
            let progress = state.progress.clone().filter(|(of, _)| *of == purpose).map(|(_, at)| at);
            let bytes = self.transport.chunk().bytes();
            let held = match purpose {
                Purpose::Sight => pieces::beginning(self.held(tables)?, progress.as_ref(), bytes),
                Purpose::News | Purpose::Whole => Vec::new(),
            };
            let request = PullRequest {
                site: self.asker()?,
                epoch: state.epoch,
                tables: tables.to_vec(),
                from: from.clone(),
                progress,
                held,
                max_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            };
            let reply = match self.pull(Message::PullRequest(request)) {
                Err(error) if error.is_too_much() => {
                    if !self.transport.chunk().shrink() {
                        return Err(error.about(&format!("rows of {} cannot be received", tables.join(", "))));
                    }
                    continue;
                }
                reply => reply?,
            };
            let Message::PullReply(reply) = reply else {
                return Err(Error::network("the server answered a pull with another message"));
            };
            self.server_time = reply.server_time;
            if self.enter_epoch(state, reply.epoch)? {
                // Everything counts as unsent and unseen: the next call starts over, with the send.
                return Err(Error::network("the server was restored or replaced: sync again"));
            }
            if reply.next == Next::Expired {
                return Ok(End::Expired);
            }
            hidden |= reply.hidden;
            if let Some(end) = self.apply_page(purpose, tables, reply, received)? {
                if hidden || from.is_none() {
                    self.remove_gone(from.clone(), tables, received)?;
                }
                // A table that was mapped elsewhere since is not downloaded.
                in_savepoint(self.conn, || {
                    names.check(self.conn)?;
                    self.finish_download(purpose, tables, end, site)
                })?;
                return Ok(End::Complete);
            }
        }
    }

    /// Merges a page and moves on; the end of the download if that was the last.
    fn apply_page(
        &mut self,
        purpose: Purpose,
        tables: &[String],
        reply: PullReply,
        received: &mut Received,
    ) -> Result<Option<Snapshot>> {
        // Read anew: at the first contact the epoch has just been noted.
        let mut state = ServerState::load(self.conn)?;
        let end = match reply.next {
            Next::More(progress) => {
                state.progress = Some((purpose, progress));
                None
            }
            Next::Done(snapshot) => {
                state.progress = None;
                Some(snapshot)
            }
            Next::Expired => return Ok(None),
        };
        let names = &self.names;
        let PullReply { changes, server_time, collected, views, .. } = reply;
        let page = inbox::apply_page(self.conn, changes, server_time, collected, |conn| {
            names.check(conn)?;
            match purpose {
                Purpose::News => state::mark_stale(conn, tables, &views)?,
                Purpose::Whole | Purpose::Sight => state::keep_views(conn, tables, &views)?,
            }
            state.store(conn)
        })?;
        received.add(page);
        self.tell(Phase::Receiving, received.rows as u64)?;
        Ok(end)
    }

    fn finish_download(
        &self,
        purpose: Purpose,
        tables: &[String],
        end: Snapshot,
        site: SiteId,
    ) -> Result<()> {
        let mut state = ServerState::load(self.conn)?;
        if purpose == Purpose::News || state.cursor.is_none() {
            state.cursor = Some(end);
            state.store(self.conn)?;
            sent::set_since_download(self.conn, false)?;
            horizon::set_starting_anew(self.conn, false)?;
        }
        // Under a new site id all is to be downloaded anew.
        if purpose != Purpose::News && site == self.site()? {
            state::set_pulled(self.conn, tables, Pulled::All)?;
        }
        Ok(())
    }

    /// Asks which of the held rows are gone, if there are any, and removes them.
    fn remove_gone(
        &mut self,
        from: Option<Snapshot>,
        tables: &[String],
        received: &mut Received,
    ) -> Result<()> {
        let Some(epoch) = ServerState::load(self.conn)?.epoch else { return Ok(()) };
        let mut left = pieces::of(self.held(tables)?, self.transport.chunk().bytes());
        while let Some(held) = left.pop() {
            let site = self.site()?;
            let request = GoneRequest { site, epoch, from: from.clone(), held: held.clone() };
            let reply = match self.pull(Message::GoneRequest(request)) {
                Err(error) if error.is_too_much() => {
                    self.transport.chunk().shrink();
                    let Some(halves) = pieces::halves(held) else {
                        let tables = tables.join(", ");
                        return Err(error.about(&format!("gone rows of {tables} cannot be asked for")));
                    };
                    left.extend(halves);
                    continue;
                }
                reply => reply?,
            };
            let Message::GoneReply(reply) = reply else {
                return Err(Error::network(
                    "the server answered a question for gone rows with another message",
                ));
            };
            if reply.epoch == epoch && !reply.gone.is_empty() {
                received.add(inbox::remove_gone(self.conn, &reply.gone)?);
            }
        }
        Ok(())
    }

    /// The ids of the rows of these tables that the device holds.
    fn held(&self, tables: &[String]) -> Result<Vec<(String, RoaringTreemap)>> {
        let mut held = inbox::held(self.conn)?;
        held.retain(|(table, _)| tables.contains(table));
        Ok(held)
    }

    /// Notes which life of the server answered. `true`: it is another one than before, and what was
    /// known of it has been forgotten.
    fn enter_epoch(&mut self, state: ServerState, epoch: Epoch) -> Result<bool> {
        if state.epoch == Some(epoch) {
            return Ok(false);
        }
        if state.epoch.is_some() {
            inbox::forget_server(self.conn)?;
        }
        ServerState { epoch: Some(epoch), cursor: None, progress: None }.store(self.conn)?;
        Ok(state.epoch.is_some())
    }

    /// Notes the end of the sync.
    ///
    /// # Errors
    /// The database is busy or failed.
    pub fn finish(&mut self) -> Result<()> {
        let now = apply::now();
        state::set_last_sync(self.conn, now.0, self.server_time.0 as i64 - now.0 as i64)?;
        progress::finish(self.conn)
    }

    fn push(&mut self, request: PushRequest) -> Result<PushReply> {
        let bytes = self.encode(Message::PushRequest(request))?;
        let answer = self.transport.push(&bytes, &Interrupt::of(self.conn))?;
        match self.decode(&answer)? {
            Message::PushReply(reply) => {
                self.server_time = reply.server_time;
                Ok(reply)
            }
            _ => Err(Error::network("the server answered a push with another message")),
        }
    }

    fn pull(&mut self, request: Message) -> Result<Message> {
        let bytes = self.encode(request)?;
        let answer = self.transport.pull(&bytes, &Interrupt::of(self.conn))?;
        self.decode(&answer)
    }

    /// A request's bytes, in which tables have the names that they have on the server.
    fn encode(&mut self, mut request: Message) -> Result<Vec<u8>> {
        self.names = ServerNames::load(self.conn)?;
        self.names.outward(&mut request);
        Ok(wire::encode(&request)?)
    }

    /// An answer, in which tables have the names that they have here.
    fn decode(&mut self, answer: &[u8]) -> Result<Message> {
        let mut reply = wire::decode(answer)?;
        self.transport.chunk().worked();
        self.names.inward(&mut reply)?;
        Ok(reply)
    }

    fn tell(&self, phase: Phase, rows: u64) -> Result<()> {
        progress::tell(self.conn, self.callback.as_ref(), Progress { phase, rows })
    }
}
