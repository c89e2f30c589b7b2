//! Numbers as text: one spelling for each value, nothing rounded.

/// Zeros that are spelled out; beyond them an exponent is written.
const PLAIN: i64 = 21;

/// The one spelling of a decimal number such as `-1.50e3`: `-1500`. `None` for what is none.
///
/// An exponent that no machine number holds stays as it is written: such numbers are equal when their text is.
pub fn normal(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let shift: i64 = match exponent {
        None => 0,
        Some(exponent) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !all_digits(digits) {
                return None;
            }
            match exponent.parse::<i64>() {
                Ok(shift) if shift.unsigned_abs() < 1 << 40 => shift,
                _ => return Some(text.to_ascii_lowercase()),
            }
        }
    };
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".into());
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let places = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let exponent = shift - places(fraction.len()) + places(zeros);
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{}", spelled(significant, exponent)))
}

/// Digits times a power of ten.
fn spelled(digits: &str, exponent: i64) -> String {
    let point = i64::try_from(digits.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    match (exponent, point) {
        (0..=PLAIN, _) => format!("{digits}{}", "0".repeat(usize::try_from(exponent).unwrap_or(0))),
        (..0, 1..) => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            format!("{whole}.{fraction}")
        }
        (..0, _) if point >= -PLAIN => {
            format!("0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0)))
        }
        _ => format!("{digits}e{exponent}"),
    }
}

/// An integer in base 2, 8 or 16 as decimal digits; `None` where it is larger than 128 bits.
pub fn decimal(digits: &str, radix: u32) -> Option<String> {
    u128::from_str_radix(digits, radix).ok().map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling_and_nothing_is_rounded() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("1.50", "1.5"),
            ("10e-1", "1"),
            ("-1.50e3", "-1500"),
            ("0.001", "0.001"),
            ("1E+2", "100"),
            ("9007199254740993", "9007199254740993"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e400", "1e400"),
            ("100e398", "1e400"),
            ("1e-400", "1e-400"),
            ("1e99999999999999999999", "1e99999999999999999999"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "1e", "1e+", "a", "1.2.3", "0x10", "--1"] {
            assert_eq!(normal(text), None, "{text}");
        }
        assert_eq!(decimal("ff", 16).as_deref(), Some("255"));
    }
}
