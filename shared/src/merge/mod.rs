//! Who wins a merge, and what follows for the row. Pure: clocks and changes in, decisions out.

mod plan;
mod row;
mod rule;

pub use plan::{PlannedRow, TablePlan, plan_table};
pub use row::{RowAction, RowDecision, decide_row, join_changes};
pub use rule::{Life, cell_wins, compare_life};
