//! The only wire form of a session.
//!
//! It is written by hand, field by field: at the rate at which sessions are checked, a generic serialiser over owned
//! strings costs more than everything else that is done for a request. A test reads what is written with a strict reader,
//! so that the two cannot drift apart.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;

use lastseen::{Account, Device, Product, Session, SessionView, Status, Timestamp};

/// Length of an instant in text: `2026-11-24T09:00:00.000Z`.
const INSTANT_BYTES: usize = 24;

/// Writes a session as JSON, as the contract has it, at the instant `now`.
pub fn write_session(out: &mut Vec<u8>, session: &Session, is_current: bool, now: Timestamp) {
    SessionsWriter::new(out).write(session.view(), is_current, now);
}

/// Writes sessions, one after the other.
///
/// Sessions of one list have their account in common, many their device and the day: what was written of one is copied
/// for the next, which takes a small part of the time.
pub(crate) struct SessionsWriter<'out, 'session> {
    pub(crate) out: &'out mut Vec<u8>,
    accounts: Written<'session, Account, 1>,
    devices: Written<'session, Device, 4>,
    calendars: [Calendar; 3],
}

impl<'out, 'session> SessionsWriter<'out, 'session> {
    /// A writer that adds to what is there.
    pub(crate) fn new(out: &'out mut Vec<u8>) -> Self {
        Self {
            out,
            accounts: Written::default(),
            devices: Written::default(),
            calendars: Default::default(),
        }
    }

    /// Adds a session, as [`write_session`] does.
    pub(crate) fn write(
        &mut self,
        session: SessionView<'session>,
        is_current: bool,
        now: Timestamp,
    ) {
        let out = &mut *self.out;
        out.extend_from_slice(b"{\"id\":\"");
        // The text of an id has letters and digits only.
        out.extend_from_slice(&session.id.to_text());
        out.extend_from_slice(b"\",\"account\":{\"id\":");
        self.accounts.write(out, session.account, write_account);
        out.extend_from_slice(match (is_current, session.status(now)) {
            (true, Status::Active) => b"},\"current\":true,\"status\":\"active\"".as_slice(),
            (false, Status::Active) => b"},\"current\":false,\"status\":\"active\"",
            (true, Status::Expired) => b"},\"current\":true,\"status\":\"expired\"",
            (false, Status::Expired) => b"},\"current\":false,\"status\":\"expired\"",
        });
        self.devices.write(out, session.device, write_device);
        write_address(out, session.ip_address);
        out.extend_from_slice(if session.remembered {
            b",\"remembered\":true".as_slice()
        } else {
            b",\"remembered\":false"
        });
        write_times(out, &session, &mut self.calendars);
        out.extend_from_slice(b",\"time_left_seconds\":");
        write_number(out, session.time_left(now).as_secs());
        out.push(b'}');
    }
}

/// What was written last of values that sessions share, and where it stands.
struct Written<'a, T, const MOST: usize> {
    places: [Option<(&'a Arc<T>, Range<usize>)>; MOST],
    next: usize,
}

impl<T, const MOST: usize> Default for Written<'_, T, MOST> {
    fn default() -> Self {
        Self {
            places: [const { None }; MOST],
            next: 0,
        }
    }
}

impl<'a, T, const MOST: usize> Written<'a, T, MOST> {
    /// Adds a value, by a copy where it has been written. The same value elsewhere in memory is written once more.
    fn write(&mut self, out: &mut Vec<u8>, value: &'a Arc<T>, write: fn(&mut Vec<u8>, &T)) {
        for (written, place) in self.places.iter().flatten() {
            if Arc::ptr_eq(written, value) {
                out.extend_from_within(place.clone());
                return;
            }
        }
        let start = out.len();
        write(out, value);
        self.places[self.next] = Some((value, start..out.len()));
        self.next = (self.next + 1) % MOST;
    }
}

fn write_account(out: &mut Vec<u8>, account: &Account) {
    write_string(out, account.key.id.as_str());
    out.extend_from_slice(b",\"name\":");
    write_string(out, &account.name);
}

/// From the operating system to the name of the next field.
fn write_device(out: &mut Vec<u8>, device: &Device) {
    out.extend_from_slice(b",\"operating_system\":");
    write_product(out, device.operating_system.as_ref());
    out.extend_from_slice(b",\"browser\":");
    write_product(out, device.browser.as_ref());
    out.extend_from_slice(b",\"user_agent\":\"");
    for piece in device.label_pieces() {
        write_inside_string(out, piece);
    }
    out.extend_from_slice(b"\",\"ip_address\":");
}

/// Room for a session of ordinary names, so that writing one allocates once.
pub const USUAL_BYTES: usize = 640;

/// A session as JSON.
#[must_use]
pub fn session_json(session: &Session, is_current: bool, now: Timestamp) -> Vec<u8> {
    view_json(session.view(), is_current, now)
}

/// The same of a session that is only looked at.
pub(crate) fn view_json(session: SessionView<'_>, is_current: bool, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    SessionsWriter::new(&mut out).write(session, is_current, now);
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
    Calendar::default()
        .instant(timestamp)
        .iter()
        .map(|byte| char::from(*byte))
        .collect()
}

/// Adds an instant in the form of [`rfc3339`].
pub fn write_instant(out: &mut Vec<u8>, timestamp: Timestamp) {
    out.extend_from_slice(&Calendar::default().instant(timestamp));
}

/// Adds a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_inside_string(out, text);
    out.push(b'"');
}

fn write_text(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
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
        Some(IpAddr::V4(address)) => write_ipv4_address(out, address),
        Some(IpAddr::V6(address)) => write_text(out, format_args!("\"{address}\"")),
    }
}

/// Adds an address with its quotes, in one piece.
fn write_ipv4_address(out: &mut Vec<u8>, address: Ipv4Addr) {
    /// The text of the longest: `"255.255.255.255"`.
    const MOST_BYTES: usize = 17;

    let mut text = [0; MOST_BYTES];
    text[0] = b'"';
    let mut end = 1;
    for (position, octet) in address.octets().into_iter().enumerate() {
        if position > 0 {
            text[end] = b'.';
            end += 1;
        }
        if octet >= 100 {
            text[end] = b'0' + octet / 100;
            end += 1;
        }
        if octet >= 10 {
            text[end] = b'0' + octet / 10 % 10;
            end += 1;
        }
        text[end] = b'0' + octet % 10;
        end += 1;
    }
    text[end] = b'"';
    out.extend_from_slice(&text[..=end]);
}

/// Adds a number in decimal digits.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    /// The digits of the largest number.
    const MOST_DIGITS: usize = 20;

    let mut digits = [0; MOST_DIGITS];
    let mut start = MOST_DIGITS;
    let mut rest = number;
    while rest >= 10 {
        start -= 2;
        // A remainder of a hundred fits.
        let pair = two_digits(u32::try_from(rest % 100).unwrap_or(0));
        digits[start..start + 2].copy_from_slice(&pair);
        rest /= 100;
    }
    if rest > 0 || number == 0 {
        start -= 1;
        let [.., digit] = two_digits(u32::try_from(rest).unwrap_or(0));
        digits[start] = digit;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Adds text to the inside of a JSON string (RFC 8259, 7).
fn write_inside_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if needs_no_escape(bytes) {
        out.extend_from_slice(bytes);
    } else {
        write_escaped(out, bytes);
    }
}

/// Whether text can stand in a JSON string as it is, as almost all can: looked at eight bytes at a time.
fn needs_no_escape(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= escapes_in(u64::from_le_bytes(*word));
    }
    found |= match (text.last_chunk(), rest) {
        (_, []) => 0,
        // Bytes that were looked at already are looked at once more, which is quicker than to single out the others.
        (Some(last), _) => escapes_in(u64::from_le_bytes(*last)),
        (None, [a]) => escapes_in(u64::from_le_bytes([*a; 8])),
        (None, [a, b]) => escapes_in(u64::from_le_bytes([*a, *b, *a, *a, *a, *a, *a, *a])),
        (None, [a, b, c]) => escapes_in(u64::from_le_bytes([*a, *b, *c, *a, *a, *a, *a, *a])),
        (None, [a, b, c, d, ..]) => {
            let [.., w, x, y, z] = rest else { return false };
            escapes_in(u64::from_le_bytes([*a, *b, *c, *d, *w, *x, *y, *z]))
        }
    };
    found == 0
}

/// Not zero if one of eight bytes needs an escape: a control character, a quote or a backslash.
fn escapes_in(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    const HIGH_BITS: u64 = EACH << 7;

    // A byte below the subtrahend borrows and gets a high bit that it did not have (Mycroft's test). A byte right after
    // one that was found may be found in error, which changes nothing.
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGH_BITS
}

#[cold]
fn write_escaped(out: &mut Vec<u8>, mut rest: &[u8]) {
    const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
    // What needs no escape is copied in one piece.
    while let Some(position) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (plain, from) = rest.split_at(position);
        out.extend_from_slice(plain);
        let byte = from[0];
        if byte < b' ' {
            out.extend_from_slice(b"\\u00");
            out.push(HEXADECIMAL[usize::from(byte >> 4)]);
            out.push(HEXADECIMAL[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', byte]);
        }
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Writes the three instants in one piece, since each step on the way to the buffer costs as much as half an instant.
fn write_times(out: &mut Vec<u8>, session: &SessionView<'_>, calendars: &mut [Calendar; 3]) {
    const TEMPLATE: &[u8; 122] = b",\"created_at\":\"0000-00-00T00:00:00.000Z\",\"last_updated\":\"0000-00-00T00:00:00.000Z\",\"expires_at\":\"0000-00-00T00:00:00.000Z\"";
    let mut text = *TEMPLATE;
    let [created, used, expires] = calendars;
    text[15..39].copy_from_slice(&created.instant(session.created_at));
    text[57..81].copy_from_slice(&used.instant(session.last_used_at));
    text[97..121].copy_from_slice(&expires.instant(session.expires_at));
    out.extend_from_slice(&text);
}

/// Days as text, of which it remembers the last: in a list, one field after the other has the same.
struct Calendar {
    /// Counted from 0000-01-01.
    day: u32,
    text: [u8; 10],
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            day: 0,
            text: *b"0000-01-01",
        }
    }
}

impl Calendar {
    /// The text of an instant. Years beyond four digits are cut to the last instant that has a text, as are those before 0.
    fn instant(&mut self, timestamp: Timestamp) -> [u8; INSTANT_BYTES] {
        const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
        /// 0000-01-01T00:00:00.000Z.
        const FIRST: i64 = -62_167_219_200_000;
        /// 9999-12-31T23:59:59.999Z.
        const LAST: i64 = 253_402_300_799_999;

        let milliseconds = timestamp.as_millisecond().clamp(FIRST, LAST) - FIRST;
        // Not negative, and 9,999 years have fewer than four million days: both fit.
        let day = u32::try_from(milliseconds / MILLISECONDS_PER_DAY).unwrap_or(0);
        let of_day = u32::try_from(milliseconds % MILLISECONDS_PER_DAY).unwrap_or(0);
        if day != self.day {
            *self = Self {
                day,
                text: date(day),
            };
        }
        let (seconds, millisecond) = (of_day / 1000, of_day % 1000);
        let (minutes, second) = (seconds / 60, seconds % 60);
        let [_, tenth] = two_digits(millisecond / 100);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        text[..10].copy_from_slice(&self.text);
        text[11..13].copy_from_slice(&two_digits(minutes / 60));
        text[14..16].copy_from_slice(&two_digits(minutes % 60));
        text[17..19].copy_from_slice(&two_digits(second));
        text[20] = tenth;
        text[21..23].copy_from_slice(&two_digits(millisecond % 100));
        text
    }
}

/// The date of a day counted from 0000-01-01.
fn date(day: u32) -> [u8; 10] {
    let (year, month, day) = civil_date(day);
    let [y1, y2] = two_digits(year / 100);
    let [y3, y4] = two_digits(year % 100);
    let [mo1, mo2] = two_digits(month);
    let [d1, d2] = two_digits(day);
    [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2]
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
    // Right up to 178, and quicker than a division.
    let tens = (number * 103) >> 10;
    // In both bytes at once: the tens in the lower one, what is left of them in the upper one.
    let pair = 0x3030 + (number << 8) - tens * (10 * 256 - 1);
    let [first, second, ..] = pair.to_le_bytes();
    [first, second]
}

#[cfg(test)]
mod tests;
