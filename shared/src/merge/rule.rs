//! The merge rule. Everything else in this crate carries it out.

use crate::clock::Stamp;
use crate::id::{CausalLength, SiteId};
use crate::vector::Vector;

/// How an incoming life of a row stands to the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The incoming change is about a life that is over here: nothing of it counts.
    Over,
    /// Both are about the same life: their cells compete one by one.
    Same,
    /// The incoming change begins a life, or ends one: it counts as a whole.
    Next,
}

/// Higher causal length wins.
pub fn compare_life(incoming: CausalLength, local: CausalLength) -> Life {
    match incoming.cmp(&local) {
        std::cmp::Ordering::Less => Life::Over,
        std::cmp::Ordering::Equal => Life::Same,
        std::cmp::Ordering::Greater => Life::Next,
    }
}

/// How the deletes behind an incoming row stand to those behind the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The local row has had more.
    Less,
    /// Both have had the same.
    Same,
    /// The incoming row has had more.
    More,
    /// Each has had one that the other has not.
    Apart,
}

/// Where deletes win, the row that has had more of them counts, and neither if they are apart.
pub fn compare_deletes(incoming: &Vector<SiteId>, local: &Vector<SiteId>) -> Order {
    match (local.contains(incoming), incoming.contains(local)) {
        (true, true) => Order::Same,
        (true, false) => Order::Less,
        (false, true) => Order::More,
        (false, false) => Order::Apart,
    }
}

/// Within one life the higher version wins; equal versions are decided by site id. Equal stamps are
/// the same write.
pub fn cell_wins(incoming: Stamp<SiteId>, local: Stamp<SiteId>) -> bool {
    incoming > local
}
