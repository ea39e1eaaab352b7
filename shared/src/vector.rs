//! Version vectors of single rows: of each site its latest write or delete.
//!
//! Source: D. S. Parker et al., *Detection of Mutual Inconsistency in Distributed Systems*, IEEE TSE 1983.

use crate::clock::Stamp;
use crate::hlc::Version;

/// For some sites a version: everything that the site did to the row until then is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vector<S>(Vec<Stamp<S>>);

impl<S> Default for Vector<S> {
    fn default() -> Vector<S> {
        Vector(Vec::new())
    }
}

impl<S: Copy + Ord> Vector<S> {
    /// The vector that holds all of these.
    pub fn of(stamps: impl IntoIterator<Item = Stamp<S>>) -> Vector<S> {
        let mut vector = Vector::default();
        stamps.into_iter().for_each(|stamp| vector.add(stamp));
        vector
    }

    /// Takes in one more write, and with it all older ones of its site.
    pub fn add(&mut self, stamp: Stamp<S>) {
        if stamp.version == Version::NEVER {
            return;
        }
        match self.0.binary_search_by_key(&stamp.site, |known| known.site) {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    known.version = known.version.max(stamp.version);
                }
            }
            Err(at) => self.0.insert(at, stamp),
        }
    }

    /// Whether a write is among those meant. What never happened always is.
    pub fn covers(&self, stamp: Stamp<S>) -> bool {
        let own = self.0.binary_search_by_key(&stamp.site, |known| known.site).ok();
        let until = own.and_then(|at| self.0.get(at)).map_or(Version::NEVER, |known| known.version);
        stamp.version <= until
    }

    /// Whether all that the other vector means is among those meant.
    pub fn contains(&self, other: &Vector<S>) -> bool {
        other.0.iter().all(|stamp| self.covers(*stamp))
    }

    /// What either of the two means.
    #[must_use]
    pub fn join(&self, other: &Vector<S>) -> Vector<S> {
        let mut joined = self.clone();
        other.0.iter().for_each(|stamp| joined.add(*stamp));
        joined
    }

    /// The same vector with its sites named otherwise.
    ///
    /// # Errors
    /// Whatever `rename` answers for a site that it does not know.
    pub fn map_sites<T: Copy + Ord, E>(
        &self,
        mut rename: impl FnMut(S) -> Result<T, E>,
    ) -> Result<Vector<T>, E> {
        let mut renamed = Vector::default();
        for stamp in &self.0 {
            renamed.add(Stamp { version: stamp.version, site: rename(stamp.site)? });
        }
        Ok(renamed)
    }

    /// Those entries that neither of these covers.
    #[must_use]
    pub fn beyond(&self, first: &Vector<S>, second: &Vector<S>) -> Vector<S> {
        let is_beyond = |stamp: &&Stamp<S>| !first.covers(**stamp) && !second.covers(**stamp);
        Vector(self.0.iter().filter(is_beyond).copied().collect())
    }

    /// The entries, by site.
    pub fn stamps(&self) -> &[Stamp<S>] {
        &self.0
    }

    /// Whether nothing is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry with the highest version, of equal ones that of the greatest site: the latest delete where
    /// the entries are deletes.
    pub fn latest(&self) -> Option<Stamp<S>> {
        self.0.iter().copied().max()
    }
}

/// What is behind a row, beside what its cells tell. Empty in tables of most algorithms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Past<S> {
    /// `dws`: the deletes that the row has had. `aws`: the writes that its deletes had seen, and these deletes.
    pub seen: Vector<S>,
    /// `aws`: the writes that no delete had seen and of which no cell is left. For each site the latest counts.
    pub writes: Vector<S>,
}

impl<S> Default for Past<S> {
    fn default() -> Past<S> {
        Past { seen: Vector::default(), writes: Vector::default() }
    }
}

impl<S: Copy + Ord> Past<S> {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.writes.is_empty()
    }

    /// What is behind either.
    #[must_use]
    pub fn join(&self, other: &Past<S>) -> Past<S> {
        Past { seen: self.seen.join(&other.seen), writes: self.writes.join(&other.writes) }
    }

    /// All entries.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp<S>> {
        self.seen.stamps().iter().chain(self.writes.stamps()).copied()
    }

    /// The same with its sites named otherwise.
    ///
    /// # Errors
    /// Whatever `rename` answers for a site that it does not know.
    pub fn map_sites<T: Copy + Ord, E>(
        &self,
        mut rename: impl FnMut(S) -> Result<T, E>,
    ) -> Result<Past<T>, E> {
        Ok(Past { seen: self.seen.map_sites(&mut rename)?, writes: self.writes.map_sites(rename)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_vector() -> impl Strategy<Value = Vector<u8>> {
        proptest::collection::vec((0u64..4, 0u8..4), 0..6).prop_map(|entries| {
            Vector::of(entries.into_iter().map(|(version, site)| Stamp { version: Version(version), site }))
        })
    }

    proptest! {
        #[test]
        fn joining_gives_the_least_vector_that_contains_both(a in any_vector(), b in any_vector()) {
            let joined = a.join(&b);
            prop_assert!(joined.contains(&a) && joined.contains(&b));
            prop_assert_eq!(&joined, &b.join(&a));
            prop_assert!(joined.stamps().iter().all(|stamp| a.covers(*stamp) || b.covers(*stamp)));
            prop_assert_eq!(a.contains(&b), joined == a);
        }
    }
}
