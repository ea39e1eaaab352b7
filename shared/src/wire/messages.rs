//! The body of each kind of message, field by field.

use crate::error::{Error, Result};
use crate::hlc::{Millis, Version};
use crate::id::SiteId;
use crate::message::{
    CreateReply, Epoch, GoneReply, GoneRequest, Message, Next, Progress, PullReply, PullRequest, PushReply,
    PushRequest, Snapshot, View,
};
use crate::varint::{self, Reader};
use crate::wire::limits::{MAX_MILLIS, MAX_SNAPSHOT_BYTES, MAX_TABLES};
use crate::wire::{batch, conflicts, creation, groups, ids, results, stream};

const PAYLOAD: u8 = 1;
const PUSH_REQUEST: u8 = 2;
const PUSH_REPLY: u8 = 3;
const PULL_REQUEST: u8 = 4;
const PULL_REPLY: u8 = 5;
const GONE_REQUEST: u8 = 6;
const GONE_REPLY: u8 = 7;
const CREATE_REQUEST: u8 = 8;
const CREATE_REPLY: u8 = 9;

const VIEW_BYTES: usize = 16;

const MORE: u8 = 0;
const DONE: u8 = 1;
const EXPIRED: u8 = 2;

const SNAPSHOT: &str = "the text of a snapshot, in bytes,";
const TABLES: &str = "the number of tables in one message";

/// Appends the body of a message and tells its kind.
///
/// # Errors
/// A limit is exceeded, or a field breaks the rules of its type.
pub fn put(out: &mut Vec<u8>, message: &Message) -> Result<u8> {
    Ok(match message {
        Message::Payload(changes) => {
            batch::put(out, changes)?;
            PAYLOAD
        }
        Message::PushRequest(request) => {
            put_sender(out, request.site, request.epoch);
            batch::put(out, &request.changes)?;
            groups::put(out, &request.changes, &request.groups)?;
            conflicts::put_bases(out, &request.changes, &request.bases)?;
            PUSH_REQUEST
        }
        Message::PushReply(reply) => {
            put_server(out, reply.epoch, reply.server_time)?;
            results::put(out, &reply.results)?;
            batch::put(out, &reply.restored)?;
            conflicts::put_lost(out, &reply.lost)?;
            PUSH_REPLY
        }
        Message::PullRequest(request) => {
            put_pull_request(out, request)?;
            PULL_REQUEST
        }
        Message::PullReply(reply) => {
            put_pull_reply(out, reply)?;
            PULL_REPLY
        }
        Message::GoneRequest(request) => {
            out.extend_from_slice(&request.site.0);
            out.extend_from_slice(&request.epoch.0);
            put_option(out, request.from.as_ref(), put_snapshot)?;
            ids::put_sets(out, &request.held)?;
            GONE_REQUEST
        }
        Message::GoneReply(reply) => {
            out.extend_from_slice(&reply.epoch.0);
            ids::put_sets(out, &reply.gone)?;
            GONE_REPLY
        }
        Message::CreateRequest(request) => {
            creation::put_request(out, request)?;
            CREATE_REQUEST
        }
        Message::CreateReply(reply) => {
            put_names(out, &reply.tables)?;
            CREATE_REPLY
        }
    })
}

/// Reads the body of a message of the given kind, to its end.
///
/// # Errors
/// The kind is unknown, or the body is cut short, too long, exceeds a limit or is not what [`put`]
/// writes.
pub fn read(kind: u8, input: &mut Reader<'_>) -> Result<Message> {
    let message = match kind {
        PAYLOAD => Message::Payload(batch::read(input)?),
        PUSH_REQUEST => {
            let (site, epoch) = read_sender(input)?;
            let changes = batch::read(input)?;
            let groups = groups::read(input, &changes)?;
            let bases = conflicts::read_bases(input, &changes)?;
            Message::PushRequest(PushRequest { site, epoch, changes, groups, bases })
        }
        PUSH_REPLY => {
            let (epoch, server_time) = read_server(input)?;
            let results = results::read(input)?;
            let restored = batch::read(input)?;
            let lost = conflicts::read_lost(input)?;
            Message::PushReply(PushReply { epoch, server_time, results, restored, lost })
        }
        PULL_REQUEST => Message::PullRequest(read_pull_request(input)?),
        PULL_REPLY => Message::PullReply(read_pull_reply(input)?),
        GONE_REQUEST => {
            let (site, epoch) = (SiteId(input.array()?), Epoch(input.array()?));
            let from = read_option(input, read_snapshot)?;
            Message::GoneRequest(GoneRequest { site, epoch, from, held: ids::sets(input)? })
        }
        GONE_REPLY => {
            let epoch = Epoch(input.array()?);
            Message::GoneReply(GoneReply { epoch, gone: ids::sets(input)? })
        }
        CREATE_REQUEST => Message::CreateRequest(creation::read_request(input)?),
        CREATE_REPLY => Message::CreateReply(CreateReply { tables: read_names(input)? }),
        _ => {
            return Err(Error::unsupported(format!(
                "this build of cloudsync does not know messages of kind {kind}: update cloudsync on this side"
            )));
        }
    };
    if !input.is_empty() {
        return Err(Error::malformed(input.offset(), "the message goes on after its end"));
    }
    Ok(message)
}

fn put_pull_request(out: &mut Vec<u8>, request: &PullRequest) -> Result<()> {
    put_sender(out, request.site, request.epoch);
    put_names(out, &request.tables)?;
    put_option(out, request.from.as_ref(), put_snapshot)?;
    put_option(out, request.progress.as_ref(), put_progress)?;
    varint::put_u64(out, u64::from(request.max_bytes));
    ids::put_sets(out, &request.held)
}

fn read_pull_request(input: &mut Reader<'_>) -> Result<PullRequest> {
    let (site, epoch) = read_sender(input)?;
    let tables = read_names(input)?;
    let from = read_option(input, read_snapshot)?;
    let progress = read_option(input, read_progress)?;
    let max_bytes = input.u32()?;
    Ok(PullRequest { site, epoch, tables, from, progress, max_bytes, held: ids::sets(input)? })
}

fn put_names(out: &mut Vec<u8>, names: &[String]) -> Result<()> {
    stream::put_count(out, names.len(), TABLES, MAX_TABLES)?;
    names.iter().try_for_each(|name| stream::put_name(out, name))
}

fn read_names(input: &mut Reader<'_>) -> Result<Vec<String>> {
    let count = stream::count(input, 1, TABLES, MAX_TABLES)?;
    (0..count).map(|_| stream::name(input)).collect()
}

fn put_pull_reply(out: &mut Vec<u8>, reply: &PullReply) -> Result<()> {
    put_server(out, reply.epoch, reply.server_time)?;
    out.push(u8::from(reply.hidden));
    match &reply.next {
        Next::More(progress) => {
            out.push(MORE);
            put_progress(out, progress)?;
        }
        Next::Done(snapshot) => {
            out.push(DONE);
            put_snapshot(out, snapshot)?;
        }
        Next::Expired => out.push(EXPIRED),
    }
    stream::put_count(out, reply.views.len(), TABLES, MAX_TABLES)?;
    for view in &reply.views {
        out.extend_from_slice(&view.columns.to_le_bytes());
        out.extend_from_slice(&view.rows.to_le_bytes());
    }
    batch::put(out, &reply.changes)?;
    if reply.collected > Version::MAX {
        return Err(Error::invalid_input("the bound of what was collected is no version"));
    }
    if reply.collected > Version::NEVER {
        varint::put_u64(out, reply.collected.0);
    }
    Ok(())
}

fn read_pull_reply(input: &mut Reader<'_>) -> Result<PullReply> {
    let (epoch, server_time) = read_server(input)?;
    let hidden = read_flag(input)?;
    let offset = input.offset();
    let next = match input.byte()? {
        MORE => Next::More(read_progress(input)?),
        DONE => Next::Done(read_snapshot(input)?),
        EXPIRED => Next::Expired,
        _ => return Err(Error::malformed(offset, "what comes next has an unknown form")),
    };
    let views = stream::count(input, VIEW_BYTES, TABLES, MAX_TABLES)?;
    let views = (0..views).map(|_| read_view(input)).collect::<Result<Vec<_>>>()?;
    let changes = batch::read(input)?;
    let collected = read_collected(input)?;
    Ok(PullReply { epoch, server_time, views, changes, hidden, next, collected })
}

fn read_collected(input: &mut Reader<'_>) -> Result<Version> {
    if input.is_empty() {
        return Ok(Version::NEVER);
    }
    let offset = input.offset();
    let version = Version(input.u64()?);
    if version == Version::NEVER || version > Version::MAX {
        return Err(Error::malformed(offset, "the bound of what was collected is no version"));
    }
    Ok(version)
}

fn read_view(input: &mut Reader<'_>) -> Result<View> {
    let columns = u64::from_le_bytes(input.array()?);
    Ok(View { columns, rows: u64::from_le_bytes(input.array()?) })
}

fn put_sender(out: &mut Vec<u8>, site: SiteId, epoch: Option<Epoch>) {
    out.extend_from_slice(&site.0);
    out.push(u8::from(epoch.is_some()));
    if let Some(epoch) = epoch {
        out.extend_from_slice(&epoch.0);
    }
}

fn read_sender(input: &mut Reader<'_>) -> Result<(SiteId, Option<Epoch>)> {
    let site = SiteId(input.array()?);
    Ok((site, read_option(input, |input| input.array().map(Epoch))?))
}

fn put_server(out: &mut Vec<u8>, epoch: Epoch, time: Millis) -> Result<()> {
    if time > MAX_MILLIS {
        return Err(Error::invalid_input(format!("the time {} ms is later than a version can hold", time.0)));
    }
    out.extend_from_slice(&epoch.0);
    varint::put_u64(out, time.0);
    Ok(())
}

fn read_server(input: &mut Reader<'_>) -> Result<(Epoch, Millis)> {
    let epoch = Epoch(input.array()?);
    let offset = input.offset();
    let time = Millis(input.u64()?);
    if time > MAX_MILLIS {
        return Err(Error::malformed(offset, "the server's time is later than a version can hold"));
    }
    Ok((epoch, time))
}

fn put_progress(out: &mut Vec<u8>, progress: &Progress) -> Result<()> {
    put_snapshot(out, &progress.until)?;
    stream::put_name(out, &progress.table)?;
    varint::put_u64(out, ids::check_own_progress(progress.after)?);
    Ok(())
}

fn read_progress(input: &mut Reader<'_>) -> Result<Progress> {
    let until = read_snapshot(input)?;
    let table = stream::name(input)?;
    let offset = input.offset();
    Ok(Progress { until, table, after: ids::check_progress(offset, input.u64()?)? })
}

fn put_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) -> Result<()> {
    if !snapshot.0.bytes().all(is_of_snapshot) {
        return Err(Error::invalid_input("a snapshot holds other characters than digits, colons and commas"));
    }
    stream::put_text(out, &snapshot.0, SNAPSHOT, MAX_SNAPSHOT_BYTES)
}

fn read_snapshot(input: &mut Reader<'_>) -> Result<Snapshot> {
    let offset = input.offset();
    let text = stream::text(input, SNAPSHOT, MAX_SNAPSHOT_BYTES)?;
    if !text.bytes().all(is_of_snapshot) {
        return Err(Error::malformed(
            offset,
            "a snapshot holds other characters than digits, colons and commas",
        ));
    }
    Ok(Snapshot(text))
}

fn is_of_snapshot(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b':' || byte == b','
}

fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    put: impl FnOnce(&mut Vec<u8>, &T) -> Result<()>,
) -> Result<()> {
    out.push(u8::from(value.is_some()));
    value.map_or(Ok(()), |value| put(out, value))
}

fn read_option<'a, T>(
    input: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if read_flag(input)? { read(input).map(Some) } else { Ok(None) }
}

fn read_flag(input: &mut Reader<'_>) -> Result<bool> {
    let offset = input.offset();
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::malformed(offset, "a flag is neither 0 nor 1")),
    }
}
