//! What runs met on their way, to see that seeds are worth running.

/// How often something happened that a run should have met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Local writes that took effect.
    pub writes: usize,
    /// Of these, writes in the middle of a merge.
    pub raced: usize,
    /// Messages merged.
    pub merged: usize,
    /// Merges that were undone by a crash.
    pub crashed: usize,
    /// Messages lost.
    pub lost: usize,
    /// Cells that two replicas wrote with the same version.
    pub ties: usize,
    /// Rows deleted in the end.
    pub dead: usize,
    /// Rows that lived more than once.
    pub reborn: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.writes += other.writes;
        self.raced += other.raced;
        self.merged += other.merged;
        self.crashed += other.crashed;
        self.lost += other.lost;
        self.ties += other.ties;
        self.dead += other.dead;
        self.reborn += other.reborn;
    }
}
