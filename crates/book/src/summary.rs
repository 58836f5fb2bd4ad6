//! The table of contents: SUMMARY.md, from which mdBook takes the pages of the book.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The pages below a book's folder that its SUMMARY.md does not link to, so that mdBook would leave them out, in order.
pub fn missing_pages(book: &Path) -> io::Result<Vec<PathBuf>> {
    let summary = fs::read_to_string(book.join("SUMMARY.md"))?;
    let mut missing = Vec::new();
    for page in pages(book)? {
        let name = page.strip_prefix(book).unwrap_or(&page);
        let link = name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
        if link != "SUMMARY.md" && !summary.contains(&format!("]({link})")) {
            missing.push(page);
        }
    }
    Ok(missing)
}

/// The Markdown files below a folder, in order of their names.
pub fn pages(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            found.extend(pages(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            found.push(entry);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a step that fails fails its test")]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_no_entry_links_to_is_missing() {
        let scratch = tempfile::tempdir().unwrap();
        let book = scratch.path();
        fs::create_dir(book.join("guide")).unwrap();
        for page in ["README.md", "guide/first.md", "guide/second.md", "guide/data.toml"] {
            fs::write(book.join(page), "").unwrap();
        }
        fs::write(
            book.join("SUMMARY.md"),
            "[Start](README.md)\n\n- [First](guide/first.md)\n- [To come]()\n",
        )
        .unwrap();
        assert_eq!(missing_pages(book).unwrap(), [book.join("guide/second.md")]);
    }
}
