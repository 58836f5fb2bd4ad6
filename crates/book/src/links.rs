//! Links of Markdown pages to files, and to headings in them.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file is absent.
    NoFile,
    /// The file is there, and no heading in it has this name.
    NoHeading,
    /// A page of the book links to a file outside of the book, which a reader of the built book does not have.
    LeavesBook,
    /// A page of the book links to a README.md. mdBook builds it as index.html, and leaves the link as README.html
    /// (<https://github.com/rust-lang/mdBook/issues/984>).
    ReadmeInBook,
}

/// A link that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenLink {
    /// The page with the link.
    pub page: PathBuf,
    /// The line of the link, from 1.
    pub line: usize,
    /// The target as the page has it.
    pub target: String,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, line, target, fault } = self;
        let fault = match fault {
            Fault::NoFile => "there is no such file",
            Fault::NoHeading => "no heading there has this name",
            Fault::LeavesBook => "the built book does not have this file; name its path as code instead",
            Fault::ReadmeInBook => "mdBook builds README.md as index.html; call the page index.md",
        };
        write!(f, "{}:{line}: {target}: {fault}", page.display())
    }
}

/// The links of a page that lead nowhere. Links to other hosts are not followed. A page within `book` may link to files
/// within it only.
pub fn broken_links(page: &Path, book: &Path) -> io::Result<Vec<BrokenLink>> {
    let text = fs::read_to_string(page)?;
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut broken = Vec::new();
    for (line, target) in targets(&text) {
        let fault = match target.split_once('#').unwrap_or((target, "")) {
            ("", "") => None,
            ("", heading) => (!headings(&text).contains(heading)).then_some(Fault::NoHeading),
            (file, heading) => {
                // mdBook takes the links of its table of contents as they are.
                let in_book = page.starts_with(book) && !page.ends_with("SUMMARY.md");
                fault(&folder.join(file), heading, in_book.then_some(book))?
            }
        };
        broken.extend(fault.map(|fault| BrokenLink {
            page: page.into(),
            line,
            target: target.into(),
            fault,
        }));
    }
    Ok(broken)
}

/// What is wrong with a link to a heading of a file, or to the whole file where the heading's name is empty.
fn fault(file: &Path, heading: &str, book: Option<&Path>) -> io::Result<Option<Fault>> {
    let Ok(file) = file.canonicalize() else {
        return Ok(Some(Fault::NoFile));
    };
    if let Some(book) = book {
        if !file.starts_with(book.canonicalize()?) {
            return Ok(Some(Fault::LeavesBook));
        }
        if file.ends_with("README.md") {
            return Ok(Some(Fault::ReadmeInBook));
        }
    }
    if heading.is_empty() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file)?;
    Ok((!headings(&text).contains(heading)).then_some(Fault::NoHeading))
}

/// The targets of a page's links and images that are on this host, with their lines, code left out.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    for (line, text) in prose(text) {
        // Every second piece between backticks is code. A link's text may have code in it, its target not.
        for piece in text.split('`').step_by(2) {
            for after in piece.split("](").skip(1) {
                let target = after.split([')', ' ']).next().unwrap_or_default();
                if !target.contains("://") && !target.starts_with("mailto:") {
                    targets.push((line, target));
                }
            }
        }
    }
    targets
}

/// The names that a page's headings have in links, as GitHub and mdBook make them.
fn headings(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let kept = line.trim_start_matches('#').trim().chars().filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                _ => character.is_alphanumeric().then_some(character),
            });
            kept.collect::<String>().to_lowercase()
        })
        .collect()
}

/// The lines of a page with their numbers, from 1, without blocks of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        (!in_code && !is_fence).then_some((index + 1, line))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, Fault)> {
        let scratch = tempfile::tempdir().unwrap();
        let book = scratch.path().join("docs");
        fs::create_dir_all(book.join("guide")).unwrap();
        fs::write(scratch.path().join("LICENCE"), "").unwrap();
        fs::write(book.join("README.md"), "").unwrap();
        fs::write(
            book.join("data.md"),
            "# Data\n\n## What `clean` drops, and why\n\n```sh\n# no heading\n```\n",
        )
        .unwrap();
        let page = book.join("guide/first.md");
        fs::write(&page, text).unwrap();
        let broken = broken_links(&page, &book).unwrap();
        broken.into_iter().map(|link| (link.target, link.fault)).collect()
    }

    #[test]
    fn links_to_what_exists_are_whole() {
        let page = "# First run\n\nSee [data](../data.md), [cleaning](../data.md#what-clean-drops-and-why),\n\
                    [above](#first-run), [`code` in a text](../data.md), ![a plot](../data.md), \
                    [elsewhere](https://example.org/none).\n";
        assert_eq!(faults(page), []);
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(faults("`[a](none.md)`\n\n```text\n[b](none.md)\n```\n"), []);
    }

    #[test]
    fn a_broken_link_is_named() {
        let page = "# First run\n\n[gone](gone.md) and [data](../data.md#no-heading), [here](#nowhere), \
                    [out](../../LICENCE), [home](../README.md)\n";
        assert_eq!(
            faults(page),
            [
                ("gone.md".into(), Fault::NoFile),
                ("../data.md#no-heading".into(), Fault::NoHeading),
                ("#nowhere".into(), Fault::NoHeading),
                ("../../LICENCE".into(), Fault::LeavesBook),
                ("../README.md".into(), Fault::ReadmeInBook),
            ]
        );
    }

    #[test]
    fn the_line_is_that_of_the_link() {
        assert_eq!(targets("one\n\n[a](b.md) and [c](d.md)\n"), [(3, "b.md"), (3, "d.md")]);
    }
}
