//! Instruction counts, which do not vary with the neighbours: what they say about a change is true on any machine.
//!
//! Each operation of `crates/lastseen/benches/instructions.rs` runs under callgrind. What it takes is compared with
//! `bench/instructions.json`; more than 5 % up fails, unless the same commit records the new count and says why.
//!
//! Two counts are kept. `total` is all instructions. `own` leaves out the compression function of SHA-256: callgrind
//! knows no processor with instructions for it, so that a fiftieth of the real time would be most of the count, and would
//! hide everything else.
//!
//! A count holds for a compiler and a kind of processor, which stand beside it. Valgrind shows every program the same
//! processor, one with AVX2 and without instructions for SHA or AVX-512, as long as the machine's own has what that one
//! has. Where it has not, libraries take other paths, and nothing is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process;

/// How often the bench does each operation.
const TIMES: u64 = 1_000;

/// Growth that fails, in percent.
const TOLERANCE: u64 = 5;

/// Below so many instructions one more is already more than the tolerance.
const NEGLIGIBLE: u64 = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write the counts down instead of comparing them.
    #[arg(long)]
    record: bool,
}

/// Instructions of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    own: u64,
    total: u64,
}

/// What was counted, and where.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    compiler: String,
    processor: String,
    counts: BTreeMap<String, Count>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !process::succeeds("valgrind", &["--version"]) {
        bail!("valgrind counts the instructions: apt-get install --no-install-recommends valgrind");
    }
    let file = process::root().join("bench/instructions.json");
    if arguments.record {
        let now = count()?;
        write(&file, &now)?;
        println!("recorded in {}", file.display());
        return Ok(());
    }
    compare_with(&file)
}

/// Compares what the verbs take now with what was recorded: for the tests.
pub(crate) fn compare_with_recorded() -> Result<()> {
    run(&Arguments { record: false })
}

fn compare_with(file: &Path) -> Result<()> {
    let recorded = read(file)?;
    let processor = processor();
    if recorded.processor != processor {
        println!(
            "\n==> instructions are not counted: this is {processor}, what was recorded holds for {}",
            recorded.processor
        );
        return Ok(());
    }
    let now = count()?;
    let compared = compare(&recorded.counts, &now.counts);
    if recorded.compiler == now.compiler {
        return compared;
    }
    compared.with_context(|| {
        format!(
            "recorded with {}, counted with {}",
            recorded.compiler, now.compiler
        )
    })
}

fn count() -> Result<Record> {
    let program = build()?;
    Ok(Record {
        compiler: process::output(Command::new("rustc").arg("--version"))?
            .trim()
            .to_owned(),
        processor: processor(),
        counts: count_all(&program)?,
    })
}

/// The kind of processor that valgrind shows a program here, as far as libraries go by it.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
    {
        return "x86_64 with AVX2".to_owned();
    }
    std::env::consts::ARCH.to_owned()
}

/// Builds the bench as a release is built, and says where it is.
fn build() -> Result<PathBuf> {
    println!("\n==> build the operations to be counted");
    let messages = process::output(
        process::cargo()
            .args(["bench", "--package", "lastseen", "--bench", "instructions"])
            .args(["--no-run", "--locked", "--message-format", "json"])
            .stderr(Stdio::inherit()),
    )?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "instructions")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo does not say where the bench is")
}

fn count_all(program: &Path) -> Result<BTreeMap<String, Count>> {
    let names = process::output(&mut Command::new(program))?;
    // As many at a time as there are processors; the counts do not mind.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let names: Vec<&str> = names.lines().collect();
    let mut counts = BTreeMap::new();
    println!("\n==> count {} operations", names.len());
    for some in names.chunks(workers) {
        let counted: Vec<Result<Count>> = std::thread::scope(|scope| {
            let counting: Vec<_> = some
                .iter()
                .map(|name| scope.spawn(|| count_one(program, name)))
                .collect();
            counting
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| bail!("a count was broken off"))
                })
                .collect()
        });
        for (name, count) in some.iter().zip(counted) {
            counts.insert(
                (*name).to_owned(),
                count.with_context(|| (*name).to_owned())?,
            );
        }
    }
    Ok(counts)
}

/// Counts one operation.
fn count_one(program: &Path, name: &str) -> Result<Count> {
    let profile = program.with_file_name(format!("callgrind.{name}"));
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*instructions*measured*",
        ])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .arg(name)
        .output()
        .context("valgrind cannot be started")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(&profile)
        .with_context(|| format!("{} cannot be read", profile.display()))?;
    let count = read_profile(&text)?;
    std::fs::remove_file(&profile)?;
    if count.total == 0 {
        bail!("nothing was counted: has `measured` been renamed, or inlined?");
    }
    Ok(Count {
        own: count.own / TIMES,
        total: count.total / TIMES,
    })
}

/// Adds up the costs of a profile as callgrind writes it (valgrind manual, "Callgrind Format Specification").
fn read_profile(text: &str) -> Result<Count> {
    let mut names: BTreeMap<String, bool> = BTreeMap::new();
    let mut count = Count::default();
    let mut is_hash = false;
    let mut skip = false;
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            // The name stands behind the number the first time only.
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number.to_owned(), name.contains("sha2::"));
            }
            is_hash = names.get(number).copied().unwrap_or_default();
        } else if let Some(function) = line.strip_prefix("cfn=") {
            if let Some((number, name)) = function.split_once(' ') {
                names.insert(number.to_owned(), name.contains("sha2::"));
            }
        } else if line.starts_with("calls=") {
            // The next line is what the called function took, which is counted where it stands itself.
            skip = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if std::mem::take(&mut skip) {
                continue;
            }
            let cost = line.split_ascii_whitespace().nth(1).unwrap_or("0");
            let cost: u64 = cost
                .parse()
                .with_context(|| format!("a line of the profile cannot be read: {line}"))?;
            count.total += cost;
            if !is_hash {
                count.own += cost;
            }
        }
    }
    Ok(count)
}

fn read(file: &Path) -> Result<Record> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let record: Value = serde_json::from_str(&text)?;
    let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
    let counts = record["counts"]
        .as_object()
        .with_context(|| format!("{} has no counts", file.display()))?;
    let counts = counts.iter().map(|(name, count)| {
        let number = |field: &str| count[field].as_u64().unwrap_or_default();
        let count = Count {
            own: number("own"),
            total: number("total"),
        };
        (name.clone(), count)
    });
    Ok(Record {
        compiler: text("compiler"),
        processor: text("processor"),
        counts: counts.collect(),
    })
}

fn write(file: &Path, record: &Record) -> Result<()> {
    let counts: Vec<String> = record
        .counts
        .iter()
        .map(|(name, Count { own, total })| {
            let count = json!({"own": own, "total": total});
            format!("    {}: {count}", json!(name))
        })
        .collect();
    let text = format!(
        "{{\n  \"compiler\": {},\n  \"processor\": {},\n  \"counts\": {{\n{}\n  }}\n}}\n",
        json!(record.compiler),
        json!(record.processor),
        counts.join(",\n")
    );
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// Prints both, and fails where something has grown.
fn compare(recorded: &BTreeMap<String, Count>, counted: &BTreeMap<String, Count>) -> Result<()> {
    let mut grown = Vec::new();
    println!(
        "{:24} {:>10} {:>10} {:>8}",
        "instructions", "recorded", "now", "%"
    );
    for (name, now) in counted {
        let Some(before) = recorded.get(name) else {
            grown.push(format!("{name} is not recorded"));
            continue;
        };
        let percent = percent(before.own, now.own);
        println!(
            "{name:24} {:>10} {:>10} {percent:>+8.1}",
            before.own, now.own
        );
        let allowed = before.own + (before.own * TOLERANCE / 100).max(NEGLIGIBLE);
        if now.own > allowed {
            grown.push(format!(
                "{name} takes {} instructions, {} were recorded",
                now.own, before.own
            ));
        }
    }
    for name in recorded.keys().filter(|name| !counted.contains_key(*name)) {
        grown.push(format!("{name} is recorded, and counted no more"));
    }
    if grown.is_empty() {
        return Ok(());
    }
    bail!(
        "{}. Where that has a good reason, `cargo xtask instructions --record` writes the new counts down, and the \
         commit says why",
        grown.join("; ")
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for showing; the comparison is in whole numbers"
)]
fn percent(before: u64, now: u64) -> f64 {
    if before == 0 {
        return 0.0;
    }
    (now as f64 / before as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_added_up_once_and_the_hash_is_told_apart() {
        let profile = "version: 1\nevents: Ir\n\nfn=(1) lastseen::validate\n16 100\n+3 20\ncfn=(2) sha2::compress\n\
                       calls=5 0\n20 5000\n* 1\n\nfn=(2)\n7 5000\n\ntotals: 5121\n";
        assert_eq!(
            read_profile(profile).unwrap(),
            Count {
                own: 121,
                total: 5121
            }
        );
    }

    #[test]
    fn five_percent_more_pass_and_six_do_not() {
        let of = |own| BTreeMap::from([("touch".to_owned(), Count { own, total: own })]);
        assert!(compare(&of(1000), &of(1050)).is_ok());
        assert!(compare(&of(1000), &of(1060)).is_err());
        assert!(compare(&of(1000), &of(100)).is_ok());
        assert!(
            compare(&of(10), &of(25)).is_ok(),
            "a handful more is no growth"
        );
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let folder = std::env::temp_dir().join(format!("instructions-{}", std::process::id()));
        let record = Record {
            compiler: "rustc 1.95.0".to_owned(),
            processor: "x86_64 with AVX2".to_owned(),
            counts: BTreeMap::from([("touch".to_owned(), Count { own: 1, total: 2 })]),
        };
        write(&folder, &record).unwrap();
        let read_back = read(&folder);
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(read_back.unwrap(), record);
    }

    #[test]
    fn what_is_counted_and_what_is_recorded_have_the_same_names() {
        let of = |name: &str| BTreeMap::from([(name.to_owned(), Count::default())]);
        assert!(compare(&of("touch"), &of("list")).is_err());
    }
}
