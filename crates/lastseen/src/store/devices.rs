//! A device as stores keep it: one text, and back, without a new device for every row. Stable.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::device::{Device, Product};

/// How many devices are kept at hand: among real visitors a few hundred make up nearly all sessions.
const SLOTS: usize = 4096;

/// Devices that were met lately, by their text. Sessions of equal devices share one.
///
/// Each text has one slot and the last one there stays, so it is bounded whatever visitors send.
#[derive(Debug)]
pub struct Devices {
    slots: Box<[Mutex<Option<Known>>]>,
    hasher: RandomState,
}

/// Text that [`text_of`] never wrote: what a store holds is damaged.
#[derive(Debug, thiserror::Error)]
#[error("a device cannot be read: {0}")]
pub struct NotADevice(#[from] serde_json::Error);

#[derive(Debug)]
struct Known {
    text: Box<str>,
    device: Arc<Device>,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl Devices {
    /// The device that [`text_of`] wrote as `text`.
    ///
    /// # Errors
    /// [`NotADevice`] where it never did.
    pub fn device_of(&self, text: &str) -> Result<Arc<Device>, NotADevice> {
        // The remainder is smaller than the number of slots, which fits any integer.
        let place = self.hasher.hash_one(text) % SLOTS as u64;
        let slot = usize::try_from(place)
            .ok()
            .and_then(|place| self.slots.get(place));
        let Some(slot) = slot else {
            return parse(text).map(Arc::new);
        };
        let mut slot = slot.lock();
        if let Some(known) = &*slot
            && *known.text == *text
        {
            return Ok(Arc::clone(&known.device));
        }
        let device = Arc::new(parse(text)?);
        *slot = Some(Known {
            text: text.into(),
            device: Arc::clone(&device),
        });
        Ok(device)
    }
}

/// System, its version, browser, its version, as a JSON array: an operator can read it, and two devices have
/// the same text only if they are the same.
pub fn text_of(device: &Device) -> String {
    fn parts(product: Option<&Product>) -> [Option<&str>; 2] {
        product.map_or([None, None], |product| {
            [Some(&product.name), product.version.as_deref()]
        })
    }
    let [system, system_version] = parts(device.operating_system.as_ref());
    let [browser, browser_version] = parts(device.browser.as_ref());
    let parts = [system, system_version, browser, browser_version];
    serde_json::to_string(&parts).unwrap_or_default() // Text that goes into text cannot fail.
}

fn parse(text: &str) -> Result<Device, NotADevice> {
    let product = |name: Option<String>, version: Option<String>| {
        name.map(|name| Product::new(name, version.as_deref()))
    };
    let [system, system_version, browser, browser_version]: [Option<String>; 4] =
        serde_json::from_str(text)?;
    Ok(Device {
        operating_system: product(system, system_version),
        browser: product(browser, browser_version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(
        system: Option<(&str, Option<&str>)>,
        browser: Option<(&str, Option<&str>)>,
    ) -> Device {
        let product = |(name, version): (&str, Option<&str>)| Product::new(name, version);
        Device {
            operating_system: system.map(product),
            browser: browser.map(product),
        }
    }

    #[test]
    fn a_device_survives_its_text() {
        let devices = Devices::default();
        for known in [
            device(None, None),
            device(Some(("Linux", None)), Some(("Chrome", Some("120")))),
            device(Some(("Windows", Some("11"))), None),
            device(None, Some(("\"quoted\"\u{202e}\0", Some("")))),
        ] {
            let text = text_of(&known);
            assert_eq!(*devices.device_of(&text).unwrap(), known);
            assert_eq!(
                *devices.device_of(&text).unwrap(),
                known,
                "the second time too"
            );
        }
    }

    #[test]
    fn equal_devices_are_one_in_memory() {
        let devices = Devices::default();
        let text = text_of(&device(
            Some(("Linux", None)),
            Some(("Chrome", Some("120"))),
        ));
        assert!(Arc::ptr_eq(
            &devices.device_of(&text).unwrap(),
            &devices.device_of(&text).unwrap()
        ));
    }

    #[test]
    fn more_devices_than_slots_are_all_read_right() {
        let devices = Devices::default();
        for round in 0..2 {
            for version in 0..2 * SLOTS {
                let known = device(None, Some(("Chrome", Some(&version.to_string()))));
                assert_eq!(
                    *devices.device_of(&text_of(&known)).unwrap(),
                    known,
                    "round {round}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_is_no_device_is_damage() {
        assert!(matches!(
            Devices::default().device_of("[null]"),
            Err(NotADevice(_))
        ));
    }
}
