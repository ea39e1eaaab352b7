//! Blocks one by one with their full positions, for tests and for people who look into a clock.

use crate::clock::Stamp;
use crate::text::delta::TextDelta;
use crate::text::document::Document;
use crate::text::run::Run;
use crate::text::tree::{Side, Tree, WaypointIndex};

/// One block of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<S> {
    /// The way from the root: the number there, then each branch and the number in it.
    pub position: Path<S>,
    /// The write of the block's content.
    pub content: Stamp<S>,
    /// The delete of that content.
    pub deleted: Option<Stamp<S>>,
}

/// A position, written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<S> {
    /// The number in the root.
    pub root: i64,
    /// The branches below.
    pub branches: Vec<PathBranch<S>>,
}

/// One step down a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathBranch<S> {
    /// Whether the branch hangs after its place, and not before it.
    pub after: bool,
    /// Its order among branches on that side.
    pub order: i64,
    /// Who made it when.
    pub birth: Stamp<S>,
    /// The number in it.
    pub index: i64,
}

impl<S: Copy + Eq> Document<S> {
    /// All blocks in order, deleted ones included.
    pub fn blocks(&self) -> Vec<Block<S>> {
        let of_run = |run: &Run<S>| {
            let run = *run;
            (run.start..run.end()).map(move |index| Block {
                position: path(&self.tree, run.waypoint, index),
                content: run.state.content,
                deleted: run.state.deleted,
            })
        };
        self.runs.as_slice().iter().flat_map(of_run).collect()
    }
}

impl<S: Copy + Eq> TextDelta<S> {
    /// All blocks in order, each with its content if it is alive.
    pub fn blocks(&self) -> Vec<(Block<S>, Option<&str>)> {
        let mut pieces = self.pieces.iter();
        let blocks = self.document.blocks().into_iter();
        blocks
            .map(|block| {
                let content = if block.deleted.is_none() { pieces.next() } else { None };
                (block, content.map(String::as_str))
            })
            .collect()
    }
}

fn path<S: Copy>(tree: &Tree<S>, waypoint: WaypointIndex, index: i64) -> Path<S> {
    let mut branches = Vec::new();
    let (mut waypoint, mut index) = (waypoint, index);
    while let Some(node) = tree.get(waypoint) {
        branches.push(PathBranch {
            after: node.branch.side == Side::After,
            order: node.branch.order,
            birth: node.birth,
            index,
        });
        (waypoint, index) = (node.branch.parent, node.branch.index);
    }
    branches.reverse();
    Path { root: index, branches }
}
