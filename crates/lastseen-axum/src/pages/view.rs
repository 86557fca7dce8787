//! What the sessions page shows: the sessions of one account in the order in which a person reads them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use lastseen::{Device, Product, Session, SessionId, Status, Timestamp};

use super::icons;
use super::site::Site;
use super::words::{self, Moment, Named, Question};

/// Sessions on a page, unless asked for more.
pub(super) const ROWS_AT_FIRST: usize = 50;

/// Rows on a page at most, headings of groups included.
pub(super) const ROWS_AT_MOST: usize = 200;

/// A session counts as unused after this time.
const UNUSED_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// From so many sessions alike on they get a heading.
const GROUP_FROM: usize = 3;

/// Which part of the list a page shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    /// Sessions left out before it.
    pub(super) from: usize,
    /// Sessions at most.
    pub(super) shown: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            from: 0,
            shown: ROWS_AT_FIRST,
        }
    }
}

impl Window {
    /// The window that a query asks for, kept within its limits.
    pub(super) fn new(from: Option<usize>, shown: Option<usize>) -> Self {
        Self {
            from: from.unwrap_or(0),
            shown: shown
                .unwrap_or(ROWS_AT_FIRST)
                .clamp(ROWS_AT_FIRST, ROWS_AT_MOST),
        }
    }

    /// The window as a query, empty where it is the first one.
    pub(super) fn query(self) -> Vec<String> {
        let mut query = Vec::new();
        if self.from > 0 {
            query.push(format!("from={}", self.from));
        }
        if self.shown != ROWS_AT_FIRST {
            query.push(format!("shown={}", self.shown));
        }
        query
    }
}

/// All sessions of an account, in the order of the page: the current one, active ones by their last use,
/// newest first, then expired ones. Sessions alike stand together, where the newest of them stands.
pub(super) struct Arrangement {
    entries: Vec<Entry>,
    groups: Vec<Group>,
    now: Timestamp,
    /// Active ones, the current one included.
    pub(super) active: usize,
    pub(super) expired: usize,
    unused: usize,
}

struct Entry {
    session: Session,
    current: bool,
    expired: bool,
    unused: bool,
    /// Its group, as a place in `Arrangement::groups`.
    group: Option<usize>,
}

/// Sessions of equal system, browser and network.
struct Group {
    label: String,
    members: usize,
}

/// What sessions have in common that form a group: system, browser, network.
type Kind = (Option<String>, Option<String>, Option<IpAddr>);

impl Arrangement {
    pub(super) fn new(sessions: Vec<Session>, current: SessionId, now: Timestamp) -> Self {
        let mut entries: Vec<Entry> = sessions
            .into_iter()
            .map(|session| Entry {
                current: session.id == current,
                expired: session.status(now) == Status::Expired,
                unused: session.id != current
                    && now.duration_since(session.last_used_at) >= UNUSED_AFTER,
                group: None,
                session,
            })
            .collect();
        entries.sort_by_key(|entry| {
            let newest_first = std::cmp::Reverse(entry.session.last_used_at);
            (
                !entry.current,
                entry.expired,
                newest_first,
                entry.session.id,
            )
        });
        let expired = entries.iter().filter(|entry| entry.expired).count();
        let mut arrangement = Self {
            active: entries.len() - expired,
            expired,
            unused: entries.iter().filter(|entry| entry.unused).count(),
            entries,
            groups: Vec::new(),
            now,
        };
        arrangement.group();
        arrangement
    }

    /// Puts active sessions of one kind together, three and more, in front of the others of that kind.
    fn group(&mut self) {
        let mut members: HashMap<Kind, usize> = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.may_be_grouped()) {
            *members.entry(entry.kind()).or_default() += 1;
        }
        let mut numbers: HashMap<Kind, usize> = HashMap::new();
        for entry in &mut self.entries {
            let kind = entry.kind();
            let alike = members.get(&kind).copied().unwrap_or(0);
            if !entry.may_be_grouped() || alike < GROUP_FROM {
                continue;
            }
            let groups = &mut self.groups;
            entry.group = Some(*numbers.entry(kind).or_insert_with(|| {
                groups.push(Group {
                    label: family(&entry.session.device),
                    members: alike,
                });
                groups.len() - 1
            }));
        }
        // A member of a group goes where the first of it stands; everything else stays where it is.
        let mut first_of_group = HashMap::new();
        let places: HashMap<SessionId, usize> = self
            .entries
            .iter()
            .enumerate()
            .map(|(place, entry)| match entry.group {
                Some(group) => (
                    entry.session.id,
                    *first_of_group.entry(group).or_insert(place),
                ),
                None => (entry.session.id, place),
            })
            .collect();
        // The sort is stable, and every session has its place.
        self.entries.sort_by_key(|entry| places[&entry.session.id]);
    }

    /// How many sessions there are.
    pub(super) fn total(&self) -> usize {
        self.entries.len()
    }

    /// How many active ones there are besides the current one.
    pub(super) fn others_active(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| !entry.current && !entry.expired)
            .count()
    }

    /// What the question before ending says of the session `id`; `None` where it is not in the list.
    pub(super) fn named(&self, id: SessionId) -> Option<Named> {
        let entry = self.entries.iter().find(|entry| entry.session.id == id)?;
        Some(Named {
            label: entry.session.device.label(),
            address: entry.session.ip_address.map(|address| address.to_string()),
            last_used: words::ago(entry.session.last_used_at, self.now),
            current: entry.current,
        })
    }

    /// Whether the session `id` is in the list and over.
    pub(super) fn is_expired(&self, id: SessionId) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.session.id == id && entry.expired)
    }

    fn summary(&self) -> String {
        match self.expired {
            0 => format!("{} active.", self.active),
            expired => format!("{} active, {expired} expired.", self.active),
        }
    }

    /// The page, without its frame.
    pub(super) fn page<'a>(&self, site: &'a Site, window: Window, said: &'a str) -> List<'a> {
        let (total, others_active) = (self.total(), self.others_active());
        // Whoever asks for a part behind the end gets the last part.
        let from = window.from.min(total.saturating_sub(1));
        let rows = self.rows(from, window.shown);
        let end = from + rows.len();
        let drawings = icons::drawings(
            rows.iter()
                .flat_map(|row| [row.system_icon, row.browser_icon]),
        );
        List {
            site,
            said,
            now: self.now.as_millisecond(),
            summary: self.summary(),
            alone: total == 1,
            total,
            others_active,
            all_text: Question::all(others_active, self.expired).text(),
            current_text: Question::current(others_active).text(),
            expired: self.expired,
            unused: self.unused,
            from,
            shown: window.shown,
            more: (end < total && window.shown < ROWS_AT_MOST)
                .then(|| (window.shown + ROWS_AT_FIRST).min(ROWS_AT_MOST)),
            before: (from > 0).then(|| from.saturating_sub(ROWS_AT_MOST)),
            next: (end < total && window.shown >= ROWS_AT_MOST).then_some(end),
            drawings,
            rows,
        }
    }

    /// At most `shown` sessions from the session `from` on; with the headings of their groups they are no
    /// more than [`ROWS_AT_MOST`].
    fn rows(&self, from: usize, shown: usize) -> Vec<Row> {
        let mut part = Vec::new();
        let mut used = 0;
        let mut group_before = None;
        for entry in self.entries.iter().skip(from).take(shown) {
            let heading = entry.group.filter(|_| entry.group != group_before);
            used += 1 + usize::from(heading.is_some());
            if used > ROWS_AT_MOST {
                break;
            }
            group_before = entry.group;
            part.push((entry, heading));
        }
        part.iter()
            .map(|(entry, heading)| {
                let heading = heading.map(|group| {
                    let shown = part
                        .iter()
                        .filter(|(other, _)| other.group == Some(group))
                        .count();
                    self.groups[group].heading(group, shown)
                });
                entry.row(self.now, heading)
            })
            .collect()
    }
}

impl Group {
    /// Its heading, above the `shown` ones of it that a page shows.
    fn heading(&self, group: usize, shown: usize) -> Heading {
        let count = words::counted(self.members, "session", "sessions");
        Heading {
            number: group + 1,
            label: self.label.clone(),
            count: if shown == self.members {
                count
            } else {
                format!("{shown} of {count}")
            },
        }
    }
}

impl Entry {
    /// The current session stands alone and expired ones last, so neither joins a group; nor does a
    /// device of which nothing is known, for being unknown is nothing that two of them share.
    fn may_be_grouped(&self) -> bool {
        !self.current && !self.expired && !self.session.device.is_unknown()
    }

    fn kind(&self) -> Kind {
        let name = |product: &Option<Product>| product.as_ref().map(|it| it.name.to_string());
        let device = &self.session.device;
        (
            name(&device.operating_system),
            name(&device.browser),
            self.session.ip_address.map(network),
        )
    }

    /// Whether the end is near: less than a tenth of its length left, which counts as at most a day and
    /// at least five minutes. The length is that of the limit which will end it.
    fn soon(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        const SHORTEST: Duration = Duration::from_secs(5 * 60);
        let session = &self.session;
        let begin = if session.expires_at < session.absolute_deadline {
            session.last_used_at
        } else {
            session.created_at
        };
        (session.expires_at.duration_since(begin) / 10).clamp(SHORTEST, LONGEST)
    }

    fn row(&self, now: Timestamp, heading: Option<Heading>) -> Row {
        let session = &self.session;
        let device = &session.device;
        let left = session.time_left(now);
        let label = device.label();
        let address = session
            .ip_address
            .map_or_else(|| String::from("Unknown address"), |it| it.to_string());
        let (action, action_word) = match (self.current, self.expired) {
            (true, _) => ("one", "Disconnect"),
            (false, false) => ("one", "Terminate"),
            (false, true) => ("remove", "Remove"),
        };
        Row {
            id: session.id.to_string(),
            class: if self.current {
                "current"
            } else if self.expired {
                "expired"
            } else {
                ""
            },
            current: self.current,
            expired: self.expired,
            expires_soon: !self.expired && left < self.soon(),
            remembered: session.remembered && !self.expired,
            unused: self.unused,
            group: self.group.map_or(0, |group| group + 1),
            group_before: heading,
            name: match session.ip_address {
                Some(_) => format!("{label}, {address}"),
                None => label.clone(),
            },
            label,
            address,
            system: named_product(device.operating_system.as_ref()),
            system_icon: icons::operating_system(device.operating_system.as_ref()),
            browser: named_product(device.browser.as_ref()),
            browser_icon: icons::browser(device.browser.as_ref()),
            last_used: Moment::past(session.last_used_at, now),
            expires: Moment::future(session.expires_at),
            left: left.as_secs(),
            soon: self.soon().as_secs(),
            left_text: words::time_left(left),
            left_in_words: words::time_left_in_words(left),
            action,
            action_word,
        }
    }
}

/// What sessions of one kind have in common, without versions: `Chrome on Linux`.
fn family(device: &Device) -> String {
    match (&device.browser, &device.operating_system) {
        (Some(browser), Some(system)) => format!("{} on {}", browser.name, system.name),
        (Some(one), None) | (None, Some(one)) => one.name.to_string(),
        (None, None) => device.label(),
    }
}

/// `Windows 11`, `Linux`; `Unknown` where nothing is known.
fn named_product(product: Option<&Product>) -> String {
    match product {
        Some(product) => match &product.version {
            Some(version) => format!("{} {version}", product.name),
            None => product.name.to_string(),
        },
        None => String::from("Unknown"),
    }
}

/// The network of an address, as far as sessions of one place share it: /24 of IPv4, /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & 0xffff_ff00).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

/// The list, without its frame.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct List<'a> {
    site: &'a Site,
    said: &'a str,
    now: i64,
    summary: String,
    alone: bool,
    total: usize,
    others_active: usize,
    /// What the question before `Terminate All` says.
    all_text: String,
    /// What the question before `Disconnect` says.
    current_text: String,
    expired: usize,
    unused: usize,
    from: usize,
    shown: usize,
    /// How many rows `Show more` shows.
    more: Option<usize>,
    before: Option<usize>,
    next: Option<usize>,
    drawings: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a mark that a row shows or does not"
)]
struct Row {
    id: String,
    class: &'static str,
    current: bool,
    expired: bool,
    expires_soon: bool,
    remembered: bool,
    unused: bool,
    /// The number of its group, from 1; 0 is none.
    group: usize,
    group_before: Option<Heading>,
    label: String,
    /// Device and address.
    name: String,
    address: String,
    system: String,
    system_icon: &'static str,
    browser: String,
    browser_icon: &'static str,
    last_used: Moment,
    expires: Moment,
    left: u64,
    soon: u64,
    left_text: String,
    left_in_words: String,
    action: &'static str,
    action_word: &'static str,
}

impl Row {
    /// The address in parts between which a line may break.
    fn address_parts(&self) -> impl Iterator<Item = &str> {
        self.address.split_inclusive(':')
    }
}

struct Heading {
    number: usize,
    label: String,
    count: String,
}

/// The question before something ends, where no script shows it as a dialog.
#[derive(Template)]
#[template(path = "question.html")]
pub(super) struct QuestionPage<'a> {
    pub(super) site: &'a Site,
    pub(super) question: Question,
    pub(super) action: String,
    pub(super) ids: Vec<String>,
    pub(super) from: usize,
    pub(super) shown: usize,
    pub(super) back: String,
}
