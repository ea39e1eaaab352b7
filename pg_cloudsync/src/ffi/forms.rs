//! The fixed text form of values, whatever the session has set.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::owner::set_option;

/// The settings that the text of a value depends on, as the functions of the protocol declare them. The
/// order of the date's parts is among them: a style alone would leave the session's, by which it reads
/// `01/02/2026`.
const FORMS: [(&CStr, &CStr); 9] = [
    (c"timezone", c"UTC"),
    (c"datestyle", c"ISO, YMD"),
    (c"intervalstyle", c"iso_8601"),
    (c"extra_float_digits", c"1"),
    (c"bytea_output", c"hex"),
    (c"lc_monetary", c"C"),
    (c"array_nulls", c"on"),
    (c"xmloption", c"content"),
    (c"jit", c"off"),
];

/// While it lives, values are printed in the form in which they travel. For functions that return a
/// set: a setting in their declaration would be made and undone for each row.
#[must_use = "the session's own settings come back when the guard is dropped"]
pub struct FixedForms {
    nest_level: i32,
}

impl FixedForms {
    /// Fixes the form.
    pub fn enter() -> FixedForms {
        // SAFETY: the nest level is opened first; an error that leaves by force is followed by an abort,
        // which closes it.
        unsafe {
            let nest_level = pg_sys::NewGUCNestLevel();
            for (name, value) in FORMS {
                set_option(name, value);
            }
            FixedForms { nest_level }
        }
    }
}

impl Drop for FixedForms {
    fn drop(&mut self) {
        // As for the guards of roles: an abort undoes settings itself.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: guards nest as scopes do, so the nest level is the innermost one.
        unsafe { pg_sys::AtEOXact_GUC(true, self.nest_level) };
    }
}
