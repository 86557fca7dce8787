//! The binary `lastseen`.

use std::process::ExitCode;

/// A request allocates some thirty times; see `docs/dependencies.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    lastseen_server::cli::run(std::env::args_os())
}
