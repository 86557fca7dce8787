//! The words of the pages: times, counts, questions and what was done, in one place.
//!
//! `script.js` says the same things without asking the server; whoever changes a sentence here
//! changes it there.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lastseen::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// At most this many sessions are named in a question; the others are counted.
const MOST_NAMES: usize = 5;

/// `1 session`, `3 sessions`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The time left as the page shows it: `2 d 4 h 13 min left`, rounded down. A session in use always has
/// some left, one that is over reads `Expired`.
pub(super) fn time_left(left: Duration) -> String {
    let (days, hours, minutes) = parts(left);
    match (days, hours, minutes) {
        _ if left.is_zero() => String::from("Expired"),
        (0, 0, 0) => String::from("less than a minute left"),
        (0, 0, minutes) => format!("{minutes} min left"),
        (0, hours, minutes) => format!("{hours} h {minutes} min left"),
        (days, hours, minutes) => format!("{days} d {hours} h {minutes} min left"),
    }
}

/// The time left in long words, for whoever hears the page: `2 days 4 hours 13 minutes left`.
pub(super) fn time_left_in_words(left: Duration) -> String {
    let (days, hours, minutes) = parts(left);
    let day = counted(usize::try_from(days).unwrap_or(usize::MAX), "day", "days");
    let hour = counted(
        usize::try_from(hours).unwrap_or(usize::MAX),
        "hour",
        "hours",
    );
    let minute = counted(
        usize::try_from(minutes).unwrap_or(usize::MAX),
        "minute",
        "minutes",
    );
    match (days, hours, minutes) {
        _ if left.is_zero() => String::from("Expired"),
        (0, 0, 0) => String::from("less than a minute left"),
        (0, 0, _) => format!("{minute} left"),
        (0, _, _) => format!("{hour} {minute} left"),
        _ => format!("{day} {hour} {minute} left"),
    }
}

fn parts(left: Duration) -> (u64, u64, u64) {
    let seconds = left.as_secs();
    (seconds / DAY, seconds % DAY / HOUR, seconds % HOUR / MINUTE)
}

/// An instant in the three forms that the page needs.
pub(super) struct Moment {
    /// For machines: RFC 3339 in UTC.
    pub(super) instant: String,
    /// For people, to the second, in UTC.
    pub(super) exact: String,
    /// For people, as short as the page shows it.
    pub(super) text: String,
}

impl Moment {
    /// When something was, seen from `now`: `12 min ago`.
    pub(super) fn past(at: Timestamp, now: Timestamp) -> Self {
        Self {
            instant: instant(at),
            exact: exact(at),
            text: ago(at, now),
        }
    }

    /// When something will be: `8 Dec 2026, 10:15 UTC`.
    pub(super) fn future(at: Timestamp) -> Self {
        let text = format!("{}, {} UTC", date(at), clock(at));
        Self {
            instant: instant(at),
            exact: exact(at),
            text,
        }
    }
}

/// How long ago something was. Days are counted by the calendar, in UTC.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let days = calendar_days(at, now);
    match (seconds, days) {
        (..MINUTE, _) => String::from("now"),
        (..HOUR, _) => format!("{} min ago", seconds / MINUTE),
        (seconds, days) if days == 0 || seconds < 6 * HOUR => format!("{} h ago", seconds / HOUR),
        (_, 1) => format!("yesterday {} UTC", clock(at)),
        (_, 2..=6) => format!("{days} days ago"),
        _ => format!("{}, {} UTC", date(at), clock(at)),
    }
}

fn calendar_days(from: Timestamp, to: Timestamp) -> i64 {
    let day = |at: Timestamp| at.as_millisecond().div_euclid(86_400_000);
    day(to) - day(from)
}

/// The instant as a date and time in UTC. One that no calendar holds reads as the epoch.
fn civil(at: Timestamp) -> DateTime {
    jiff::Timestamp::from_millisecond(at.as_millisecond())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
        .datetime()
}

/// RFC 3339, with milliseconds.
fn instant(at: Timestamp) -> String {
    civil(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn exact(at: Timestamp) -> String {
    format!("{}, {} UTC", date(at), civil(at).strftime("%H:%M:%S"))
}

fn date(at: Timestamp) -> String {
    civil(at).strftime("%-d %b %Y").to_string()
}

fn clock(at: Timestamp) -> String {
    civil(at).strftime("%H:%M").to_string()
}

/// What the question before ending needs to know of a session.
#[derive(Clone)]
pub(super) struct Named {
    /// What its device is called.
    pub(super) label: String,
    /// Its address, where it is known.
    pub(super) address: Option<String>,
    /// When it was last used, as the page says it.
    pub(super) last_used: String,
    /// Whether it is the one that asks.
    pub(super) current: bool,
}

impl Named {
    /// Device and address: `Chrome 120 on Linux, 203.0.113.7`.
    pub(super) fn name(&self) -> String {
        match &self.address {
            Some(address) => format!("{}, {address}", self.label),
            None => self.label.clone(),
        }
    }
}

/// A paragraph of a question; what is `strong` comes first.
pub(super) struct Paragraph {
    pub(super) strong: Option<String>,
    pub(super) text: String,
}

impl Paragraph {
    fn plain(text: impl Into<String>) -> Self {
        Self {
            strong: None,
            text: text.into(),
        }
    }

    fn strong(strong: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            strong: Some(strong.into()),
            text: text.into(),
        }
    }
}

/// The question before something ends.
pub(super) struct Question {
    pub(super) title: String,
    pub(super) paragraphs: Vec<Paragraph>,
    pub(super) names: Vec<String>,
    pub(super) button: String,
}

impl Question {
    /// What its paragraphs say.
    pub(super) fn text(&self) -> String {
        let texts: Vec<&str> = self
            .paragraphs
            .iter()
            .map(|paragraph| &*paragraph.text)
            .collect();
        texts.join(" ")
    }

    /// Before one session of another device ends.
    pub(super) fn one(session: &Named) -> Self {
        let address = session
            .address
            .as_ref()
            .map(|address| format!(", {address}"))
            .unwrap_or_default();
        Self {
            title: String::from("Terminate this session?"),
            paragraphs: vec![Paragraph::strong(
                &session.label,
                format!(
                    "{address}, last used {}. It is signed out at once.",
                    session.last_used
                ),
            )],
            names: Vec::new(),
            button: String::from("Terminate"),
        }
    }

    /// Before the session in use ends; the account has `others` active ones besides.
    pub(super) fn current(others: usize) -> Self {
        let rest = match others {
            0 => String::new(),
            1 => String::from(" Your other session stays."),
            others => format!(" Your other {others} sessions stay."),
        };
        Self {
            title: String::from("Disconnect this device?"),
            paragraphs: vec![Paragraph::plain(format!(
                "This is the session you are using. You will be signed out here and must sign in again.{rest}"
            ))],
            names: Vec::new(),
            button: String::from("Disconnect"),
        }
    }

    /// Before these sessions end.
    pub(super) fn several(sessions: &[Named]) -> Self {
        let number = sessions.len();
        let mut names: Vec<String> = sessions.iter().take(MOST_NAMES).map(Named::name).collect();
        if number > MOST_NAMES {
            names.push(format!("and {} more", number - MOST_NAMES));
        }
        let mut paragraphs = Vec::new();
        if sessions.iter().any(|session| session.current) {
            let warning = if number == 1 {
                "This is the session you are using: you will be signed out here."
            } else {
                "One of them is the session you are using: you will be signed out here."
            };
            paragraphs.push(Paragraph::strong(warning, ""));
        }
        Self {
            title: format!("Terminate {}?", counted(number, "session", "sessions")),
            paragraphs,
            names,
            button: format!("Terminate {}", counted(number, "Session", "Sessions")),
        }
    }

    /// Before every session but the one in use leaves the list.
    pub(super) fn all(active: usize, expired: usize) -> Self {
        let end = match active {
            1 => String::from("1 session ends on your other device"),
            active => format!("{active} sessions end on your other devices"),
        };
        let leave = match expired {
            1 => String::from("1 expired one leaves the list"),
            expired => format!("{expired} expired ones leave the list"),
        };
        let text = match (active, expired) {
            (_, 0) => end,
            (0, 1) => String::from("1 expired session leaves the list"),
            (0, expired) => format!("{expired} expired sessions leave the list"),
            _ => format!("{end} and {leave}"),
        };
        Self {
            title: String::from("Terminate all other sessions?"),
            paragraphs: vec![Paragraph::plain(format!(
                "{text}. The one you are using stays."
            ))],
            names: Vec::new(),
            button: String::from("Terminate All"),
        }
    }
}

/// What was done, as the line above the list says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// These many ticked sessions left the list, or one by its own button.
    Terminated(usize),
    /// An expired session left the list.
    Removed,
    /// Every other active session ended, so many.
    All(usize),
    /// There was nothing to do: no box was ticked.
    NothingTicked,
}

impl Done {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Terminated(0) => String::from("It had ended already."),
            Self::Terminated(number) => {
                format!("{} terminated.", counted(*number, "session", "sessions"))
            }
            Self::Removed => String::from("1 expired session removed."),
            Self::All(0) => String::from("All expired sessions removed."),
            Self::All(1) => String::from("The only other session terminated."),
            Self::All(number) => format!("All {number} other sessions terminated."),
            Self::NothingTicked => String::from("No session is ticked."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millisecond(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn time_left_is_in_days_hours_and_minutes_rounded_down() {
        let left = |seconds| time_left(Duration::from_secs(seconds));
        assert_eq!(
            left(2 * DAY + 4 * HOUR + 13 * MINUTE + 59),
            "2 d 4 h 13 min left"
        );
        assert_eq!(left(DAY), "1 d 0 h 0 min left");
        assert_eq!(left(4 * HOUR + 13 * MINUTE), "4 h 13 min left");
        assert_eq!(left(13 * MINUTE + 59), "13 min left");
        assert_eq!(left(59), "less than a minute left");
        assert_eq!(
            time_left(Duration::from_millis(1)),
            "less than a minute left"
        );
        assert_eq!(left(0), "Expired");
    }

    #[test]
    fn time_left_is_heard_in_long_words() {
        let left = |seconds| time_left_in_words(Duration::from_secs(seconds));
        assert_eq!(
            left(2 * DAY + 4 * HOUR + 13 * MINUTE),
            "2 days 4 hours 13 minutes left"
        );
        assert_eq!(left(DAY + HOUR + MINUTE), "1 day 1 hour 1 minute left");
        assert_eq!(left(61), "1 minute left");
        assert_eq!(left(0), "Expired");
    }

    #[test]
    fn the_last_use_is_told_by_its_distance_and_after_a_week_by_its_date() {
        let now = at("2026-11-24T10:15:00Z");
        let told = |text| ago(at(text), now);
        assert_eq!(told("2026-11-24T10:14:30Z"), "now");
        assert_eq!(told("2026-11-24T10:03:00Z"), "12 min ago");
        assert_eq!(told("2026-11-24T07:15:00Z"), "3 h ago");
        assert_eq!(told("2026-11-23T14:03:00Z"), "yesterday 14:03 UTC");
        assert_eq!(told("2026-11-20T14:03:00Z"), "4 days ago");
        assert_eq!(told("2026-11-10T14:03:00Z"), "10 Nov 2026, 14:03 UTC");
    }

    #[test]
    fn an_instant_reads_as_machines_and_as_people_read_it() {
        let moment = Moment::future(at("2026-12-08T10:15:07.5Z"));
        assert_eq!(moment.instant, "2026-12-08T10:15:07.500Z");
        assert_eq!(moment.exact, "8 Dec 2026, 10:15:07 UTC");
        assert_eq!(moment.text, "8 Dec 2026, 10:15 UTC");
    }

    #[test]
    fn an_instant_beyond_every_calendar_is_told_without_a_panic() {
        assert_eq!(
            Moment::future(Timestamp::from_millisecond(i64::MAX)).text,
            "1 Jan 1970, 00:00 UTC"
        );
        assert_eq!(
            ago(Timestamp::from_millisecond(i64::MIN), Timestamp::EPOCH),
            "1 Jan 1970, 00:00 UTC"
        );
    }

    #[test]
    fn a_question_about_twelve_names_five_and_counts_the_rest() {
        let session = Named {
            label: String::from("Chrome 120 on Linux"),
            address: Some(String::from("203.0.113.7")),
            last_used: String::from("now"),
            current: false,
        };
        let question = Question::several(&vec![session; 12]);
        assert_eq!(question.names.len(), 6);
        assert_eq!(question.names[0], "Chrome 120 on Linux, 203.0.113.7");
        assert_eq!(question.names[5], "and 7 more");
        assert_eq!(question.button, "Terminate 12 Sessions");
    }

    #[test]
    fn what_is_one_is_told_as_one() {
        let text = |question: Question| question.paragraphs[0].text.clone();
        assert_eq!(
            text(Question::all(1, 1)),
            "1 session ends on your other device and 1 expired one leaves the list. The one you are using stays."
        );
        assert_eq!(
            text(Question::all(0, 2)),
            "2 expired sessions leave the list. The one you are using stays."
        );
        assert_eq!(
            text(Question::all(4, 2)),
            "4 sessions end on your other devices and 2 expired ones leave the list. The one you are using stays."
        );
        assert!(text(Question::current(1)).ends_with("Your other session stays."));
        assert!(text(Question::current(4)).ends_with("Your other 4 sessions stay."));
    }
}
