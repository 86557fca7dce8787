//! Client hints: structured fields (RFC 9651) that name brands and platform.
//!
//! Each hint stands for itself: one that is malformed is ignored, the others count.

use std::cmp::Reverse;

use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::names::{self, Brand};

/// The longest hint that is read, in bytes. Real ones stay under 200.
const MAX_HINT_BYTES: usize = 1024;

/// The browser that the hints name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HintedBrowser {
    pub(super) brand: Brand,
    /// The major version, where it can be trusted.
    pub(super) major: Option<String>,
}

/// The operating system that the hints name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HintedSystem {
    pub(super) name: &'static str,
    /// The version, where it says something.
    pub(super) version: Option<String>,
}

/// Which browser `Sec-CH-UA` and `Sec-CH-UA-Full-Version-List` name, if they name any.
///
/// `Sec-CH-UA` comes first: it is sent wherever any hint is, and Opera's entry in the full list may
/// carry the version of the Chromium below it.
pub(super) fn browser(brands: Option<&[u8]>, full: Option<&[u8]>) -> Option<HintedBrowser> {
    let full = || {
        full.and_then(brand_list)
            .and_then(|list| best_of_full(&list))
    };
    match brands.and_then(brand_list).and_then(|list| best(&list)) {
        None => full(),
        Some(mut found) => {
            if found.major.is_none() {
                found.major = full()
                    .filter(|other| other.brand == found.brand)
                    .and_then(|other| other.major);
            }
            Some(found)
        }
    }
}

/// The brand that says most in a list of full versions.
fn best_of_full(list: &[(String, String)]) -> Option<HintedBrowser> {
    let mut found = best(list)?;
    if found.brand.name().starts_with("Opera") {
        let version_of = |brand: &str| {
            let entry = list.iter().find(|(name, _)| name.starts_with(brand));
            entry.map(|(_, version)| version)
        };
        if version_of("Opera") == version_of("Chromium") {
            found.major = None;
        }
    }
    Some(found)
}

/// The brand that says most; of several that say as much, the first.
fn best(list: &[(String, String)]) -> Option<HintedBrowser> {
    let mut found: Vec<_> = list
        .iter()
        .filter_map(|(name, version)| Some((names::brand(name)?, names::major(version))))
        .collect();
    found.sort_by_key(|(brand, _)| Reverse(brand.rank()));
    let (brand, major) = found.into_iter().next()?;
    Some(HintedBrowser { brand, major })
}

/// A list of brands with their versions, or `None` where it is malformed.
fn brand_list(value: &[u8]) -> Option<Vec<(String, String)>> {
    let list: List = parser(value)?.parse().ok()?;
    list.into_iter()
        .map(|entry| match entry {
            ListEntry::Item(Item {
                bare_item: BareItem::String(name),
                params,
            }) => {
                let version = match params.get("v") {
                    Some(BareItem::String(version)) => version.as_str().to_owned(),
                    _ => String::new(),
                };
                Some((name.as_str().to_owned(), version))
            }
            _ => None,
        })
        .collect()
}

/// Which system `Sec-CH-UA-Platform` and `Sec-CH-UA-Platform-Version` name, if they name any.
pub(super) fn system(platform: Option<&[u8]>, version: Option<&[u8]>) -> Option<HintedSystem> {
    let name = names::platform(&string(platform?)?)?;
    let version = version
        .and_then(string)
        .and_then(|version| system_version(name, &version));
    Some(HintedSystem { name, version })
}

/// The version to show for what `Sec-CH-UA-Platform-Version` says of a system.
fn system_version(system: &str, version: &str) -> Option<String> {
    if system == "Windows" {
        return windows_version(version).map(str::to_owned);
    }
    let mut parts = version.split('.');
    let (first, second) = (parts.next()?, parts.next());
    if names::has_telling_version(system) {
        names::version(first, second)
    } else {
        None
    }
}

/// The release of Windows. The hint is not its version but that of an interface of it, which says
/// more: 1 to 10 came with Windows 10, 13 and up with Windows 11, 0 with what was before.
fn windows_version(version: &str) -> Option<&'static str> {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next()?.ok()?, parts.next()) {
        (0, Some(Ok(1))) => Some("7"),
        (0, Some(Ok(2))) => Some("8"),
        (0, Some(Ok(3))) => Some("8.1"),
        (1..=10, _) => Some("10"),
        (13.., _) => Some("11"),
        _ => None,
    }
}

/// The text of a hint that is one string.
fn string(value: &[u8]) -> Option<String> {
    let item: Item = parser(value)?.parse().ok()?;
    match item.bare_item {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// A parser of a hint, unless it is too long to be one.
fn parser(value: &[u8]) -> Option<Parser<'_>> {
    (value.len() <= MAX_HINT_BYTES).then(|| Parser::new(value))
}
