#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lastseen_fuzz_checks::durations(data));
