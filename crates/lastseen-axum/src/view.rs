//! The only wire form of a session.
//!
//! It is written by hand, field by field: at the rate at which sessions are checked, a generic serialiser over owned
//! strings costs more than everything else that is done for a request. A test reads what is written with a strict reader,
//! so that the two cannot drift apart.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use lastseen::{Product, Session, Status, Timestamp};

/// Length of an instant in text: `2026-11-24T09:00:00.000Z`.
const INSTANT_BYTES: usize = 24;

/// Writes a session as JSON, as the contract has it, at the instant `now`.
pub fn write_session(out: &mut Vec<u8>, session: &Session, is_current: bool, now: Timestamp) {
    let device = &*session.device;
    out.extend_from_slice(b"{\"id\":\"");
    // The text of an id has letters and digits only.
    out.extend_from_slice(&session.id.to_text());
    out.extend_from_slice(b"\",\"account\":{\"id\":");
    write_string(out, session.account.key.id.as_str());
    out.extend_from_slice(b",\"name\":");
    write_string(out, &session.account.name);
    out.extend_from_slice(b"},\"current\":");
    write_bool(out, is_current);
    out.extend_from_slice(match session.status(now) {
        Status::Active => b",\"status\":\"active\",\"operating_system\":".as_slice(),
        Status::Expired => b",\"status\":\"expired\",\"operating_system\":",
    });
    write_product(out, device.operating_system.as_ref());
    out.extend_from_slice(b",\"browser\":");
    write_product(out, device.browser.as_ref());
    out.extend_from_slice(b",\"user_agent\":\"");
    for piece in device.label_pieces() {
        // Writing to a vector cannot fail.
        let _ = Escaped(out).write_str(piece);
    }
    out.extend_from_slice(b"\",\"ip_address\":");
    write_address(out, session.ip_address);
    out.extend_from_slice(b",\"remembered\":");
    write_bool(out, session.remembered);
    write_times(out, session);
    out.extend_from_slice(b",\"time_left_seconds\":");
    write_number(out, session.time_left(now).as_secs());
    out.push(b'}');
}

/// Room for a session of ordinary names, so that writing one allocates once.
pub const USUAL_BYTES: usize = 640;

/// A session as JSON.
#[must_use]
pub fn session_json(session: &Session, is_current: bool, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    write_session(&mut out, session, is_current, now);
    out
}

/// An instant as RFC 3339 text in UTC, always with milliseconds: `2026-11-24T09:00:00.000Z`.
///
/// ```
/// use lastseen::Timestamp;
///
/// let text = lastseen_axum::view::rfc3339(Timestamp::from_millisecond(1_795_510_800_000));
/// assert_eq!(text, "2026-11-24T09:00:00.000Z");
/// ```
#[must_use]
pub fn rfc3339(timestamp: Timestamp) -> String {
    instant(timestamp)
        .iter()
        .map(|byte| char::from(*byte))
        .collect()
}

/// Adds an instant in the form of [`rfc3339`].
pub fn write_instant(out: &mut Vec<u8>, timestamp: Timestamp) {
    out.extend_from_slice(&instant(timestamp));
}

/// Adds a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Writing to a vector cannot fail.
    let _ = Escaped(out).write_str(text);
    out.push(b'"');
}

fn write_text(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_product(out: &mut Vec<u8>, product: Option<&Product>) {
    let Some(product) = product else {
        out.extend_from_slice(b"null");
        return;
    };
    out.extend_from_slice(b"{\"name\":");
    write_string(out, &product.name);
    out.extend_from_slice(b",\"version\":");
    match &product.version {
        Some(version) => write_string(out, version),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn write_address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => out.extend_from_slice(b"null"),
        // Most addresses are of this kind, and formatting one takes longer than checking a token.
        Some(IpAddr::V4(address)) => {
            let [first, rest @ ..] = address.octets();
            out.push(b'"');
            write_number(out, first.into());
            for octet in rest {
                out.push(b'.');
                write_number(out, octet.into());
            }
            out.push(b'"');
        }
        Some(IpAddr::V6(address)) => write_text(out, format_args!("\"{address}\"")),
    }
}

/// Adds a number in decimal digits.
pub fn write_number(out: &mut Vec<u8>, mut number: u64) {
    /// The digits of the largest number.
    const MOST_DIGITS: usize = 20;

    let mut digits = [0; MOST_DIGITS];
    let mut start = MOST_DIGITS;
    loop {
        start -= 1;
        // A remainder of ten fits a byte.
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes text into the inside of a JSON string (RFC 8259, 7).
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
        let mut rest = text.as_bytes();
        // Almost all text: looked at many bytes at a time, since nothing stops the loop early.
        if !rest
            .iter()
            .fold(false, |found, byte| found | needs_escape(*byte))
        {
            self.0.extend_from_slice(rest);
            return Ok(());
        }
        // What needs no escape is copied in one piece.
        while let Some(position) = rest.iter().position(|byte| needs_escape(*byte)) {
            let (plain, from) = rest.split_at(position);
            self.0.extend_from_slice(plain);
            let byte = from[0];
            if byte < b' ' {
                self.0.extend_from_slice(b"\\u00");
                self.0.push(HEXADECIMAL[usize::from(byte >> 4)]);
                self.0.push(HEXADECIMAL[usize::from(byte & 15)]);
            } else {
                self.0.extend_from_slice(&[b'\\', byte]);
            }
            rest = &from[1..];
        }
        self.0.extend_from_slice(rest);
        Ok(())
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Writes the three instants in one piece, since each step on the way to the buffer costs as much as half an instant.
fn write_times(out: &mut Vec<u8>, session: &Session) {
    const TEMPLATE: &[u8; 122] = b",\"created_at\":\"0000-00-00T00:00:00.000Z\",\"last_updated\":\"0000-00-00T00:00:00.000Z\",\"expires_at\":\"0000-00-00T00:00:00.000Z\"";
    let mut text = *TEMPLATE;
    for (place, timestamp) in [
        (15, session.created_at),
        (57, session.last_used_at),
        (97, session.expires_at),
    ] {
        text[place..place + INSTANT_BYTES].copy_from_slice(&instant(timestamp));
    }
    out.extend_from_slice(&text);
}

/// The text of an instant. Years beyond four digits are cut to the last instant that has a text, as are those before 0.
fn instant(timestamp: Timestamp) -> [u8; INSTANT_BYTES] {
    const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
    /// 0000-01-01T00:00:00.000Z.
    const FIRST: i64 = -62_167_219_200_000;
    /// 9999-12-31T23:59:59.999Z.
    const LAST: i64 = 253_402_300_799_999;

    let milliseconds = timestamp.as_millisecond().clamp(FIRST, LAST) - FIRST;
    // Not negative, and 9,999 years have fewer than four million days: both fit.
    let days = u32::try_from(milliseconds / MILLISECONDS_PER_DAY).unwrap_or(0);
    let of_day = u32::try_from(milliseconds % MILLISECONDS_PER_DAY).unwrap_or(0);
    let (year, month, day) = civil_date(days);
    let [hour, minute, second] = [of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60];
    let millisecond = of_day % 1000;

    let [y1, y2] = two_digits(year / 100);
    let [y3, y4] = two_digits(year % 100);
    let [mo1, mo2] = two_digits(month);
    let [d1, d2] = two_digits(day);
    let [h1, h2] = two_digits(hour);
    let [mi1, mi2] = two_digits(minute);
    let [s1, s2] = two_digits(second);
    let [_, ms1] = two_digits(millisecond / 100);
    let [ms2, ms3] = two_digits(millisecond % 100);
    [
        y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', mi1, mi2, b':', s1, s2,
        b'.', ms1, ms2, ms3, b'Z',
    ]
}

/// Year, month and day in the proleptic Gregorian calendar of a day counted from 0000-01-01.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is the last of its year. The first era begins
/// in the year before, hence one era is added and taken off again.
fn civil_date(days: u32) -> (u32, u32, u32) {
    const DAYS_PER_ERA: u32 = 146_097;
    /// January and February of the leap year 0.
    const DAYS_BEFORE_MARCH: u32 = 60;

    let days = days + DAYS_PER_ERA - DAYS_BEFORE_MARCH;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on alternate 31 and 30 days closely enough for one line through them.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u32::from(month <= 2) - 400;
    (year, month, day)
}

/// Two digits of a number below 100.
fn two_digits(number: u32) -> [u8; 2] {
    // Quotient and remainder fit a byte.
    let digit = |number: u32| b'0' + u8::try_from(number).unwrap_or(0);
    [digit(number / 10), digit(number % 10)]
}

#[cfg(test)]
mod tests;
