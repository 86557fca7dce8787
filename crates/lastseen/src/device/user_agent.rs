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
            name = "iPadOS";
        }
    }
    let version = match name {
        "Windows" => windows_version(major, minor),
        _ if !names::has_telling_version(name) || is_frozen(name, major, text) => None,
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

/// Whether the version is a token that a browser sends whatever the version of the system is.
fn is_frozen(system: &str, major: Option<&str>, text: &str) -> bool {
    let contains = |tokens: &[&str]| tokens.iter().any(|token| text.contains(token));
    match system {
        // Safari and what is built on Chromium stopped at the first, Firefox at the others.
        "macOS" => contains(&["10_15_7", "Mac OS X 10.15;", "Mac OS X 10.15)"]),
        // What is built on Chromium calls every Android `Android 10; K`, Firefox without the K.
        "Android" => contains(&[
            "Android 10; K)",
            "Android 10; K;",
            "Android 10; Mobile;",
            "Android 10; Tablet;",
        ]),
        // Since version 26 the system calls itself 18.6 or 18.7, and so does every app that does
        // not write the user agent itself. Only an older version beside it proves that it is true.
        "iOS" | "iPadOS" => {
            let number = |text: &str| text.parse::<u32>().unwrap_or(0);
            let said = major.map_or(0, number);
            let safari = text.split_once("Version/").map_or(0, |(_, rest)| {
                number(rest.split(['.', ' ']).next().unwrap_or_default())
            });
            let proven = safari == 18 || contains(&["FBSV/18", "; iOS 18", "; iPadOS 18"]);
            let doubtful = said == 18 && contains(&["OS 18_6 ", "OS 18_7 "]) && !proven;
            doubtful || (said < 26 && safari >= 26)
        }
        _ => false,
    }
}
