//! Who wins a merge, and what follows for the row. Pure: clocks and changes in, decisions out.

mod admit;
mod aws;
mod dws;
mod lost;
mod plan;
mod row;
mod rule;
mod text;

pub use admit::{MAX_ADMITTED_LENGTH, MAX_LENGTH_STEP, Sender, admit, admit_lines, is_too_long};
pub use dws::is_after_deletes;
pub use lost::{Base, LostCell, LostSide, lost_to_incoming, lost_to_stored};
pub use plan::{PlannedRow, TablePlan, columns_here, plan_table};
pub use row::{RowAction, RowDecision, decide_row, join_changes};
pub use rule::{Life, Order, cell_wins, compare_deletes, compare_life};
pub use text::{StoredText, edit_text, resolve_texts, told_text};
