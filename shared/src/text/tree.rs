//! Where blocks are: positions in a tree of waypoints, in one total order on all replicas.
//!
//! A waypoint is a row of numbered places, endless on both sides. The root is the row of the lines that
//! an epoch began with. Whoever inserts between two neighbours hangs a new row before or after a place,
//! or goes on with a row of his own. The name of a row (who made it and when) decides the order of those
//! that were hung at the same place at the same time, so a run of lines stays together: it is one row.
//! Source: M. Weidner, M. Kleppmann, *The Art of the Fugue*, 2023, and there the trees of waypoints.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::clock::Stamp;
use crate::error::{Error, Result};
use crate::text::limits::{MAX_DEPTH, MAX_WAYPOINTS};

/// The number of a waypoint in its tree; it differs between replicas.
pub(crate) type WaypointIndex = u32;

/// The waypoint that every epoch begins with.
pub(crate) const ROOT: WaypointIndex = 0;

/// On which side of its parent place a waypoint hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Before,
    After,
}

/// Where a waypoint hangs; siblings at one place go by side, then order, then name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Branch {
    pub parent: WaypointIndex,
    pub index: i64,
    pub side: Side,
    pub order: i64,
}

/// A row of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waypoint<S> {
    pub branch: Branch,
    /// The edit that made it: its name among the waypoints of the same branch. One edit makes no two
    /// there.
    ///
    /// It only names, and is never compared with versions of writes: if its maker's clock was wrong and
    /// writes are stamped anew, the name stays, and with it the order of the lines.
    pub birth: Stamp<S>,
    depth: u32,
}

/// A place: the identity of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub waypoint: WaypointIndex,
    pub index: i64,
}

/// A place as seen from a waypoint above it: the number there, and the branch that leads down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub waypoint: WaypointIndex,
    pub index: i64,
    pub via: Option<WaypointIndex>,
}

/// All waypoints of a document but the root. A parent stands before its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree<S> {
    nodes: Vec<Waypoint<S>>,
}

impl<S> Default for Tree<S> {
    fn default() -> Tree<S> {
        Tree { nodes: Vec::new() }
    }
}

impl<S: Copy> Tree<S> {
    /// The waypoints below the root, by number from 1.
    pub fn waypoints(&self) -> &[Waypoint<S>] {
        &self.nodes
    }

    /// One waypoint; the root has no entry.
    pub fn get(&self, waypoint: WaypointIndex) -> Option<&Waypoint<S>> {
        self.nodes.get((waypoint as usize).checked_sub(1)?)
    }

    /// Whether the number is that of a waypoint.
    pub fn contains(&self, waypoint: WaypointIndex) -> bool {
        waypoint as usize <= self.nodes.len()
    }

    /// How many waypoints lie above.
    pub fn depth(&self, waypoint: WaypointIndex) -> u32 {
        self.get(waypoint).map_or(0, |node| node.depth)
    }

    /// Hangs a waypoint. The parent must be in the tree.
    ///
    /// # Errors
    /// The tree would become too large or too deep.
    pub fn push(&mut self, branch: Branch, birth: Stamp<S>) -> Result<WaypointIndex> {
        if self.nodes.len() >= MAX_WAYPOINTS {
            return Err(Error::limit("the number of places where a text was edited", MAX_WAYPOINTS));
        }
        let depth = self.depth(branch.parent) + 1;
        if depth as usize > MAX_DEPTH {
            return Err(Error::limit("the depth of insertions within insertions of a text", MAX_DEPTH));
        }
        self.nodes.push(Waypoint { branch, birth, depth });
        Ok(self.nodes.len() as WaypointIndex)
    }

    /// A place in its own waypoint.
    pub fn spot(position: Position) -> Spot {
        Spot { waypoint: position.waypoint, index: position.index, via: None }
    }

    /// The same place seen from the waypoint above.
    fn climb(&self, spot: Spot) -> Spot {
        match self.get(spot.waypoint) {
            Some(node) => {
                Spot { waypoint: node.branch.parent, index: node.branch.index, via: Some(spot.waypoint) }
            }
            None => Spot { waypoint: ROOT, ..spot },
        }
    }

    /// A place seen from the waypoint above it that has this depth, or from its own if that is higher.
    pub fn spot_at_depth(&self, position: Position, depth: u32) -> Spot {
        let mut spot = Self::spot(position);
        while self.depth(spot.waypoint) > depth {
            spot = self.climb(spot);
        }
        spot
    }

    /// A place seen from one waypoint, or `None` if it does not lie below it.
    pub fn spot_in(&self, position: Position, waypoint: WaypointIndex) -> Option<Spot> {
        let spot = self.spot_at_depth(position, self.depth(waypoint));
        (spot.waypoint == waypoint).then_some(spot)
    }

    /// The side of its number on which a place lies: `None` is the number itself.
    pub fn side(&self, spot: Spot) -> Option<Side> {
        spot.via.and_then(|via| self.get(via)).map(|node| node.branch.side)
    }

    /// The same tree with its sites named otherwise.
    pub fn map_sites<T: Copy, E>(
        &self,
        mut rename: impl FnMut(Stamp<S>) -> std::result::Result<Stamp<T>, E>,
    ) -> std::result::Result<Tree<T>, E> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let birth = rename(node.birth)?;
            nodes.push(Waypoint { branch: node.branch, birth, depth: node.depth });
        }
        Ok(Tree { nodes })
    }

    /// The part of the tree that leads to `used`, numbered in the order of first use, and the new number
    /// of each waypoint of the old one.
    pub fn part(&self, used: impl Iterator<Item = WaypointIndex>) -> (Tree<S>, Vec<WaypointIndex>) {
        let mut part = Tree { nodes: Vec::new() };
        let mut numbers = vec![ROOT; self.nodes.len() + 1];
        let mut path = Vec::new();
        for waypoint in used {
            let mut at = waypoint;
            while at != ROOT && numbers.get(at as usize) == Some(&ROOT) {
                path.push(at);
                at = self.get(at).map_or(ROOT, |node| node.branch.parent);
            }
            while let Some(at) = path.pop() {
                let Some(node) = self.get(at) else { continue };
                let parent = numbers.get(node.branch.parent as usize).copied().unwrap_or(ROOT);
                part.nodes.push(Waypoint { branch: Branch { parent, ..node.branch }, ..*node });
                if let Some(number) = numbers.get_mut(at as usize) {
                    *number = part.nodes.len() as WaypointIndex;
                }
            }
        }
        (part, numbers)
    }
}

impl<S: Copy + Ord> Tree<S> {
    /// The order of two places in the text.
    pub fn compare(&self, left: Position, right: Position) -> Ordering {
        let depth = self.depth(left.waypoint).min(self.depth(right.waypoint));
        let (mut left, mut right) = (self.spot_at_depth(left, depth), self.spot_at_depth(right, depth));
        while left.waypoint != right.waypoint {
            (left, right) = (self.climb(left), self.climb(right));
        }
        let rank = |spot| match self.side(spot) {
            Some(Side::Before) => -1,
            None => 0,
            Some(Side::After) => 1,
        };
        let key =
            |spot: Spot| spot.via.and_then(|via| self.get(via)).map(|node| (node.branch.order, node.birth));
        left.index
            .cmp(&right.index)
            .then_with(|| rank(left).cmp(&rank(right)))
            .then_with(|| key(left).cmp(&key(right)))
    }

    /// Takes in the waypoints of another tree of the same epoch and tells their numbers here.
    ///
    /// # Errors
    /// A waypoint occurs twice in `other`, or the tree would become too large.
    pub fn graft(&mut self, other: &Tree<S>) -> Result<Vec<WaypointIndex>> {
        let mut sought = BTreeMap::new();
        for (node, at) in other.nodes.iter().zip(1..) {
            if sought.insert((node.branch, node.birth), at).is_some() {
                return Err(Error::malformed(0, "a text names a place twice"));
            }
        }
        let mut here: Vec<Option<WaypointIndex>> = vec![None; other.nodes.len() + 1];
        let mut there: Vec<Option<WaypointIndex>> = vec![None; self.nodes.len() + 1];
        let set = |map: &mut Vec<Option<WaypointIndex>>, at: WaypointIndex, to: WaypointIndex| {
            if let Some(entry) = map.get_mut(at as usize) {
                *entry = Some(to);
            }
        };
        set(&mut here, ROOT, ROOT);
        set(&mut there, ROOT, ROOT);
        for (node, at) in self.nodes.iter().zip(1..) {
            let parent = there.get(node.branch.parent as usize).copied().flatten();
            let Some(parent) = parent else { continue };
            if let Some(found) = sought.get(&(Branch { parent, ..node.branch }, node.birth)) {
                set(&mut there, at, *found);
                set(&mut here, *found, at);
            }
        }
        for (node, at) in other.nodes.iter().zip(1..) {
            let known =
                |map: &[Option<WaypointIndex>], at: WaypointIndex| map.get(at as usize).copied().flatten();
            if known(&here, at).is_none() {
                let parent = known(&here, node.branch.parent).unwrap_or(ROOT);
                let number = self.push(Branch { parent, ..node.branch }, node.birth)?;
                set(&mut here, at, number);
            }
        }
        Ok(here.into_iter().map(|number| number.unwrap_or(ROOT)).collect())
    }
}
