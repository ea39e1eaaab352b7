//! Sets of row ids in pieces that fit into a request.

use cloudsync_shared::message::Progress;
use roaring::RoaringTreemap;

/// Row ids by table.
pub type Held = Vec<(String, RoaringTreemap)>;

/// What a run of consecutive ids takes in a message at most, in the ordinary case.
const RUN_BYTES: usize = 8;

/// Cuts into pieces of about so many bytes.
pub fn of(held: Held, max_bytes: usize) -> Vec<Held> {
    let max_runs = (max_bytes / RUN_BYTES).max(1);
    let mut pieces = Vec::new();
    let (mut piece, mut room) = (Held::new(), max_runs);
    for (table, mut ids) in held {
        while !ids.is_empty() {
            let (first, used) = take_runs(&mut ids, room);
            piece.push((table.clone(), first));
            room -= used;
            if room == 0 {
                pieces.push(std::mem::take(&mut piece));
                room = max_runs;
            }
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// Cuts into two; `None` if there is one id only.
pub fn halves(held: Held) -> Option<[Held; 2]> {
    let total: u64 = held.iter().map(|(_, ids)| ids.len()).sum();
    if total < 2 {
        return None;
    }
    let (mut first, mut second) = (Held::new(), Held::new());
    let mut left = total / 2;
    for (table, ids) in held {
        let here = left.min(ids.len());
        left -= here;
        let (head, tail): (RoaringTreemap, RoaringTreemap) =
            (ids.iter().take(to_usize(here)).collect(), ids.iter().skip(to_usize(here)).collect());
        for (half, ids) in [(&mut first, head), (&mut second, tail)] {
            if !ids.is_empty() {
                half.push((table.clone(), ids));
            }
        }
    }
    Some([first, second])
}

/// The ids from where a download stands, as many as fit: those before are of no use any more, and those
/// beyond are told when it comes to them.
pub fn beginning(held: Held, progress: Option<&Progress>, max_bytes: usize) -> Held {
    let mut ahead = held;
    if let Some(progress) = progress {
        // Tables are gone through in the order in which they are asked for.
        if let Some(at) = ahead.iter().position(|(table, _)| *table == progress.table) {
            ahead.drain(..at);
            if let Some((_, ids)) = ahead.first_mut() {
                ids.remove_range(0..=progress.after.0);
            }
        }
    }
    ahead.retain(|(_, ids)| !ids.is_empty());
    of(ahead, max_bytes).into_iter().next().unwrap_or_default()
}

/// Takes the first runs of consecutive ids out, `max` at most, and says how many they are.
fn take_runs(ids: &mut RoaringTreemap, max: usize) -> (RoaringTreemap, usize) {
    let (mut runs, mut last) = (0, None);
    let mut end = None;
    for id in ids.iter() {
        if last.is_none_or(|last: u64| last + 1 != id) {
            if runs == max {
                end = Some(id);
                break;
            }
            runs += 1;
        }
        last = Some(id);
    }
    let Some(end) = end else { return (std::mem::take(ids), runs) };
    let mut taken = ids.clone();
    taken.remove_range(end..);
    ids.remove_range(0..end);
    (taken, runs)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use cloudsync_shared::id::RowId;
    use cloudsync_shared::message::Snapshot;

    use super::*;

    fn held(sets: &[(&str, &[u64])]) -> Held {
        sets.iter().map(|(table, ids)| ((*table).to_owned(), ids.iter().copied().collect())).collect()
    }

    fn together(pieces: &[Held]) -> Held {
        let mut all = Held::new();
        for (table, ids) in pieces.iter().flatten() {
            match all.iter_mut().find(|(name, _)| name == table) {
                Some((_, set)) => *set |= ids,
                None => all.push((table.clone(), ids.clone())),
            }
        }
        all
    }

    #[test]
    fn pieces_hold_the_whole_and_no_more_than_fits() {
        let all = held(&[("a", &[1, 2, 3, 5, 7, 9]), ("b", &[4]), ("c", &[2, 4, 6])]);
        for bytes in [1, 8, 16, 24, 40, 1000] {
            let pieces = of(all.clone(), bytes);
            assert_eq!(together(&pieces), all, "{bytes}");
            let runs = |piece: &Held| {
                let of_set = |ids: &RoaringTreemap| ids.iter().filter(|id| !ids.contains(id - 1)).count();
                piece.iter().map(|(_, ids)| of_set(ids)).sum::<usize>()
            };
            assert!(pieces.iter().all(|piece| (1..=(bytes / 8).max(1)).contains(&runs(piece))), "{bytes}");
        }
        assert!(of(Held::new(), 8).is_empty());
    }

    #[test]
    fn halves_end_at_one_id() {
        let all = held(&[("a", &[1, 2, 3]), ("b", &[9, 10])]);
        let [first, second] = halves(all.clone()).unwrap();
        assert_eq!(
            (first.clone(), second.clone()),
            (held(&[("a", &[1, 2])]), held(&[("a", &[3]), ("b", &[9, 10])]))
        );
        assert_eq!(together(&[first, second]), all);
        assert!(halves(held(&[("a", &[1])])).is_none());
    }

    #[test]
    fn what_lies_behind_a_download_is_not_told() {
        let all = held(&[("a", &[1]), ("b", &[1, 2, 5]), ("c", &[3])]);
        let at = |table: &str, after| Progress {
            until: Snapshot(String::new()),
            table: table.into(),
            after: RowId(after),
        };
        assert_eq!(beginning(all.clone(), None, 1000), all);
        assert_eq!(beginning(all.clone(), Some(&at("b", 2)), 1000), held(&[("b", &[5]), ("c", &[3])]));
        assert_eq!(beginning(all.clone(), Some(&at("b", 9)), 1000), held(&[("c", &[3])]));
        assert_eq!(beginning(all.clone(), Some(&at("b", 0)), 8), held(&[("b", &[1, 2])]));
        // A table that nothing is held of.
        assert_eq!(beginning(all.clone(), Some(&at("x", 9)), 1000), all);
    }
}
