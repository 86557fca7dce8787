//! Links between the project's Markdown files lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;

/// Fails with every link to a file or a heading that does not exist.
pub(crate) fn run() -> Result<()> {
    let root = process::root();
    let listed = process::output(std::process::Command::new("git").current_dir(&root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.md",
    ]))?;
    let mut broken = Vec::new();
    let mut count = 0;
    for name in listed.lines() {
        let file = root.join(name);
        // Deleted in the working tree, still in the index.
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        for target in targets(&text) {
            count += 1;
            if let Some(reason) = fault(&file, target)? {
                broken.push(format!("{name}: {target}: {reason}"));
            }
        }
    }
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n{}", broken.join("\n"));
    }
    println!("==> links in Markdown: {count}, all lead somewhere");
    Ok(())
}

/// The targets of `[text](target)` and `![text](target)`, outside code.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in prose(text) {
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push(rest[..end].split_whitespace().next().unwrap_or_default());
            rest = &rest[end..];
        }
    }
    found
}

/// The lines that are no fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// Why `target`, found in `file`, leads nowhere; nothing where it leads somewhere or elsewhere.
fn fault(file: &Path, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let destination = if path.is_empty() {
        file.to_path_buf()
    } else {
        file.parent()
            .map_or_else(PathBuf::new, Path::to_path_buf)
            .join(path)
    };
    if !destination.exists() {
        return Ok(Some("no such file"));
    }
    if anchor.is_empty()
        || destination
            .extension()
            .is_none_or(|extension| extension != "md")
    {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&destination)
        .with_context(|| format!("{} cannot be read", destination.display()))?;
    Ok((!anchors(&text).contains(anchor)).then_some("no such heading"))
}

/// The anchors that hosts of Markdown give to headings: lower case, spaces as hyphens, no other
/// punctuation; a repeated heading gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let anchor: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                _ if character.is_alphanumeric() => Some(character),
                _ => None,
            })
            .collect();
        let mut unique = anchor.clone();
        let mut number = 1;
        while !anchors.insert(unique) {
            unique = format!("{anchor}-{number}");
            number += 1;
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::{anchors, targets};

    #[test]
    fn a_link_in_prose_is_found_and_one_in_code_is_not() {
        let text = "see [one](a.md#b) and ![two](c.png \"title\")\n```\n[three](d.md)\n```\n";
        assert_eq!(targets(text), ["a.md#b", "c.png"]);
    }

    #[test]
    fn a_heading_becomes_its_anchor() {
        let found = anchors("# What's *here*\n## Twice\n## Twice\n");
        assert!(found.contains("whats-here"));
        assert!(found.contains("twice"));
        assert!(found.contains("twice-1"));
    }
}
