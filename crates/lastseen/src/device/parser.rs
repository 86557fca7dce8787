//! From a description to a device: what the user agent says and what the hints say, joined.

use std::sync::LazyLock;

use super::client::{ClientDescription, bounded_user_agent};
use super::hints::{self, HintedBrowser, HintedSystem};
use super::names;
use super::rules::Rules;
use super::user_agent::{self, Said};
use super::{Device, Product};

/// What names devices: some hundreds of patterns, compiled.
///
/// Building one takes tens of milliseconds and some megabytes, so a program has one:
/// [`DeviceParser::shared`].
///
/// ```
/// use lastseen::device::{ClientDescription, ClientHints, DeviceParser};
///
/// let client = ClientDescription {
///     user_agent: Some(b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
///         (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"),
///     hints: ClientHints {
///         platform: Some(br#""Windows""#),
///         platform_version: Some(br#""15.0.0""#),
///         ..ClientHints::default()
///     },
/// };
/// let device = DeviceParser::shared().parse(&client);
/// assert_eq!(device.label(), "Chrome 120 on Windows");
/// // The user agent cannot tell Windows 11 from Windows 10; the hint can.
/// let system = device.operating_system.expect("both name it");
/// assert_eq!(system.version.as_deref(), Some("11"));
/// ```
pub struct DeviceParser {
    rules: Rules,
}

impl DeviceParser {
    /// Compiles the rules.
    pub fn new() -> Self {
        Self {
            rules: Rules::compile(),
        }
    }

    /// The parser of this process, built at the first call. Calling it at start, on a thread that
    /// answers nobody, keeps that time off the first request.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<DeviceParser> = LazyLock::new(DeviceParser::new);
        &SHARED
    }

    /// Names the device of a client. Takes any bytes; what says nothing gives an unknown device.
    pub fn parse(&self, client: &ClientDescription<'_>) -> Device {
        let hints = &client.hints;
        let said = client
            .user_agent
            .map(bounded_user_agent)
            .map(|text| user_agent::read(&self.rules, &text))
            .unwrap_or_default();
        let hinted_browser = hints::browser(hints.brands, hints.full_version_list);
        let hinted_system = hints::system(hints.platform, hints.platform_version);
        Device {
            browser: join_browser(hinted_browser, &said),
            operating_system: join_system(hinted_system, said.system),
        }
    }
}

impl Default for DeviceParser {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for DeviceParser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DeviceParser")
            .finish_non_exhaustive()
    }
}

/// The browser: the hinted one, unless the hint names only the engine and the user agent what is
/// built on it.
fn join_browser(hinted: Option<HintedBrowser>, said: &Said) -> Option<Product> {
    let Some(HintedBrowser { brand, major }) = hinted else {
        return said.browser.clone();
    };
    if let Some(said_browser) = &said.browser {
        let leaves_the_name = said.is_chromium && brand.leaves_the_name_to(&said_browser.name);
        let lacks_only_the_version = major.is_none() && *said_browser.name == *brand.name();
        if leaves_the_name || lacks_only_the_version {
            return Some(said_browser.clone());
        }
    }
    Some(Product::new(brand.name(), major.as_deref()))
}

/// The system: the hinted one, unless it is only what the one in the user agent is built on.
fn join_system(hinted: Option<HintedSystem>, said: Option<Product>) -> Option<Product> {
    let Some(HintedSystem { name, version }) = hinted else {
        return said;
    };
    let hinted = Product::new(name, version.as_deref());
    let Some(said) = said else {
        return Some(hinted);
    };
    let same = *said.name == *name || (&*said.name == "iPadOS" && name == "iOS");
    if same {
        return Some(Product {
            version: hinted.version.or(said.version),
            name: said.name,
        });
    }
    if names::is_built_on(&said.name, name) {
        return Some(said);
    }
    Some(hinted)
}
