//! From a SQLSTATE to an HTTP status, by PostgREST's table.
//!
//! Source: PostgREST documentation, "Errors", table "HTTP Status Codes", and its `Error.hs` for the rows
//! that the table leaves out (21000, 22023, 57P01).

use axum::http::StatusCode;

/// The status for an error of the database.
///
/// `authenticated` says whether the caller is more than the anonymous role: a missing right is 403 for
/// who is known and 401 for who may still log in.
pub fn status(code: &str, message: &str, authenticated: bool) -> StatusCode {
    exact(code, message, authenticated).or_else(|| by_class(code)).unwrap_or(StatusCode::BAD_REQUEST)
}

fn exact(code: &str, message: &str, authenticated: bool) -> Option<StatusCode> {
    let status = match code {
        "23503" | "23505" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        "21000" if message.ends_with("requires a WHERE clause") => StatusCode::BAD_REQUEST,
        "21000" => StatusCode::INTERNAL_SERVER_ERROR,
        // The role that the token names.
        "22023" if message.starts_with("role") && message.ends_with("does not exist") => {
            StatusCode::UNAUTHORIZED
        }
        "42501" if authenticated => StatusCode::FORBIDDEN,
        "42501" => StatusCode::UNAUTHORIZED,
        "42883" | "42P01" => StatusCode::NOT_FOUND,
        "42P17" | "53400" => StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => StatusCode::BAD_REQUEST,
        _ => return None,
    };
    Some(status)
}

fn by_class(code: &str) -> Option<StatusCode> {
    let status = match code.get(..2)? {
        "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
        "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
        "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "54" | "55" | "57" | "58" | "F0" | "HV" | "P0"
        | "XX" => StatusCode::INTERNAL_SERVER_ERROR,
        "PT" => chosen_by_the_function(code.get(2..)?),
        _ => return None,
    };
    Some(status)
}

/// `RAISE SQLSTATE 'PT402'` means status 402.
fn chosen_by_the_function(digits: &str) -> StatusCode {
    let number = digits.parse::<u16>().ok();
    number.and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation's table, one line each, a class by one of its codes.
    const TABLE: &[(&str, u16)] = &[
        ("08006", 503),
        ("09000", 500),
        ("0L000", 403),
        ("0P000", 403),
        ("21000", 500),
        ("22023", 400),
        ("22P02", 400),
        ("23502", 400),
        ("23503", 409),
        ("23505", 409),
        ("23514", 400),
        ("25006", 405),
        ("25001", 500),
        ("28000", 403),
        ("2D000", 500),
        ("38000", 500),
        ("39000", 500),
        ("3B000", 500),
        ("40001", 500),
        ("40P01", 500),
        ("42883", 404),
        ("42P01", 404),
        ("42P17", 500),
        ("42601", 400),
        ("53400", 500),
        ("53300", 503),
        ("54000", 500),
        ("55P03", 500),
        ("57014", 500),
        ("57P01", 503),
        ("58000", 500),
        ("F0000", 500),
        ("HV000", 500),
        ("P0001", 400),
        ("P0002", 500),
        ("XX000", 500),
        ("PT402", 402),
        ("PT999", 999),
        ("PT099", 500),
        ("PTabc", 500),
        ("0A000", 400),
        ("", 400),
    ];

    #[test]
    fn every_line_of_the_documented_table_holds() {
        for (code, expected) in TABLE {
            assert_eq!(status(code, "", true).as_u16(), *expected, "{code}");
        }
    }

    #[test]
    fn a_missing_right_depends_on_who_asks() {
        assert_eq!(status("42501", "", true), StatusCode::FORBIDDEN);
        assert_eq!(status("42501", "", false), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn two_codes_depend_on_their_message() {
        assert_eq!(status("22023", "role \"x\" does not exist", true), StatusCode::UNAUTHORIZED);
        assert_eq!(status("21000", "DELETE requires a WHERE clause", true), StatusCode::BAD_REQUEST);
    }
}
