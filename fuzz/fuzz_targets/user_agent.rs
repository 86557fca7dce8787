#![no_main]

libfuzzer_sys::fuzz_target!(
    init: lastseen_fuzz_checks::warm_up(),
    |data: &[u8]| lastseen_fuzz_checks::user_agent(data)
);
