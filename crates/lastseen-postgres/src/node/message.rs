//! What is said by notifications, and what stands in the log.

use std::collections::BTreeSet;

use lastseen::SessionId;
use lastseen::store::Change;
use serde_json::{Value, json};

use super::protocol::{Epoch, NodeId};
use crate::confirm::Xid;

/// The channel of changes; the triggers write it too.
pub(crate) const CHANGES: &str = "lastseen_changes";

/// The channel on which `origin` hears who has applied its changes.
pub(super) fn acknowledgements_of(origin: &str) -> String {
    format!("lastseen_acknowledged_{origin}")
}

/// Acknowledgements that go into one notification, which holds 8,000 bytes: a number has at most 20 digits.
pub(super) const ACKNOWLEDGED_AT_ONCE: usize = 350;

/// A change, as somebody told of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Noted {
    /// The transaction.
    pub(super) xid: u64,
    /// Who wants to hear that it was applied.
    pub(super) origin: Option<String>,
    /// What memory has to follow, but for policies, which are read.
    pub(super) changes: Vec<Change>,
    /// Whether the policies have to be read.
    pub(super) policies: bool,
    /// What other parts of the program have to follow, by name.
    pub(super) others: Vec<String>,
}

/// Sessions that one notification names at most; of more it names the partitions, as the trigger does.
const SESSIONS_AT_MOST: usize = 100;
/// Partitions that one names at most.
const PARTITIONS_AT_MOST: usize = 1_000;

impl Noted {
    /// Sessions that have changed.
    pub(super) fn sessions(xid: Xid, origin: Option<&str>, ids: &[SessionId]) -> Self {
        let change = if ids.len() <= SESSIONS_AT_MOST {
            Change::Sessions(ids.to_vec())
        } else {
            let bits: BTreeSet<u16> = ids.iter().map(SessionId::partition).collect();
            if bits.len() <= PARTITIONS_AT_MOST {
                Change::Partitions(bits.into_iter().collect())
            } else {
                Change::Everything
            }
        };
        Self {
            xid: xid.0,
            origin: origin.map(str::to_owned),
            changes: vec![change],
            ..Self::default()
        }
    }

    /// As the trigger would write it; only what [`Noted::sessions`] makes.
    pub(super) fn to_text(&self) -> String {
        let mut message = json!({ "xid": self.xid.to_string() });
        if let Some(origin) = &self.origin {
            message["origin"] = origin.as_str().into();
        }
        let kind = match self.changes.first() {
            Some(Change::Sessions(ids)) => {
                let ids = ids
                    .iter()
                    .map(|id| format!("{:032x}", u128::from_be_bytes(*id.as_bytes())));
                message["sessions"] = ids.collect();
                "sessions"
            }
            Some(Change::Partitions(bits)) => {
                message["bits"] = bits.iter().copied().collect();
                "partitions"
            }
            _ => "everything",
        };
        message["kinds"] = [kind].into_iter().collect();
        message.to_string()
    }

    /// Notes one kind of change.
    pub(super) fn add(&mut self, kind: &str, sessions: Vec<SessionId>, bits: Vec<u16>) {
        match kind {
            "sessions" => self.changes.push(Change::Sessions(sessions)),
            "partitions" => self.changes.push(Change::Partitions(bits)),
            "policies" => self.policies = true,
            "everything" => self.changes.push(Change::Everything),
            other => self.others.push(other.to_owned()),
        }
    }

    /// Reads the notification that the trigger sends; `None` where it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(text).ok()?;
        let list = |name: &str| message.get(name).and_then(Value::as_array);
        let xid = message.get("xid")?.as_str()?.parse().ok()?;
        let origin = message.get("origin").and_then(Value::as_str);
        let sessions = list("sessions").map_or(Some(Vec::new()), |ids| {
            ids.iter().map(|id| uuid(id.as_str()?)).collect()
        })?;
        let bits = list("bits").map_or(Some(Vec::new()), |bits| {
            bits.iter()
                .map(|bits| u16::try_from(bits.as_u64()?).ok())
                .collect()
        })?;
        let mut noted = Self {
            xid,
            origin: origin.map(str::to_owned),
            ..Self::default()
        };
        for kind in list("kinds")? {
            let kind = kind.as_str()?;
            noted.add(kind, sessions.clone(), bits.clone());
        }
        Some(noted)
    }
}

/// A session's id in the form that PostgreSQL gives it.
fn uuid(text: &str) -> Option<SessionId> {
    let mut bytes = [0; 16];
    let mut digits = text.bytes().filter(|&byte| byte != b'-');
    for byte in &mut bytes {
        let mut digit = || char::from(digits.next()?).to_digit(16);
        *byte = u8::try_from(digit()? * 16 + digit()?).ok()?;
    }
    digits
        .next()
        .is_none()
        .then(|| SessionId::from_bytes(bytes))
}

/// A node's word that it has applied changes; without any it is a word to itself, that it can be heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Acknowledgement {
    /// Who says so.
    pub(super) id: NodeId,
    /// Under which registration.
    pub(super) epoch: Epoch,
    /// The transactions.
    pub(super) xids: Vec<Xid>,
}

impl Acknowledgement {
    /// As it is sent.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{:032x} {}", self.id.0, self.epoch.0);
        for xid in &self.xids {
            text.push(' ');
            text.push_str(&xid.0.to_string());
        }
        text
    }

    /// Reads what [`Acknowledgement::to_text`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            id: NodeId(u128::from_str_radix(words.next()?, 16).ok()?),
            epoch: Epoch(words.next()?.parse().ok()?),
            xids: words
                .map(|word| Some(Xid(word.parse().ok()?)))
                .collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_tells_by_itself_is_read_as_what_the_trigger_writes() {
        let id = |place: u16| {
            let mut bytes = [0xa5; 16];
            bytes[..2].copy_from_slice(&place.to_be_bytes());
            SessionId::from_bytes(bytes)
        };
        for number in [1, 100, 101, 1_000, 1_001] {
            let ids: Vec<SessionId> = (0..number).map(id).collect();
            let told = Noted::sessions(Xid(u64::MAX), Some("me"), &ids);
            let text = told.to_text();
            assert!(text.len() < 8_000, "{number}: {} bytes", text.len());
            assert_eq!(Noted::parse(&text).as_ref(), Some(&told));
            let expected = match number {
                1 | 100 => Change::Sessions(ids),
                101 | 1_000 => Change::Partitions((0..number).collect()),
                _ => Change::Everything,
            };
            assert_eq!(told.changes, [expected]);
        }
    }

    #[test]
    fn a_notification_is_read_as_the_trigger_writes_it() {
        let noted = Noted::parse(
            r#"{"xid":"7","origin":"me","kinds":["applications","partitions","policies","sessions"],
                "sessions":["000102030405-0607-0809-0a0b0c0d0e0f"],"bits":[1,65535]}"#,
        )
        .unwrap();
        let id = SessionId::from_bytes(std::array::from_fn(|place| u8::try_from(place).unwrap()));
        assert_eq!(noted.xid, 7);
        assert_eq!(noted.origin.as_deref(), Some("me"));
        assert_eq!(
            noted.changes,
            [
                Change::Partitions(vec![1, 65535]),
                Change::Sessions(vec![id])
            ]
        );
        assert!(noted.policies);
        assert_eq!(noted.others, ["applications"]);
        for text in [
            "",
            "{}",
            r#"{"xid":7,"kinds":[]}"#,
            r#"{"xid":"7","kinds":["sessions"],"sessions":["0"]}"#,
        ] {
            assert_eq!(Noted::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_acknowledgement_is_read_as_it_was_written() {
        let said = Acknowledgement {
            id: NodeId(5),
            epoch: Epoch(2),
            xids: vec![Xid(u64::MAX); ACKNOWLEDGED_AT_ONCE],
        };
        assert!(said.to_text().len() < 8_000);
        assert_eq!(Acknowledgement::parse(&said.to_text()), Some(said));
        assert_eq!(Acknowledgement::parse("x"), None);
    }
}
