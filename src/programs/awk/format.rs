//! Numbers as awk writes them, and `printf`.

/// Widest field and longest fraction: output is bounded by the arguments.
const WIDEST: usize = 4_096;

/// A number as text: whole ones without a fraction, others as `%.6g`.
pub(super) fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e16 {
        format!("{value:.0}")
    } else {
        shortest(value, 6, false)
    }
    .replace("-0", if value == 0.0 { "0" } else { "-0" })
}

/// The number that a text begins with, 0 if none.
pub(super) fn leading(text: &str) -> f64 {
    let text = text.trim_start();
    text[..length_of_number(text)].parse().unwrap_or(0.0)
}

/// Whether a text is a number and nothing else, with blanks around it.
pub(super) fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && length_of_number(text) == text.len()
}

fn length_of_number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    let mut any = whole > 0;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > 0;
        end += if any { 1 + fraction } else { 0 };
    }
    if !any {
        return 0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    end
}

/// `%e`.
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        // Not a number, or infinite.
        None => text,
    }
}

/// `%g`; `keep` leaves the zeros at the end, as `#` does.
fn shortest(value: f64, precision: usize, keep: bool) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}").to_lowercase();
    }
    let precision = precision.max(1);
    let rounded = exponential(value, precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
    let strip = |text: &str| match text.contains('.') && !keep {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= precision as i32 {
        let (mantissa, power) = rounded.split_once('e').unwrap_or((&rounded, "+00"));
        return format!("{}e{power}", strip(mantissa));
    }
    let places = (precision as i32 - 1 - exponent).max(0) as usize;
    strip(&format!("{value:.places$}"))
}

/// An argument of `printf`.
pub(super) trait Argument {
    fn number(&self) -> f64;
    fn text(&self) -> String;
    /// What `%c` takes for a letter's code.
    fn is_number(&self) -> bool;
}

/// `printf`; the error names what is not known.
pub(super) fn printf(format: &str, arguments: &[impl Argument]) -> Result<String, String> {
    let mut output = String::new();
    let mut arguments = arguments.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            output.push(letter);
            continue;
        }
        let (mut left, mut zero, mut plus, mut blank, mut other) = (false, false, false, false, false);
        while let Some(flag) = letters.next_if(|letter| "-0+ #".contains(*letter)) {
            match flag {
                '-' => left = true,
                '0' => zero = true,
                '+' => plus = true,
                ' ' => blank = true,
                _ => other = true,
            }
        }
        let mut size = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if letters.next_if_eq(&'*').is_some() {
                return arguments.next().map_or(0.0, Argument::number) as i64;
            }
            let mut size = 0_i64;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                size = size.saturating_mul(10).saturating_add(i64::from(digit));
                letters.next();
            }
            size
        };
        let width = size(&mut letters);
        let precision = letters.next_if_eq(&'.').map(|_| (size(&mut letters).max(0) as usize).min(WIDEST));
        left |= width < 0;
        let width = (width.unsigned_abs() as usize).min(WIDEST);
        let Some(conversion) = letters.next() else {
            output.push('%');
            break;
        };
        if conversion == '%' {
            output.push('%');
            continue;
        }
        let argument = arguments.next();
        let value = || argument.map_or(0.0, Argument::number);
        let sign = |negative: bool| match (negative, plus, blank) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let whole = |digits: String| match precision {
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        let (sign, text) = match conversion {
            'd' | 'i' => {
                let value = value() as i64;
                (sign(value < 0), whole(value.unsigned_abs().to_string()))
            }
            'u' => ("", whole((value() as i64 as u64).to_string())),
            'o' => ("", whole(format!("{:o}", value() as i64))),
            'x' => (if other { "0x" } else { "" }, whole(format!("{:x}", value() as i64))),
            'X' => (if other { "0X" } else { "" }, whole(format!("{:X}", value() as i64))),
            'f' | 'F' => {
                let places = precision.unwrap_or(6);
                (sign(value().is_sign_negative()), format!("{:.places$}", value().abs()))
            }
            'e' => (sign(value().is_sign_negative()), exponential(value().abs(), precision.unwrap_or(6))),
            'g' => (sign(value() < 0.0), shortest(value().abs(), precision.unwrap_or(6), other)),
            'c' => {
                let letter = match argument {
                    Some(argument) if argument.is_number() => char::from_u32(argument.number() as u32),
                    Some(argument) => argument.text().chars().next(),
                    None => None,
                };
                ("", letter.map(String::from).unwrap_or_default())
            }
            's' => {
                let text = argument.map(Argument::text).unwrap_or_default();
                ("", text.chars().take(precision.unwrap_or(usize::MAX)).collect())
            }
            other => return Err(format!("%{other} of printf is not supported")),
        };
        let room = width.saturating_sub(sign.len() + text.chars().count());
        let zeros = zero && !left && !"cs".contains(conversion);
        match (left, zeros) {
            (true, _) => output.extend([sign, &text, &" ".repeat(room)]),
            (false, true) => output.extend([sign, &"0".repeat(room), &text]),
            (false, false) => output.extend([&" ".repeat(room), sign, &text]),
        }
    }
    Ok(output)
}
