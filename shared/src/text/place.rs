//! Where new lines go: a place between two neighbours that no other site can choose.
//!
//! A site goes on with a waypoint of its own where it can, and else hangs a new one from the neighbour
//! that was there first. What is hung between the same neighbours at the same time elsewhere lies wholly
//! before or wholly after it.

use crate::clock::Stamp;
use crate::error::Result;
use crate::text::limits::{MAX_INDEX, SOFT_DEPTH};
use crate::text::tree::{Branch, Position, ROOT, Side, Tree, WaypointIndex};

/// Chooses places for one local edit.
pub(crate) struct Minter<'a, S> {
    tree: &'a mut Tree<S>,
    epoch: Stamp<S>,
    stamp: Stamp<S>,
}

/// The known neighbours of a gap, tombstones included.
#[derive(Clone, Copy)]
pub(crate) struct Gap {
    pub left: Option<Position>,
    pub right: Option<Position>,
}

impl<'a, S: Copy + Eq> Minter<'a, S> {
    /// Places made here bear the name of `stamp`, the stamp of the edit.
    pub fn new(tree: &'a mut Tree<S>, epoch: Stamp<S>, stamp: Stamp<S>) -> Minter<'a, S> {
        Minter { tree, epoch, stamp }
    }

    /// The first of `count` new neighbouring places in a gap.
    ///
    /// # Errors
    /// The tree would become too large or too deep.
    pub fn mint(&mut self, gap: Gap, count: usize) -> Result<Position> {
        if let Some(place) = self.continued(gap, count) {
            return Ok(place);
        }
        let Some((neighbour, side)) = self.neighbour(gap) else {
            return self.hang(Branch { parent: ROOT, index: 0, side: Side::After, order: 0 });
        };
        if self.tree.depth(neighbour.waypoint) as usize >= SOFT_DEPTH
            && let Some(place) = self.beside(gap, neighbour, side, count)
        {
            return place;
        }
        let order = self.order(gap, neighbour, side);
        self.hang(Branch { parent: neighbour.waypoint, index: neighbour.index, side, order })
    }

    /// The neighbour to hang from, and on which side: one's own, so that what one site writes at one
    /// place stays together, or else the one that was there first.
    fn neighbour(&self, gap: Gap) -> Option<(Position, Side)> {
        let (left, right) = match (gap.left, gap.right) {
            (None, None) => return None,
            (Some(left), None) => return Some((left, Side::After)),
            (None, Some(right)) => return Some((right, Side::Before)),
            (Some(left), Some(right)) => (left, right),
        };
        let own = |position: Position| self.age(position.waypoint).is_some();
        // From zero on each number of a waypoint comes after the one before it was there; below zero it
        // is the other way round.
        let left_was_first = self
            .tree
            .spot_in(right, left.waypoint)
            .is_some_and(|spot| spot.index == left.index || left.index >= 0);
        match (own(left), own(right)) {
            (true, false) => Some((left, Side::After)),
            (false, true) => Some((right, Side::Before)),
            _ if left_was_first => Some((right, Side::Before)),
            _ => Some((left, Side::After)),
        }
    }

    /// The order of a new branch at a neighbour: on the near side of those that lead to the other end.
    fn order(&self, gap: Gap, neighbour: Position, side: Side) -> i64 {
        let (other, step) = match side {
            Side::After => (gap.right, -1),
            Side::Before => (gap.left, 1),
        };
        let spot = other.and_then(|other| self.tree.spot_in(other, neighbour.waypoint));
        let via = spot.filter(|spot| spot.index == neighbour.index).and_then(|spot| spot.via);
        let branch = via.and_then(|via| self.tree.get(via)).map(|node| node.branch);
        branch.filter(|branch| branch.side == side).map_or(0, |branch| branch.order.saturating_add(step))
    }

    /// Goes on with a waypoint of this site that ends or begins at the gap.
    fn continued(&self, gap: Gap, count: usize) -> Option<Position> {
        match gap {
            Gap { left: None, right: None } => self.forward(ROOT, -1, count),
            Gap { left, right } => {
                let outside = |other: Option<Position>, waypoint| {
                    other.is_none_or(|other| self.tree.spot_in(other, waypoint).is_none())
                };
                let forward = left.filter(|left| outside(right, left.waypoint));
                let backward = right.filter(|right| outside(left, right.waypoint));
                forward
                    .and_then(|left| self.forward(left.waypoint, left.index, count))
                    .or_else(|| backward.and_then(|right| self.backward(right.waypoint, right.index, count)))
            }
        }
    }

    /// Deep in the tree: goes on with, or hangs a sibling to, the highest waypoint beside the gap.
    fn beside(
        &mut self,
        gap: Gap,
        neighbour: Position,
        side: Side,
        count: usize,
    ) -> Option<Result<Position>> {
        let other = if side == Side::After { gap.right } else { gap.left };
        for depth in SOFT_DEPTH as u32..=self.tree.depth(neighbour.waypoint) {
            let spot = self.tree.spot_at_depth(neighbour, depth);
            if other.is_some_and(|other| self.tree.spot_in(other, spot.waypoint).is_some()) {
                continue;
            }
            let own = match side {
                Side::After => self.forward(spot.waypoint, spot.index, count),
                Side::Before => self.backward(spot.waypoint, spot.index, count),
            };
            if own.is_some() {
                return own.map(Ok);
            }
            if let Some(branch) = self.sibling(spot.waypoint, other, side) {
                return Some(self.hang(branch));
            }
        }
        None
    }

    /// The branch next to a waypoint's own, if nothing that is known lies between it and the gap's end.
    fn sibling(&self, waypoint: WaypointIndex, other: Option<Position>, side: Side) -> Option<Branch> {
        let branch = self.tree.get(waypoint)?.branch;
        let step = if side == Side::After { 1 } else { -1 };
        let order = branch.order.checked_add(step)?;
        let beyond = other.and_then(|other| self.tree.spot_in(other, branch.parent));
        if let Some(spot) = beyond
            && let Some(next) = spot.via.and_then(|via| self.tree.get(via))
            && (next.branch.index, next.branch.side) == (branch.index, branch.side)
        {
            let room = match side {
                Side::After => next.branch.order > order,
                Side::Before => next.branch.order < order,
            };
            if !room {
                return None;
            }
        }
        Some(Branch { order, ..branch })
    }

    fn hang(&mut self, branch: Branch) -> Result<Position> {
        let waypoint = self.tree.push(branch, self.stamp)?;
        Ok(Position { waypoint, index: 0 })
    }

    /// The numbers after `last` in a waypoint of this site.
    ///
    /// They begin no lower than the time since the waypoint was made: a site that was restored from a
    /// backup, and does not know what it numbered later, so numbers nothing twice.
    fn forward(&self, waypoint: WaypointIndex, last: i64, count: usize) -> Option<Position> {
        let start = last.checked_add(1)?.max(self.age(waypoint)?);
        let end = start.checked_add(i64::try_from(count).ok()?)?;
        (end <= MAX_INDEX).then_some(Position { waypoint, index: start })
    }

    /// The numbers before `first`, likewise.
    fn backward(&self, waypoint: WaypointIndex, first: i64, count: usize) -> Option<Position> {
        let end = first.min(1i64.checked_sub(self.age(waypoint)?)?);
        let start = end.checked_sub(i64::try_from(count).ok()?)?;
        (start >= -MAX_INDEX).then_some(Position { waypoint, index: start })
    }

    /// How much later than a waypoint of this site the edit is; `None` if another site made it.
    fn age(&self, waypoint: WaypointIndex) -> Option<i64> {
        let birth = self.tree.get(waypoint).map_or(self.epoch, |node| node.birth);
        let age = self.stamp.version.0.saturating_sub(birth.version.0);
        (birth.site == self.stamp.site).then_some(i64::try_from(age).unwrap_or(i64::MAX))
    }
}
