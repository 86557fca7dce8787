//! Devices by what their clients say of themselves: each worked out once, and shared.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::cache::unknown_device;
use crate::device::{ClientDescription, Device, DeviceParser};

/// Descriptions remembered at most. Visitors choose them, so the number is bounded: a few thousand cover
/// the browsers of the world, and the memory is a few hundred kilobytes.
const REMEMBERED_DESCRIPTIONS: usize = 4096;

#[derive(Default)]
pub(super) struct Devices {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_fingerprint: HashMap<u64, Arc<Device>>,
    /// One copy of each device, for all the sessions that have it.
    shared: HashMap<Device, Arc<Device>>,
}

impl Devices {
    /// The device that describes itself so.
    pub(super) fn resolve(&self, client: &ClientDescription<'_>, fingerprint: u64) -> Arc<Device> {
        if fingerprint == 0 {
            return unknown_device();
        }
        if let Some(device) = self.known.lock().by_fingerprint.get(&fingerprint) {
            return Arc::clone(device);
        }
        let device = DeviceParser::shared().parse(client);
        let mut known = self.known.lock();
        if known.by_fingerprint.len() >= REMEMBERED_DESCRIPTIONS {
            // All at once: simple, and the next few requests fill it with what is in use.
            known.by_fingerprint.clear();
            known.shared.clear();
        }
        let device = Arc::clone(
            known
                .shared
                .entry(device)
                .or_insert_with_key(|device| Arc::new(device.clone())),
        );
        known
            .by_fingerprint
            .insert(fingerprint, Arc::clone(&device));
        device
    }
}

/// What a description is recognised by; 0 where the client says nothing.
pub(super) fn fingerprint_of(client: &ClientDescription<'_>) -> u64 {
    if client.is_empty() {
        0
    } else {
        client.fingerprint().max(1)
    }
}
