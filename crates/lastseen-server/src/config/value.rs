//! How a duration, a size, an address and the like are written.
//!
//! Each function takes what was typed and answers with the value, or with what is wrong with it, worded to follow the
//! quoted value: `"3 weeks" is no duration like 14d, 12h or 90s`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

/// Shortest duration a setting may have.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest duration a setting may have. RFC 6265bis caps the life of a cookie at 400 days, so a longer promise could
/// not be kept.
const LONGEST: Duration = Duration::from_hours(400 * 24);

/// A duration: whole numbers with the units `d`, `h`, `m`, `s`, largest first, each at most once, between 1 s and 400 d.
///
/// The friendly formats that libraries read allow much more ("1 month", "2 weeks ago"); two readers could then
/// disagree about what was meant, so this grammar is small on purpose.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || "is no duration like 14d, 12h or 90s".to_owned();
    let mut seconds: u64 = 0;
    let mut rest = text;
    let mut largest_left = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| malformed())?;
        let unit = match rest.as_bytes().get(digits) {
            Some(b'd') => 86_400,
            Some(b'h') => 3_600,
            Some(b'm') => 60,
            Some(b's') => 1,
            _ => return Err(malformed()),
        };
        if unit >= largest_left {
            return Err(malformed());
        }
        largest_left = unit;
        seconds = number
            .checked_mul(unit)
            .and_then(|part| seconds.checked_add(part))
            .ok_or_else(out_of_range)?;
        rest = &rest[digits + 1..];
    }
    if text.is_empty() {
        return Err(malformed());
    }
    let duration = Duration::from_secs(seconds);
    if (SHORTEST..=LONGEST).contains(&duration) {
        Ok(duration)
    } else {
        Err(out_of_range())
    }
}

fn out_of_range() -> String {
    "does not lie between 1s and 400d".to_owned()
}

/// Writes a duration the way [`duration`] reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            text.extend([&(seconds / length).to_string(), unit]);
            seconds %= length;
        }
    }
    text
}

/// An amount of memory: a whole number with `B`, `KiB`, `MiB` or `GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let malformed = || "is no size like 64MiB or 1GiB".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| malformed())?;
    let unit: u64 = match &text[digits..] {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(malformed()),
    };
    let bytes = number.checked_mul(unit).ok_or_else(malformed)?;
    // Below 1 MiB the bookkeeping outweighs what is kept; above 1 TiB it is a typing error.
    if (1 << 20..=1 << 40).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("does not lie between 1MiB and 1024GiB".to_owned())
    }
}

/// Writes a size the way [`size`] reads it.
pub(super) fn size_text(bytes: u64) -> String {
    for (unit, length) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= length && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    format!("{bytes}B")
}

/// A whole number within bounds, both included.
pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let wrong = || format!("is no whole number from {least} to {most}");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = text.parse().map_err(|_| wrong())?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(wrong())
    }
}

/// An address and a port to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "is no address and port like 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// A network: an address, alone or with the length of its prefix.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let alone = text.parse::<IpAddr>().map(IpNet::from);
    let network = alone.or_else(|_| text.parse::<IpNet>());
    network
        .map(|network| network.trunc())
        .map_err(|_| "is no network like 10.0.0.0/8 or 2001:db8::/32".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_14d_12h_and_90s() {
        assert_eq!(duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(12 * 3_600)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1d12h"), Ok(Duration::from_secs(36 * 3_600)));
    }

    #[test]
    fn durations_lie_between_one_second_and_400_days() {
        assert_eq!(duration("1s"), Ok(SHORTEST));
        assert_eq!(duration("400d"), Ok(LONGEST));
        assert_eq!(duration("0s"), Err(out_of_range()));
        assert_eq!(duration("400d1s"), Err(out_of_range()));
        assert_eq!(duration("18446744073709551615d"), Err(out_of_range()));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in [
            "",
            " ",
            "14",
            "d",
            "14D",
            "14 d",
            " 14d",
            "14d ",
            "-1d",
            "+1d",
            "1.5h",
            "1w",
            "1h1d",
            "1h1h",
            "90ms",
            "1e3s",
            "٣d",
            "1é",
            "99999999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["14d", "12h", "1m30s", "1s", "400d", "1d12h"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_read_like_64mib() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size_text(64 << 20), "64MiB");
        for text in [
            "",
            "64",
            "64MB",
            "0MiB",
            "1KiB",
            "-1MiB",
            "99999999999GiB",
            "64 MiB",
        ] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_network_may_be_one_address_and_loses_its_host_part() {
        assert_eq!(network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("192.0.2.1").unwrap().to_string(), "192.0.2.1/32");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        for text in ["", "10.0.0.0/33", "10.0.0", "localhost", "10.0.0.0/ 8"] {
            assert!(network(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_digits_only() {
        assert_eq!(number("0", 0, 10), Ok(0));
        for text in ["", "+1", "-1", "11", "1.0", "0x1"] {
            assert!(number(text, 0, 10).is_err(), "{text:?}");
        }
    }
}
