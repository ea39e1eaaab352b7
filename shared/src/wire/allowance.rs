//! The limits that count over a whole message, used up piece by piece.

use crate::error::{Error, Result};
use crate::wire::limits::{MAX_CELLS, MAX_COLUMNS, MAX_ID_BLOCKS, MAX_ID_RUNS, MAX_IDS, MAX_ROWS};

/// What is left of the limits that count over a whole message.
#[derive(Debug)]
pub struct Allowance {
    columns: usize,
    rows: usize,
    cells: usize,
    ids: u64,
    id_runs: usize,
    id_blocks: usize,
}

impl Default for Allowance {
    /// Everything that one message may hold.
    fn default() -> Allowance {
        Allowance {
            columns: MAX_COLUMNS,
            rows: MAX_ROWS,
            cells: MAX_CELLS,
            ids: MAX_IDS,
            id_runs: MAX_ID_RUNS,
            id_blocks: MAX_ID_BLOCKS,
        }
    }
}

impl Allowance {
    /// Uses up columns.
    ///
    /// # Errors
    /// There would be more than [`MAX_COLUMNS`].
    pub fn take_columns(&mut self, count: usize) -> Result<()> {
        let left = self.columns.checked_sub(count);
        self.columns = left.ok_or_else(|| limit("the number of columns", MAX_COLUMNS))?;
        Ok(())
    }

    /// Uses up rows, or results of rows.
    ///
    /// # Errors
    /// There would be more than [`MAX_ROWS`].
    pub fn take_rows(&mut self, count: usize) -> Result<()> {
        self.rows = self.rows.checked_sub(count).ok_or_else(|| limit("the number of rows", MAX_ROWS))?;
        Ok(())
    }

    /// Uses up cells.
    ///
    /// # Errors
    /// There would be more than [`MAX_CELLS`].
    pub fn take_cells(&mut self, count: usize) -> Result<()> {
        self.cells = self.cells.checked_sub(count).ok_or_else(|| limit("the number of cells", MAX_CELLS))?;
        Ok(())
    }

    /// Uses up runs of row ids.
    ///
    /// # Errors
    /// There would be more than [`MAX_ID_RUNS`].
    pub fn take_id_runs(&mut self, count: usize) -> Result<()> {
        let left = self.id_runs.checked_sub(count);
        self.id_runs = left.ok_or_else(|| limit("the number of runs of row ids", MAX_ID_RUNS))?;
        Ok(())
    }

    /// Uses up blocks of row ids.
    ///
    /// # Errors
    /// There would be more than [`MAX_ID_BLOCKS`].
    pub fn take_id_blocks(&mut self, count: usize) -> Result<()> {
        let left = self.id_blocks.checked_sub(count);
        self.id_blocks = left.ok_or_else(|| limit("the number of blocks of row ids", MAX_ID_BLOCKS))?;
        Ok(())
    }

    /// Uses up row ids.
    ///
    /// # Errors
    /// There would be more than [`MAX_IDS`].
    pub fn take_ids(&mut self, count: u64) -> Result<()> {
        let left = self.ids.checked_sub(count);
        self.ids = left.ok_or_else(|| limit("the number of row ids", MAX_IDS as usize))?;
        Ok(())
    }
}

fn limit(what: &str, limit: usize) -> Error {
    Error::limit(&format!("{what} in one message"), limit)
}
