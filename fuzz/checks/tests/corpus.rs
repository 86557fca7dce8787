//! Everything under `fuzz/corpus` once more, without a fuzzer.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps says that it must not fail"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lastseen_fuzz_checks::CHECKS;

fn fuzz_folder() -> PathBuf {
    let checks = Path::new(env!("CARGO_MANIFEST_DIR"));
    checks.parent().unwrap().to_path_buf()
}

fn names_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(fuzz_folder().join(folder))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn what_was_collected_holds() {
    for (name, check) in CHECKS {
        let folder = fuzz_folder().join("corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            println!("{}", path.display());
            check(&input);
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}

#[test]
fn every_check_has_a_target_and_a_corpus() {
    let checks: BTreeSet<String> = CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(checks, names_in("fuzz_targets"));
    assert_eq!(checks, names_in("corpus"));
}

/// What nobody has collected yet: each byte alone, and long runs of it.
#[test]
fn a_byte_alone_and_a_byte_ten_thousand_times_hold() {
    for (_, check) in CHECKS {
        check(b"");
        for byte in 0..=u8::MAX {
            check(&[byte]);
        }
        for byte in [
            0, b' ', b'"', b'(', b',', b'/', b';', b'=', b'a', b'9', 0xff,
        ] {
            check(&vec![byte; 10_000]);
        }
    }
}
