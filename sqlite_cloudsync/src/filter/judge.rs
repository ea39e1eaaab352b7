//! What a journal entry of a table with a filter comes to. The journal tells which rows were looked at and
//! whether the filter took them *before*; what it says of them *now* decides with it.

use cloudsync_shared::capture::LocalWrite;

/// How a row stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and the filter is true for it.
    Shared,
    /// It is there, and the filter is not true for it.
    Private,
    /// It is not there.
    Absent,
}

/// What the clocks say of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The others have it.
    Alive,
    /// They have, or may have, been told of it, but hold it as deleted.
    Dead,
    /// It stood in its table before the table was synced: they may have it.
    Base,
    /// They have never heard of it.
    Never,
}

/// A journal entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A write follows, or may: whether the filter was true for the row.
    Before(bool),
    /// The row was written.
    Write(LocalWrite),
}

/// What the entry comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Nothing,
    /// This write, for the others to hear of.
    Tell(LocalWrite),
    /// The row is this device's own from here on: its clock goes, so that nothing is told of it, and what
    /// the others write does not reach it.
    Keep,
}

/// Judges an entry. `first` remembers what the first look at the row since the last fold said: what it was
/// in between, nobody saw. `insert` is the write that tells a row whole.
pub fn judge(
    entry: Entry,
    now: Presence,
    known: Known,
    first: &mut Option<bool>,
    insert: impl FnOnce() -> LocalWrite,
) -> Verdict {
    let keep = || if known == Known::Alive { Verdict::Keep } else { Verdict::Nothing };
    match (entry, now) {
        (Entry::Before(was), now) => {
            let was = *first.get_or_insert(was);
            match now {
                Presence::Shared => Verdict::Nothing,
                // It was the others' before, too, if they know it.
                _ if was && matches!(known, Known::Alive | Known::Base) => Verdict::Tell(LocalWrite::Delete),
                Presence::Absent => keep(),
                // Perhaps it was not written after all.
                Presence::Private => Verdict::Nothing,
            }
        }
        (Entry::Write(LocalWrite::Delete), Presence::Shared) => Verdict::Nothing,
        (Entry::Write(write), Presence::Shared) => match known {
            Known::Alive => Verdict::Tell(write),
            _ => Verdict::Tell(insert()),
        },
        (Entry::Write(_), _) => keep(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(entries: &[Entry], now: Presence, known: Known) -> Vec<Verdict> {
        let mut first = None;
        let mut known = known;
        let mut told = Vec::new();
        for entry in entries {
            let verdict = judge(entry.clone(), now, known, &mut first, || LocalWrite::Insert);
            match &verdict {
                Verdict::Nothing => continue,
                Verdict::Tell(LocalWrite::Delete) => known = Known::Dead,
                Verdict::Tell(_) => known = Known::Alive,
                Verdict::Keep => known = Known::Never,
            }
            told.push(verdict);
        }
        told
    }

    const UPDATE: Entry = Entry::Write(LocalWrite::Update(Vec::new()));

    #[test]
    fn what_the_others_hear() {
        use Entry::Before;
        use Known::{Alive, Base, Dead, Never};
        use Presence::{Absent, Private, Shared};
        let update = || Verdict::Tell(LocalWrite::Update(Vec::new()));
        let delete = || Verdict::Tell(LocalWrite::Delete);
        let insert = || Verdict::Tell(LocalWrite::Insert);
        let cases = [
            ("a shared row is written", vec![Before(true), UPDATE], Shared, Alive, vec![update()]),
            ("it leaves", vec![Before(true), UPDATE], Private, Alive, vec![delete()]),
            ("an untouched old row leaves", vec![Before(true), UPDATE], Private, Base, vec![delete()]),
            ("it is deleted", vec![Before(true)], Absent, Alive, vec![delete()]),
            ("one is deleted that nobody heard of", vec![Before(true)], Absent, Never, vec![]),
            ("a private row is written", vec![Before(false), UPDATE], Private, Never, vec![]),
            ("a private row is written that had left", vec![Before(false), UPDATE], Private, Dead, vec![]),
            ("a private row is deleted", vec![Before(false)], Absent, Never, vec![]),
            ("a private old row is deleted", vec![Before(false)], Absent, Base, vec![]),
            ("it enters", vec![Before(false), UPDATE], Shared, Never, vec![insert()]),
            ("it enters again", vec![Before(false), UPDATE], Shared, Dead, vec![insert()]),
            (
                "it leaves and comes back",
                vec![Before(true), UPDATE, Before(false), UPDATE],
                Shared,
                Alive,
                vec![update(), update()],
            ),
            (
                "the others' row is changed here alone",
                vec![Before(false), UPDATE],
                Private,
                Alive,
                vec![Verdict::Keep],
            ),
            ("it is deleted here alone", vec![Before(false)], Absent, Alive, vec![Verdict::Keep]),
            (
                "it comes and goes unseen",
                vec![Before(false), UPDATE, Before(true), UPDATE],
                Private,
                Alive,
                vec![Verdict::Keep],
            ),
            ("a write that did not happen", vec![Before(false)], Private, Alive, vec![]),
        ];
        for (what, entries, now, known, expected) in cases {
            assert_eq!(run(&entries, now, known), expected, "{what}");
        }
    }
}
