//! Which conflicts a table keeps: its settings, the same on both engines.

use crate::error::{Error, Result};

/// The table setting that turns the list on: `on` or `off`.
pub const CONFLICTS: &str = "conflicts";
/// The table setting of how many days a conflict is kept.
pub const DAYS: &str = "conflicts_days";
/// The table setting of how many conflicts are kept; the oldest go first.
pub const ROWS: &str = "conflicts_rows";

/// How many days, unless set otherwise.
pub const DEFAULT_DAYS: i64 = 30;
/// How many conflicts, unless set otherwise.
pub const DEFAULT_ROWS: i64 = 10_000;
/// The most of either.
pub const MAX_NUMBER: i64 = 1_000_000_000;

/// Checks the value of a table setting, if it is one of these.
///
/// # Errors
/// The value is none of the setting's.
pub fn check(key: &str, value: &str) -> Result<()> {
    let is = |name: &str| key.eq_ignore_ascii_case(name);
    if is(CONFLICTS) && !matches!(value, "on" | "off") {
        return Err(Error::invalid_input("the table setting 'conflicts' is 'on' or 'off'"));
    }
    let is_number = || value.parse::<i64>().is_ok_and(|number| (1..=MAX_NUMBER).contains(&number));
    if (is(DAYS) || is(ROWS)) && !is_number() {
        return Err(Error::invalid_input(format!(
            "the table setting '{}' is a whole number from 1 to {MAX_NUMBER}",
            key.to_ascii_lowercase()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_meant_is_taken() {
        assert!(check("conflicts", "on").is_ok() && check("Conflicts", "off").is_ok());
        assert!(check("conflicts", "1").is_err() && check("CONFLICTS", "yes").is_err());
        assert!(check("conflicts_days", "7").is_ok() && check("conflicts_rows", "1").is_ok());
        assert!(check("conflicts_days", "0").is_err() && check("conflicts_rows", "many").is_err());
        assert!(check("another", "anything").is_ok());
    }
}
