//! How much one request asks for: less when the server finds it too much, slowly more again after that.

/// Below this, halving goes to one byte at once, which stands for a single row.
const FLOOR: usize = 1 << 10;

/// How many requests must work before the next one is twice as large.
const PATIENCE: u32 = 4;

/// A size in bytes of values, before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkSize {
    bytes: usize,
    most: usize,
    worked: u32,
}

impl ChunkSize {
    /// Begins at the most that may be asked for.
    pub fn new(most: usize) -> ChunkSize {
        ChunkSize { bytes: most.max(1), most: most.max(1), worked: 0 }
    }

    /// What the next request should hold, and its answer. At least one row goes into each, however large.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last request was too much: halves the size. `false`: it cannot be less than a row.
    pub fn shrink(&mut self) -> bool {
        self.worked = 0;
        if self.bytes == 1 {
            return false;
        }
        self.bytes = if self.bytes > FLOOR { self.bytes / 2 } else { 1 };
        true
    }

    /// The last request worked.
    pub fn worked(&mut self) {
        self.worked += 1;
        if self.worked >= PATIENCE && self.bytes < self.most {
            self.worked = 0;
            self.bytes = if self.bytes < FLOOR { FLOOR } else { self.bytes * 2 }.min(self.most);
        }
    }

    /// It was not the size: one row alone was too much.
    pub fn acquit(&mut self) {
        *self = ChunkSize::new(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_ends_at_a_single_row() {
        let mut size = ChunkSize::new(1 << 20);
        let steps = (0..100).take_while(|_| size.shrink()).count();
        assert_eq!((steps, size.bytes()), (11, 1));
    }

    #[test]
    fn growing_is_slower_than_halving_and_ends_at_the_most() {
        let mut size = ChunkSize::new(1 << 20);
        while size.shrink() {}
        for _ in 0..3 {
            size.worked();
        }
        assert_eq!(size.bytes(), 1);
        size.worked();
        assert_eq!(size.bytes(), FLOOR);
        for _ in 0..4 * 10 {
            size.worked();
        }
        assert_eq!(size.bytes(), 1 << 20);
        for _ in 0..100 {
            size.worked();
        }
        assert_eq!(size.bytes(), 1 << 20);
    }

    #[test]
    fn a_failure_starts_the_count_anew() {
        let mut size = ChunkSize::new(1 << 20);
        size.shrink();
        for _ in 0..3 {
            size.worked();
        }
        size.shrink();
        size.worked();
        assert_eq!(size.bytes(), 1 << 18);
    }
}
