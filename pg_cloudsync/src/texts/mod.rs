//! Documents of texts that are merged by lines, and the log of their latest edits, as they are stored.
//!
//! A document without a row in `cloudsync.texts` follows from the value and its stamp. A document fits one
//! text; which, its digest says: where the value is another one (somebody wrote it while capture was off),
//! the document is of no account, and the value counts as written whole.
//!
//! The log holds edits only beside a document. So everything here is guarded by the lock of the user's row,
//! which every writer holds.

mod keep;
mod settings;

pub use keep::{CellWrite, Change, forget_column, keep};
pub use settings::{read_settings, texts_of};

use std::convert::Infallible;

use cloudsync_shared::hlc::Version;
use cloudsync_shared::id::SiteOrdinal;
use cloudsync_shared::text::{Document, TextDelta, digest};
use pgrx::pg_extern;

use crate::error::{PgError, Result, or_report};

/// A document as it is stored, with what says of which text it is.
#[derive(Clone, Debug)]
pub struct Stored {
    bytes: Vec<u8>,
    digest: i64,
}

impl Stored {
    /// What was read from `cloudsync.texts`.
    pub fn new(bytes: Vec<u8>, digest: i64) -> Stored {
        Stored { bytes, digest }
    }

    /// The document, if it is that of this text.
    ///
    /// # Errors
    /// It is damaged.
    pub fn of(&self, text: &str) -> Result<Option<Document<SiteOrdinal>>> {
        if self.digest != digest(text) {
            return Ok(None);
        }
        Ok(Some(Document::from_bytes(&self.bytes)?))
    }
}

/// `cloudsync.collect_lines(document bytea, before bigint) RETURNS bytea`: a document without the lines that were
/// deleted before a version, NULL if there are none.
#[pg_extern(sql = false)]
fn cloudsync_collect_lines(document: &[u8], before: i64) -> Option<Vec<u8>> {
    let document = or_report(Document::<SiteOrdinal>::from_bytes(document).map_err(PgError::from));
    document.collect(Version(before.unsigned_abs())).map(|document| document.to_bytes())
}

/// The sites that a delta names.
pub fn sites_in<S: Copy + Eq>(delta: &TextDelta<S>) -> Vec<S> {
    let mut named = Vec::new();
    let note = |site| -> std::result::Result<S, Infallible> {
        named.push(site);
        Ok(site)
    };
    let Ok(_) = delta.map_sites(note);
    named
}

/// The sites that a document names.
pub fn sites_of_document<S: Copy + Eq>(document: &Document<S>) -> Vec<S> {
    let mut named = Vec::new();
    let note = |site| -> std::result::Result<S, Infallible> {
        named.push(site);
        Ok(site)
    };
    let Ok(_) = document.map_sites(note);
    named
}
