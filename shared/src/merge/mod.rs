//! Who wins a merge, and what follows for the row. Pure: clocks and changes in, decisions out.

mod admit;
mod lost;
mod plan;
mod row;
mod rule;

pub use admit::{MAX_ADMITTED_LENGTH, MAX_LENGTH_STEP, Sender, admit, is_too_long};
pub use lost::{Base, LostCell, LostSide, lost_to_incoming, lost_to_stored};
pub use plan::{PlannedRow, TablePlan, plan_table};
pub use row::{RowAction, RowDecision, decide_row, join_changes};
pub use rule::{Life, cell_wins, compare_life};
