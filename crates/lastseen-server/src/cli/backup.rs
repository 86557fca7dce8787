//! `lastseen backup FILE`.

use std::path::Path;

use crate::config::Effective;
use crate::control::{self, Request};
use crate::failure::{Failure, plain};

pub(super) fn run(file: &Path, effective: &Effective) -> Result<(), Failure> {
    // The running server may have another working directory.
    let file = std::path::absolute(file)
        .map_err(|error| Failure::refused(format_args!("{}: {}", file.display(), plain(&error))))?;
    control::carry_out_and_say(effective, Request::Backup { file })
}
