//! Numbers as people read them: a mean with its error in parentheses, significant digits, thin thousands, durations, dates.
//!
//! Everything here gives plain Unicode text that serves the page and the figures alike. What is not finite becomes a dash.

/// What stands where there is no number.
pub(super) const DASH: &str = "—";

/// Replaces the hyphen of a formatted number by a true minus sign.
fn typeset(text: String) -> String {
    text.replace('-', "−")
}

/// A number with so many significant digits; powers of ten outside 10^-4 ... 10^6.
pub(super) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return DASH.to_string();
    }
    if value == 0.0 {
        return "0".to_string();
    }
    // The exponent is taken after rounding, so that 0.99996 with three digits is 1.00 and not 1.000.
    let scientific = format!("{value:.*e}", digits.max(1) - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
        typeset(format!("{value:.decimals$}"))
    } else {
        format!("{}×10{}", typeset(mantissa.to_string()), superscript(exponent))
    }
}

/// A fixed number of decimals.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return DASH.to_string();
    }
    let text = format!("{value:.decimals$}");
    // What rounds to zero has no sign.
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    typeset(if is_zero { text.replace('-', "") } else { text })
}

/// A share as a percentage, "86.1 %" without the sign.
pub(super) fn percent(share: f64, decimals: usize) -> String {
    fixed(100.0 * share, decimals)
}

/// A mean with two digits of its standard error in the usual notation: -1.15182(13) is -1.15182 ± 0.00013.
pub(super) fn with_error(mean: f64, error: f64) -> String {
    if !mean.is_finite() {
        return DASH.to_string();
    }
    if !error.is_finite() {
        return format!("{}({DASH})", significant(mean, 6));
    }
    if error <= 0.0 {
        return format!("{}(0)", significant(mean, 7));
    }
    let exponent = error.log10().floor() as i32;
    if !(-12..=6).contains(&exponent) {
        return format!("{} ± {}", significant(mean, 7), significant(error, 2));
    }
    let decimals = usize::try_from(1 - exponent).unwrap_or(0);
    let in_parentheses = if error >= 1.0 { format!("{error:.decimals$}") } else { format!("{:.0}", error * 10f64.powi(decimals as i32)) };
    typeset(format!("{mean:.decimals$}({in_parentheses})"))
}

/// 20000 as "20 000", with narrow spaces that do not break; four digits stay together.
pub(super) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// An integer exponent in superscript digits.
pub(super) fn superscript(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    exponent
        .to_string()
        .chars()
        .map(|character| match character.to_digit(10) {
            Some(digit) => DIGITS[digit as usize],
            None => '⁻',
        })
        .collect()
}

/// A time in the unit that suits it.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        DASH.to_string()
    } else if seconds == 0.0 {
        "0 s".to_string()
    } else if seconds < 1e-3 {
        format!("{} µs", significant(seconds * 1e6, 3))
    } else if seconds < 1.0 {
        format!("{} ms", significant(seconds * 1e3, 3))
    } else if seconds < 120.0 {
        format!("{} s", significant(seconds, 3))
    } else if seconds < 7200.0 {
        format!("{} min", significant(seconds / 60.0, 3))
    } else {
        format!("{} h", significant(seconds / 3600.0, 3))
    }
}

/// A size of memory in binary units.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", significant(value, 3));
        }
        value /= 1024.0;
    }
    format!("{} TiB", significant(value, 3))
}

/// Seconds since 1970 as "2014-10-14 09:30:00 UTC" (proleptic Gregorian calendar; the era arithmetic is Howard Hinnant's `civil_from_days`).
pub(super) fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// "a", "a and b", "a, b and c".
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_in_parentheses_with_two_digits() {
        assert_eq!(with_error(-1.151_823_4, 0.000_131), "−1.15182(13)");
        assert_eq!(with_error(91.83, 0.62), "91.83(62)");
        assert_eq!(with_error(91.83, 1.24), "91.8(1.2)");
        assert_eq!(with_error(12_345.6, 67.0), "12346(67)");
        assert_eq!(with_error(f64::NAN, 0.1), DASH);
        assert_eq!(with_error(0.5, f64::INFINITY), "0.500000(—)");
        assert_eq!(with_error(-2.0, 0.0), "−2.000000(0)");
    }

    #[test]
    fn significant_digits_are_counted_after_rounding() {
        assert_eq!(significant(0.999_96, 3), "1.00");
        assert_eq!(significant(-0.012_345, 3), "−0.0123");
        assert_eq!(significant(1.234e-7, 3), "1.23×10⁻⁷");
        assert_eq!(significant(6.02e23, 3), "6.02×10²³");
        assert_eq!(significant(f64::NEG_INFINITY, 3), DASH);
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_413_279_001), "2014-10-14 09:30:01 UTC");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(9999), "9999");
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
