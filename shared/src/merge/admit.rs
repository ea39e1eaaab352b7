//! What a server takes a change for that comes from a client: before the merge, so that the rule itself
//! need trust nobody.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::change::RowChange;
use crate::clock::{RowClock, Stamp};
use crate::id::{CausalLength, ColumnId, SiteId};
use crate::merge::dws;
use crate::schema::Algorithm;
use crate::text::{Document, TextDelta};

/// The most by which a change's causal length may exceed the stored one: a row is not inserted and deleted
/// more often between two syncs.
pub const MAX_LENGTH_STEP: u32 = 1 << 16;

/// The greatest causal length that a client can bring about: half of what a message carries, so that
/// the other half is left to writes on the server itself.
pub const MAX_ADMITTED_LENGTH: CausalLength = CausalLength(CausalLength::MAX.0 / 2);

/// Who sends.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The site.
    pub site: SiteId,
    /// Whether a site belongs to another user, or is the receiver's own.
    pub is_foreign: &'a dyn Fn(SiteId) -> bool,
}

impl Sender<'_> {
    /// Whether a stamp, unless it is known already, is one that the sender cannot have.
    fn forges(&self, stamp: Stamp<SiteId>) -> bool {
        stamp.site != self.site && (self.is_foreign)(stamp.site)
    }
}

/// The change as it is to be merged into a row whose clock is `stored`.
///
/// A row that is told as alive without the receiver's id of it, by someone who does not name the life
/// that a tombstone ended either, was not told of what happened to the row before: it is taken to be
/// about the row's present life, or to begin the next one. `knows_row` says that the change names the id.
///
/// Where deletes win, that holds for the deletes that are older than the change. Where adds win there is
/// nothing to say: a delete takes away only what it had seen.
///
/// A stamp that names a foreign site is taken as the sender's own, unless it is the stored one.
/// `columns` maps the change's column indexes to the receiver's columns.
pub fn admit<'a>(
    algorithm: Algorithm,
    change: &'a RowChange,
    columns: &[Option<ColumnId>],
    stored: Option<&RowClock<SiteId>>,
    knows_row: bool,
    sender: Sender<'_>,
) -> Cow<'a, RowChange> {
    let mut admitted = Cow::Borrowed(change);
    if let Some(stored) = stored {
        let knows_life = knows_row || stored.ended() == Some(change.life);
        let is_news = change.length.is_alive() && !knows_life;
        match algorithm {
            Algorithm::Cls | Algorithm::Gos if is_news && change.length < stored.length => {
                admitted.to_mut().length = stored.length.inserted();
            }
            Algorithm::Dws if is_news => {
                admitted = dws::after_older_deletes(change, stored).map_or(admitted, Cow::Owned);
            }
            _ => {}
        }
    }
    let is_forged =
        |stamp: Stamp<SiteId>, known: Option<Stamp<SiteId>>| known != Some(stamp) && sender.forges(stamp);
    if is_forged(change.life, stored.map(|clock| clock.life)) {
        admitted.to_mut().life.site = sender.site;
    }
    for (at, cell) in change.cells.iter().enumerate() {
        let column = columns.get(cell.column).copied().flatten();
        let known = stored.zip(column).map(|(clock, column)| clock.cell(column));
        if is_forged(cell.stamp, known)
            && let Some(cell) = admitted.to_mut().cells.get_mut(at)
        {
            cell.stamp.site = sender.site;
        }
    }
    admitted
}

/// The same for the lines of a text, which stands here with the stamp `cell` and perhaps with a document.
pub fn admit_lines(
    delta: &mut TextDelta<SiteId>,
    cell: Option<Stamp<SiteId>>,
    stored: Option<&Document<SiteId>>,
    sender: Sender<'_>,
) {
    if !delta.stamps().any(|stamp| sender.forges(stamp)) {
        return;
    }
    let known: BTreeSet<Stamp<SiteId>> = stored.into_iter().flat_map(Document::stamps).chain(cell).collect();
    *delta = delta.map_stamps(|stamp| match sender.forges(stamp) && !known.contains(&stamp) {
        true => Stamp { site: sender.site, ..stamp },
        false => stamp,
    });
}

/// Whether a change, as it was told and as it was admitted, has a causal length beyond what a client may
/// bring about. For those who do not name the row the bound is the same whatever is stored.
pub fn is_too_long(
    told: &RowChange,
    admitted: &RowChange,
    stored: Option<&RowClock<SiteId>>,
    knows_row: bool,
) -> bool {
    let known = stored.map_or(CausalLength::NEVER, |clock| clock.length);
    let start = if knows_row { known.0 } else { 0 };
    told.length.0.saturating_sub(start) > MAX_LENGTH_STEP
        || (admitted.length > known && admitted.length > MAX_ADMITTED_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::CellChange;
    use crate::hlc::Version;
    use crate::key::Key;
    use crate::text::Delimiter;
    use crate::value::Value;
    use crate::vector::Past;

    const OWN: SiteId = SiteId([1; 16]);
    const FOREIGN: SiteId = SiteId([2; 16]);
    const UNKNOWN: SiteId = SiteId([3; 16]);

    fn stamp(version: u64, site: SiteId) -> Stamp<SiteId> {
        Stamp { version: Version(version), site }
    }

    fn change(length: u32, life: Stamp<SiteId>, cell: Stamp<SiteId>) -> RowChange {
        let cells = vec![CellChange { column: 0, stamp: cell, value: Value::Null }];
        let (length, past) = (CausalLength(length), Past::default());
        RowChange { row_id: None, key: Key(vec![5]), length, life, cells, texts: Vec::new(), past }
    }

    fn admitted(change: &RowChange, stored: Option<&RowClock<SiteId>>, knows_row: bool) -> RowChange {
        let sender = Sender { site: OWN, is_foreign: &|site| site == FOREIGN };
        admit(Algorithm::Cls, change, &[Some(ColumnId(7))], stored, knows_row, sender).into_owned()
    }

    #[test]
    fn a_foreign_stamp_becomes_the_senders_unless_it_is_stored() {
        let told = change(1, stamp(5, FOREIGN), stamp(6, FOREIGN));
        let expected = change(1, stamp(5, OWN), stamp(6, OWN));
        assert_eq!(admitted(&told, None, false), expected);
        let mut stored = RowClock::new(CausalLength(1), stamp(5, FOREIGN));
        let expected = change(1, stamp(5, FOREIGN), stamp(6, OWN));
        assert_eq!(admitted(&told, Some(&stored), false), expected);
        stored.set_cell(ColumnId(7), stamp(6, FOREIGN));
        assert_eq!(admitted(&told, Some(&stored), false), told);
        let relayed = change(1, stamp(5, UNKNOWN), stamp(6, OWN));
        assert_eq!(admitted(&relayed, Some(&stored), false), relayed);
    }

    #[test]
    fn a_foreign_stamp_of_a_line_becomes_the_senders_unless_the_text_has_it() {
        let lines = Delimiter::default();
        let text = Document::implied(stamp(5, FOREIGN), "a\nb", &lines).expect("a document");
        let edit = |stamp| text.edit("a\nb", "a\nc", &lines, stamp, None).expect("an edit").1;
        let sender = Sender { site: OWN, is_foreign: &|site| site == FOREIGN };
        let admitted = |mut delta: TextDelta<SiteId>| {
            admit_lines(&mut delta, None, Some(&text), sender);
            delta.stamps().collect::<Vec<_>>()
        };
        let by = |site| edit(stamp(6, site)).stamps().collect::<Vec<_>>();
        assert_eq!(admitted(edit(stamp(6, FOREIGN))), by(OWN));
        assert_eq!(admitted(edit(stamp(6, UNKNOWN))), by(UNKNOWN), "passed on");
        assert_eq!(admitted(edit(stamp(6, OWN))), by(OWN));
    }

    #[test]
    fn who_does_not_know_of_a_life_that_is_over_means_the_present_one() {
        let told = change(1, stamp(5, OWN), stamp(5, OWN));
        let born = RowClock::new(CausalLength(1), stamp(4, FOREIGN));
        let dead = RowClock::new(CausalLength(2), stamp(9, FOREIGN)).remembering(Some(&born));
        assert_eq!(admitted(&told, Some(&dead), false).length, CausalLength(3));
        assert_eq!(admitted(&told, Some(&dead), true).length, CausalLength(1), "it names the row");
        let own = RowClock::new(CausalLength(1), stamp(5, OWN));
        let dead = RowClock::new(CausalLength(2), stamp(9, FOREIGN)).remembering(Some(&own));
        assert_eq!(admitted(&told, Some(&dead), false).length, CausalLength(1), "it names the life");
        let again = RowClock::new(CausalLength(3), stamp(10, FOREIGN));
        assert_eq!(admitted(&told, Some(&again), false).length, CausalLength(3));
        let delete = RowChange { cells: Vec::new(), ..change(2, stamp(5, OWN), stamp(5, OWN)) };
        assert_eq!(admitted(&delete, Some(&again), false), delete, "a delete ends only what it knew");
    }

    #[test]
    fn lengths_are_bounded_by_the_stored_one_and_by_what_a_message_carries() {
        let at = |length| RowClock::new(CausalLength(length), stamp(1, OWN));
        let is_too_long = |length, stored: Option<u32>, knows_row| {
            let told = change(length, stamp(5, OWN), stamp(5, OWN));
            let stored = stored.map(at);
            is_too_long(&told, &admitted(&told, stored.as_ref(), knows_row), stored.as_ref(), knows_row)
        };
        assert!(!is_too_long(MAX_LENGTH_STEP, None, false));
        assert!(is_too_long(MAX_LENGTH_STEP + 1, None, false));
        assert!(!is_too_long(MAX_LENGTH_STEP + 1, Some(1), true));
        assert!(is_too_long(MAX_LENGTH_STEP + 1, Some(1), false), "that there is a row is not told");
        assert!(!is_too_long(1, Some(MAX_LENGTH_STEP), false), "it is lifted");
        let greatest = MAX_ADMITTED_LENGTH.0;
        assert!(is_too_long(greatest + 1, Some(greatest), true));
        assert!(is_too_long(1, Some(greatest), false));
        assert!(!is_too_long(7, Some(CausalLength::MAX.0), true));
    }
}
