//! What the user agent says: the rules' findings, less what they take for knowledge and is none.

use super::Product;
use super::names;
use super::rules::Rules;

/// What a user agent says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) system: Option<Product>,
    pub(super) browser: Option<Product>,
    /// Whether the browser is built on Chromium, by its own words.
    pub(super) is_chromium: bool,
}

/// Reads a user agent that has been bounded.
pub(super) fn read(rules: &Rules, text: &str) -> Said {
    if text.trim().is_empty() {
        return Said::default();
    }
    Said {
        system: system(rules, text),
        browser: browser(rules, text),
        is_chromium: text.contains("Chrome/") || text.contains("Chromium/"),
    }
}

/// The browser, app or program, with its major version.
fn browser(rules: &Rules, text: &str) -> Option<Product> {
    let found = rules.browsers.extract(text)?;
    let name = names::browser(&found.family)?;
    let major = match found.family.as_ref() {
        // These count the version of something else: the engine, the system.
        "Apple Mail" | "Android" => None,
        _ => found.major.and_then(names::major),
    };
    Some(Product::new(name, major.as_deref()))
}

/// The operating system, with its version where that is more than a frozen token.
fn system(rules: &Rules, text: &str) -> Option<Product> {
    let found = rules.systems.extract(text)?;
    let mut name = names::system(&found.os)?;
    let (major, minor) = (found.major.as_deref(), found.minor.as_deref());
    if name == "iOS" && text.contains("iPad") {
        // Apple calls it so since version 13.
        let before = major
            .and_then(|major| major.parse::<u32>().ok())
            .is_some_and(|major| major < 13);
        if !before {
            name = "iPadOS".into();
        }
    }
    let version = match name.as_ref() {
        "Windows" => windows_version(major, minor),
        _ if !names::has_telling_version(&name) || is_frozen(&name, major, minor, text) => None,
        _ => major.and_then(|major| names::version(major, minor)),
    };
    Some(Product::new(name, version.as_deref()))
}

/// The release of Windows, where the user agent tells it.
fn windows_version(major: Option<&str>, minor: Option<&str>) -> Option<String> {
    match major? {
        // Windows 11 says this too.
        "10" => None,
        named @ ("XP" | "Vista" | "ME" | "CE" | "RT" | "NT") => Some(named.to_owned()),
        "NT 4.0" => Some("NT".to_owned()),
        "RT 8" => Some("RT".to_owned()),
        "3.1" => Some("3.1".to_owned()),
        number => names::version(number, minor),
    }
}

/// Whether the version is a token that a browser sends whatever the system's version is.
fn is_frozen(system: &str, major: Option<&str>, minor: Option<&str>, text: &str) -> bool {
    match system {
        // Safari and Chrome stopped at the first, Firefox at the second.
        "macOS" => {
            text.contains("10_15_7")
                || text.contains("Mac OS X 10.15;")
                || text.contains("Mac OS X 10.15)")
        }
        // Chrome, and what is built on it, sends `Android 10; K`, Firefox `Android 10; Mobile`.
        "Android" => {
            major == Some("10")
                && [
                    "Android 10; K)",
                    "Android 10; K;",
                    "Android 10; Mobile;",
                    "Android 10; Tablet;",
                ]
                .iter()
                .any(|frozen| text.contains(frozen))
        }
        // From Safari 26 on the system reads 18.6 or 18.7. Without Safari's version beside it, such
        // a number may be either the system's own or that token.
        "iOS" | "iPadOS" => {
            major == Some("18")
                && minor
                    .and_then(|minor| minor.parse::<u32>().ok())
                    .is_some_and(|minor| minor >= 6)
                && !text.contains("Version/18")
        }
        _ => false,
    }
}
