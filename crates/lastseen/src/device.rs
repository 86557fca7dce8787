//! The device: operating system and browser, worked out from what a client says about itself.
//!
//! ```text
//! header bytes ── ClientDescription ── DeviceParser::parse ── Device ── "Chrome 120 on Linux"
//!                                          │
//!                   user_agent.rs (rules in data/) + hints.rs (Sec-CH-UA…), joined in parser.rs
//! ```
//!
//! Where client hints and user agent disagree, the hints count. What cannot be known is `None`,
//! never a guess. `docs/devices.md` says how a device is named and why.

mod client;
mod hints;
mod names;
mod parser;
mod rules;
mod user_agent;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

pub use client::{ClientDescription, ClientHints, MAX_USER_AGENT_BYTES, bounded_user_agent};
pub use parser::DeviceParser;

/// What a device of which nothing is known is called.
pub const UNKNOWN_DEVICE: &str = "Unknown device";

/// An operating system or a browser: its name and, where it can be known, its version.
///
/// What [`DeviceParser`] makes of a request is short and harmless by construction: the name is at
/// most 40 bytes of printable text, the version digits and dots (or one of the few names that
/// Windows has used for a version, such as `XP`). A store builds products from what it kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Product {
    /// What people call it: `Chrome`, `macOS`.
    pub name: Arc<str>,
    /// The version, as far as it is known and worth showing: `120`, `17.4`.
    pub version: Option<Arc<str>>,
}

impl Product {
    /// A product of this name and version.
    pub fn new(name: impl Into<Arc<str>>, version: Option<&str>) -> Self {
        Self {
            name: name.into(),
            version: version.map(Arc::from),
        }
    }
}

/// Operating system and browser of one client, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Device {
    /// The operating system, or `None` where nothing says which.
    pub operating_system: Option<Product>,
    /// The browser, app or program, or `None` where nothing says which.
    pub browser: Option<Product>,
}

impl Device {
    /// The description combining browser and operating system: `Chrome 120 on Linux`.
    ///
    /// The browser comes with its version, the system without: a browser's version is known almost
    /// always, a system's seldom (browsers froze what they say of it), and one device would read
    /// differently from one browser to the next. The version of the system stands in
    /// [`Device::operating_system`].
    pub fn label(&self) -> String {
        self.to_string()
    }

    /// The pieces of [`Device::label`], to be read one after the other; some may be empty.
    pub fn label_pieces(&self) -> [&str; 5] {
        let system = self.operating_system.as_ref().map(|system| &*system.name);
        match (&self.browser, system) {
            (Some(browser), system) => {
                let version = browser.version.as_deref();
                [
                    &browser.name,
                    if version.is_some() { " " } else { "" },
                    version.unwrap_or_default(),
                    if system.is_some() { " on " } else { "" },
                    system.unwrap_or_default(),
                ]
            }
            (None, Some(system)) => [system, "", "", "", ""],
            (None, None) => [UNKNOWN_DEVICE, "", "", "", ""],
        }
    }

    /// Whether neither the system nor the browser is known.
    pub fn is_unknown(&self) -> bool {
        self.operating_system.is_none() && self.browser.is_none()
    }
}

impl Display for Device {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.label_pieces()
            .iter()
            .try_for_each(|piece| formatter.write_str(piece))
    }
}
