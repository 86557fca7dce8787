//! `lastseen completions` and `lastseen man`: both come out of the description of the command line.

use std::io::Write as _;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Output;
use crate::failure::Failure;

/// Prints the completions for a shell.
pub(super) fn completions(
    shell: clap_complete::Shell,
    mut description: clap::Command,
) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut description, "lastseen", &mut script);
    let mut output = Output::new();
    output.bytes(&script)?;
    output.flush()
}

/// Prints the manual: one page for the program and all its commands.
pub(super) fn manual(mut description: clap::Command) -> Result<(), Failure> {
    description.build();
    let mut page = Vec::new();
    render(&description, &mut page).map_err(|error| Failure::output(&error))?;
    let mut output = Output::new();
    output.bytes(&page)?;
    output.flush()
}

fn render(description: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(description.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]);
    commands.to_writer(page)?;
    for command in description.get_subcommands() {
        render_command(command, "lastseen", page)?;
    }
    man.render_options_section(page)?;
    man.render_extra_section(page)?;
    man.render_version_section(page)
}

/// One command: its usage, what it does, and the arguments that are its own.
fn render_command(command: &clap::Command, above: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = format!("{above} {}", command.get_name());
    if command.get_name() == "help" {
        return Ok(());
    }
    if command.has_subcommands() {
        for below in command.get_subcommands() {
            render_command(below, &name, page)?;
        }
        return Ok(());
    }
    let mut usage = name.clone();
    let own = |argument: &&clap::Arg| {
        argument.get_help_heading().is_none()
            && !matches!(argument.get_id().as_str(), "help" | "version")
    };
    for argument in command.get_arguments().filter(own) {
        let shown = argument.to_string();
        // What clap shows in brackets of its own is optional or required already.
        let is_bare = shown.starts_with('-') && !argument.is_required_set();
        let (before, after) = if is_bare { (" [", "]") } else { (" ", "") };
        usage.extend([before, &shown, after]);
    }
    let mut text = Roff::new();
    text.control("TP", []);
    text.text([bold(usage)]);
    let about = command.get_long_about().or_else(|| command.get_about());
    text.text([roman(
        about
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace("\n\n", ". "),
    )]);
    for argument in command.get_arguments().filter(own) {
        if let Some(help) = argument.get_help() {
            text.control("br", []);
            text.text([bold(argument.to_string()), roman(format!(": {help}"))]);
        }
    }
    text.to_writer(page)?;
    page.flush()
}
