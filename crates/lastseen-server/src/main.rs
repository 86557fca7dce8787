//! The binary `lastseen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lastseen_server::cli::run(std::env::args_os())
}
