//! Whose address a request comes from: the peer's, or the one that trusted proxies vouch for.
//!
//! The list of hops is `Forwarded` (RFC 7239) where it is sent, else `X-Forwarded-For`. It is read from the right: each
//! trusted proxy vouches for the hop to its left, so the visitor is the first hop from the right that is not trusted,
//! and the leftmost one where all of them are. A hop that cannot be read (hidden, unknown, garbage) breaks the chain, and
//! the peer is all that is known for certain.
//!
//! The parsers that were looked at split `Forwarded` at commas inside quotes, or fall back from one header to the other,
//! which lets a visitor choose his address; hence a small one here. It reads once from left to right, in linear time and
//! without allocating, and never panics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};

/// `X-Forwarded-For`, the older, informal list of hops.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks whose word on the visitor's address is taken.
///
/// ```
/// use lastseen_axum::TrustedProxies;
///
/// let trusted: TrustedProxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
/// assert!(trusted.contains("10.1.2.3".parse().unwrap()));
/// assert!(trusted.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!trusted.contains("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Box<[IpNet]>);

impl TrustedProxies {
    /// Nobody: the visitor is always the peer.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether an address belongs to a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }
}

/// A network of IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) is the IPv4 network, as its addresses are.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    let IpNet::V6(v6) = network else {
        return network;
    };
    let Some(v4) = v6.addr().to_ipv4_mapped() else {
        return network;
    };
    match v6.prefix_len().checked_sub(MAPPED_PREFIX) {
        Some(length) => Ipv4Net::new(v4, length).map_or(network, IpNet::V4),
        None => network,
    }
}

/// The visitor's address, or `None` where not even the peer has one (a Unix socket).
///
/// IPv4 addresses in IPv6 clothes come back as IPv4.
#[must_use]
pub fn client_ip(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if trusted.0.is_empty() || !trusted.contains(peer) {
        return Some(peer);
    }
    let mut chain = Chain {
        trusted,
        visitor: Visitor::Unknown,
    };
    if headers.contains_key(FORWARDED) {
        for line in headers.get_all(FORWARDED) {
            read_forwarded(line.as_bytes(), &mut chain);
        }
    } else {
        for line in headers.get_all(X_FORWARDED_FOR) {
            for hop in line.as_bytes().split(|byte| *byte == b',') {
                // RFC 9110, 5.6.1.2: empty list elements count for nothing.
                let hop = trim(hop);
                if !hop.is_empty() {
                    chain.push(read_node(hop));
                }
            }
        }
    }
    match chain.visitor {
        Visitor::Address(address) => Some(address),
        Visitor::Unknown | Visitor::Peer => Some(peer),
    }
}

/// Who the visitor would be if the list ended with the hop read last. Reading from the left and keeping this is the same
/// as walking from the right: a hop that is not trusted hides all to its left, as does one that cannot be read.
struct Chain<'a> {
    trusted: &'a TrustedProxies,
    visitor: Visitor,
}

enum Visitor {
    /// No hop was read yet.
    Unknown,
    Address(IpAddr),
    /// A hop could not be read.
    Peer,
}

impl Chain<'_> {
    fn push(&mut self, hop: Option<IpAddr>) {
        match hop {
            None => self.visitor = Visitor::Peer,
            Some(address) => {
                if matches!(self.visitor, Visitor::Unknown) || !self.trusted.contains(address) {
                    self.visitor = Visitor::Address(address);
                }
            }
        }
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads one `Forwarded` line (RFC 7239, 4):
/// `element *("," element)`, `element = [pair] *(";" [pair])`, `pair = token "=" (token / quoted-string)`.
///
/// Spaces around separators are taken, as are unquoted values with colons and brackets: many proxies write them.
fn read_forwarded(line: &[u8], chain: &mut Chain<'_>) {
    let mut rest = line;
    loop {
        match read_element(rest) {
            Ok((element, after)) => {
                match element {
                    Element::Empty => {}
                    Element::Hop(address) => chain.push(address),
                }
                match after {
                    Some(after) => rest = after,
                    None => return,
                }
            }
            // What comes after broken quoting cannot be told apart from what is inside it.
            Err(Unreadable) => return chain.push(None),
        }
    }
}

struct Unreadable;

enum Element {
    Empty,
    Hop(Option<IpAddr>),
}

/// The longest text of a node that is looked at: an IPv6 address in brackets with a port has 47 bytes.
const LONGEST_NODE: usize = 64;

/// Reads one element and says what follows its comma, if there is one.
fn read_element(mut rest: &[u8]) -> Result<(Element, Option<&[u8]>), Unreadable> {
    let mut element = Element::Empty;
    let mut has_for = false;
    loop {
        rest = trim_start(rest);
        match rest {
            [] => return Ok((element, None)),
            [b',', after @ ..] => return Ok((element, Some(after))),
            [b';', after @ ..] => rest = after,
            _ => {
                if matches!(element, Element::Empty) {
                    element = Element::Hop(None);
                }
                let name_length = rest.iter().take_while(|byte| is_token(**byte)).count();
                let (name, after_name) = rest.split_at(name_length);
                let [b'=', after_equals @ ..] = after_name else {
                    return Err(Unreadable);
                };
                let mut buffer = [0; LONGEST_NODE];
                let (value, after_value) = read_value(after_equals, &mut buffer)?;
                if name.eq_ignore_ascii_case(b"for") {
                    let address = value.and_then(read_node);
                    // RFC 7239, 4: no parameter occurs twice in an element.
                    element = Element::Hop(address.filter(|_| !has_for));
                    has_for = true;
                }
                rest = trim_start(after_value);
                if !matches!(rest, [] | [b',' | b';', ..]) {
                    return Err(Unreadable);
                }
            }
        }
    }
}

/// Reads a value, quoted or not. `None` stands for one too long to be a node.
fn read_value<'line: 'value, 'value>(
    rest: &'line [u8],
    buffer: &'value mut [u8; LONGEST_NODE],
) -> Result<(Option<&'value [u8]>, &'line [u8]), Unreadable> {
    let [b'"', quoted @ ..] = rest else {
        let length = rest
            .iter()
            .take_while(|byte| !matches!(byte, b',' | b';' | b'"' | b' ' | b'\t'))
            .count();
        let (value, after) = rest.split_at(length);
        return Ok((Some(value), after));
    };
    let mut length = 0;
    let mut bytes = quoted.iter().enumerate();
    while let Some((position, byte)) = bytes.next() {
        let byte = match byte {
            b'"' => {
                let value = buffer.get(..length);
                return Ok((value, &quoted[position + 1..]));
            }
            b'\\' => bytes.next().ok_or(Unreadable)?.1,
            byte => byte,
        };
        if let Some(place) = buffer.get_mut(length) {
            *place = *byte;
        }
        length += 1;
    }
    Err(Unreadable)
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Reads the address out of a node (RFC 7239, 6): IPv4 or IPv6, in brackets or not, with a port or not. `None` for
/// `unknown`, for hidden names such as `_proxy`, and for anything else.
fn read_node(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?;
    let address = if let Some(after_bracket) = node.strip_prefix('[') {
        let (address, port) = after_bracket.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else if let Ok(address) = node.parse::<IpAddr>() {
        Some(address)
    } else {
        let (address, port) = node.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        address.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    };
    address.map(|address| address.to_canonical())
}

/// A number, or a hidden port (`_` and letters; RFC 7239, 6).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => {
            !hidden.is_empty()
                && hidden
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        }
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests;
