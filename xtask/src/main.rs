//! The chores of this project, `cargo xtask CHORE`.
//!
//! | chore | does |
//! | --- | --- |
//! | `test` | runs every test, after installing what the tests need |
//! | `check` | format, lints, documentation, licences: what needs no test |
//! | `package` | makes the Debian package |
//! | `fuzz` | gives every fuzz target some time |
//! | `bench` | measures Lastseen beside what people would use instead |
//! | `instructions` | counts what the verbs take, and compares it with what was recorded |
//! | `update-device-data` | fetches the current rules by which a user agent is read |
//!
//! `.ci/run` is `check` and then `test`; nothing is checked there that cannot be checked here.

mod bench;
mod check;
mod device_data;
mod fuzz;
mod instructions;
mod links;
mod machine;
mod package;
mod process;
mod test;
mod tool;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every test: Rust, documentation examples, the real binary, the page in a real browser.
    ///
    /// What the tests need and this machine lacks is installed where that is possible (as root,
    /// with apt); otherwise it is named, and nothing runs.
    Test(test::Arguments),
    /// Check everything that needs no test: format, lints, documentation and its links, licences.
    Check,
    /// Make the Debian package of the program, its unit, manual and completions.
    Package(package::Arguments),
    /// Feed every fuzz target with random input for a while.
    Fuzz(fuzz::Arguments),
    /// Measure Lastseen over HTTP beside a floor and what people would use instead.
    Bench(bench::Arguments),
    /// Count the instructions of the verbs, and fail where one takes 5 % more than was recorded.
    Instructions(instructions::Arguments),
    /// Fetch the current rules by which a user agent is read, and test the names they give.
    UpdateDeviceData(device_data::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Check => check::run(),
        Chore::Package(arguments) => package::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Instructions(arguments) => instructions::run(&arguments),
        Chore::UpdateDeviceData(arguments) => device_data::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
