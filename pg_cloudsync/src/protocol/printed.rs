//! Texts that a type would print exactly so: what need not be read back after it was written.
//!
//! A wrong *no* costs a look at the stored row; a wrong *yes* would leave a device with another text
//! than the server. So only the plainest forms are known here.

/// What of a moment a type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`, printed in UTC
    TimestampTz,
}

impl Moment {
    /// Whether the type prints this text for the value that it reads from it.
    pub(super) fn prints(self, text: &str) -> bool {
        let date_and_time = |text: &str| {
            text.split_once(' ').is_some_and(|(date, time)| is_printed_date(date) && is_printed_time(time))
        };
        match self {
            Moment::Date => is_printed_date(text),
            Moment::Time => is_printed_time(text),
            Moment::Timestamp => date_and_time(text),
            Moment::TimestampTz => text.strip_suffix("+00").is_some_and(date_and_time),
        }
    }
}

/// `YYYY-MM-DD`; a day that does not exist is refused by the type anyway.
fn is_printed_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if is_digits(year, 4) && *year != "0000" && is_digits(month, 2) && is_digits(day, 2))
}

/// `HH:MM:SS` with up to six digits after a point, the last of them not 0.
fn is_printed_time(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let parts: Vec<&str> = whole.split(':').collect();
    let below =
        |part: &str, bound: u32| is_digits(part, 2) && part.parse::<u32>().is_ok_and(|number| number < bound);
    let whole_fits = matches!(parts.as_slice(), [hour, minute, second]
        if below(hour, 24) && below(minute, 60) && below(second, 60));
    let fraction_fits = fraction.is_none_or(|digits| {
        (1..=6).contains(&digits.len()) && is_digits(digits, digits.len()) && !digits.ends_with('0')
    });
    whole_fits && fraction_fits
}

/// Plain decimal digits without a superfluous zero in front, with `scale` of them after the point.
pub(super) fn is_printed_numeric(text: &str, scale: Option<usize>) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_negative = digits.len() < text.len();
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let whole_fits =
        !whole.is_empty() && is_digits(whole, whole.len()) && (whole == "0" || !whole.starts_with('0'));
    let fraction_fits = fraction.is_none_or(|rest| !rest.is_empty() && is_digits(rest, rest.len()));
    let scale_fits = scale.is_none_or(|scale| fraction.map_or(0, str::len) == scale);
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    whole_fits && fraction_fits && scale_fits && !(is_negative && is_zero)
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_printed_so_counts() {
        for text in ["0", "-1.50", "12345678901234567890.0100"] {
            assert!(is_printed_numeric(text, None), "{text}");
        }
        for text in ["", "-", "-0.0", "01", ".5", "1.", "1e3", "NaN", " 1", "+1"] {
            assert!(!is_printed_numeric(text, None), "{text}");
        }
        assert!(is_printed_numeric("1.50", Some(2)) && !is_printed_numeric("1.5", Some(2)));
        for text in ["2026-02-28 13:14:15+00", "2026-02-28 00:00:00.5+00"] {
            assert!(Moment::TimestampTz.prints(text), "{text}");
        }
        for text in [
            "2026-02-28T13:14:15Z",
            "2026-02-28 13:14:15",
            "2026-02-28 24:00:00+00",
            "2026-02-28 13:14:15.50+00",
        ] {
            assert!(!Moment::TimestampTz.prints(text), "{text}");
        }
    }
}
