//! The definition of a merged text, written down naively: a set of positions, each with its greatest
//! state, sorted.

use std::cmp::Ordering;

use cloudsync_shared::clock::Stamp;
use cloudsync_shared::id::SiteId;
use cloudsync_shared::text::{Path, TextDelta};

type State = (Stamp<SiteId>, Option<Stamp<SiteId>>, Option<String>);

/// What a replica must show that has taken some deltas of one epoch.
#[derive(Default)]
pub struct Model {
    blocks: Vec<(Path<SiteId>, State)>,
}

impl Model {
    pub fn take(&mut self, delta: &TextDelta<SiteId>) {
        for (block, content) in delta.blocks() {
            let state = (block.content, block.deleted, content.map(str::to_owned));
            match self.blocks.iter_mut().find(|(position, _)| *position == block.position) {
                Some((_, known)) if (known.0, known.1) < (state.0, state.1) => *known = state,
                Some(_) => {}
                None => self.blocks.push((block.position, state)),
            }
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let mut blocks: Vec<_> = self.blocks.iter().collect();
        blocks.sort_by(|left, right| compare(&left.0, &right.0));
        blocks.into_iter().filter_map(|(_, state)| state.2.clone()).collect()
    }
}

/// The order of positions as a walk through the tree meets them.
fn compare(left: &Path<SiteId>, right: &Path<SiteId>) -> Ordering {
    let mut order = left.root.cmp(&right.root);
    let mut depth = 0;
    while order == Ordering::Equal {
        order = match (left.branches.get(depth), right.branches.get(depth)) {
            (None, None) => return Ordering::Equal,
            (Some(branch), None) if branch.after => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, Some(branch)) if branch.after => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(two)) => (one.after, one.order, one.birth, one.index)
                .cmp(&(two.after, two.order, two.birth, two.index)),
        };
        depth += 1;
    }
    order
}
