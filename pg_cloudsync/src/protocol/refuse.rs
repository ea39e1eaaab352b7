//! Which errors are about one row, and how they are told.

use cloudsync_shared::port::Refusal;

use crate::error::{PgError, SqlState};

/// Whether an error is about the transaction, the session or the server, so that another row or
/// another try of the same statement would fare no better now, but may later.
pub(super) fn is_about_the_whole(error: &PgError) -> bool {
    let code = error.sqlstate.as_str();
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "25" | "40" | "53" | "57" | "58" | "F0")
        || matches!(code, "55P03" | "XX001" | "XX002")
}

/// Whether another row of the same push may make up for it: a parent that comes later, or a row that gives
/// a unique value up.
pub(super) fn may_heal(refusal: &Refusal) -> bool {
    lacks_parent(refusal) || refusal.sqlstate == "23505"
}

/// Whether the parent of a row was missing, or its children were still there.
pub(super) fn lacks_parent(refusal: &Refusal) -> bool {
    refusal.sqlstate == "23503"
}

/// The error as the refusal of a row. Its detail line is left out: it may quote other rows.
pub(super) fn as_refusal(error: PgError) -> Refusal {
    Refusal { sqlstate: error.sqlstate.to_string(), message: error.message }
}

/// A right that the caller lacks.
pub(super) fn no_right(relation: &str) -> Refusal {
    Refusal { sqlstate: "42501".into(), message: format!("permission denied for table {relation}") }
}

/// A row that nothing speaks against, of a group that another row was refused of.
pub(super) fn fell_with_others() -> Refusal {
    Refusal {
        sqlstate: "40000".into(),
        message: "another row that was written in the same transaction was refused".into(),
    }
}

/// A causal length that no honest device comes to.
pub(super) fn too_long(relation: &str) -> Refusal {
    Refusal {
        sqlstate: "54000".into(),
        message: format!("a row of table {relation} was inserted and deleted impossibly often"),
    }
}

/// A row that is none of the sync's business.
pub(super) fn outside_filter(relation: &str) -> Refusal {
    Refusal {
        sqlstate: "44000".into(),
        message: format!("a row of table {relation} is outside the filter that says which rows are synced"),
    }
}

/// A statement that left a row out without an error: a policy or a trigger kept it from being written.
pub(super) fn passed_over(relation: &str) -> Refusal {
    Refusal {
        sqlstate: "42501".into(),
        message: format!(
            "a row of table {relation} may not be written by this user (row-level security or a trigger)"
        ),
    }
}

impl From<Refusal> for PgError {
    fn from(refusal: Refusal) -> PgError {
        PgError::new(sqlstate(&refusal.sqlstate), refusal.message)
    }
}

/// Reads the five characters.
pub(super) fn sqlstate(text: &str) -> SqlState {
    let sixbit = |letter: u8| i32::from(letter.wrapping_sub(b'0') & 0x3f);
    SqlState::from_code(text.bytes().take(5).rev().fold(0, |code, letter| (code << 6) | sixbit(letter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_read_back() {
        for code in ["23503", "42501", "PT409", "XX000"] {
            assert_eq!(sqlstate(code).as_str(), code);
        }
    }

    #[test]
    fn a_deadlock_is_not_blamed_on_a_row() {
        assert!(is_about_the_whole(&PgError::new(sqlstate("40P01"), "")));
        assert!(!is_about_the_whole(&PgError::new(sqlstate("23505"), "")));
        assert!(!is_about_the_whole(&PgError::new(sqlstate("PT409"), "")));
    }
}
