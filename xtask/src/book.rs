//! The documentation as a book.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Failure, Outcome, program, root};
use crate::setup;

/// Builds the book. A warning is a failure, and so is a link that leads nowhere.
pub(crate) fn build() -> Outcome {
    setup::for_book()?;
    eprintln!("\n==> the book");
    let book = root().join("target/book");
    // A page that is no longer made must not hide a link to it.
    if book.exists() {
        fs::remove_dir_all(&book).map_err(|e| at(&book, &e))?;
    }
    let mut mdbook = program("mdbook");
    let output = mdbook.args(["build", "docs", "--dest-dir"]).arg(&book).output();
    let output = output.map_err(|e| Failure::new(format!("mdbook: {e}")))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !output.status.success() || said.lines().any(is_warning) {
        return Err(Failure::new(format!("the book has warnings:\n{said}")));
    }
    let pages = pages(&book)?;
    let mut dead = Vec::new();
    for page in &pages {
        let html = fs::read_to_string(page).map_err(|e| at(page, &e))?;
        dead.extend(
            links(&html).filter(|link| !leads(page, link)).map(|link| format!("{}: {link}", page.display())),
        );
    }
    if !dead.is_empty() {
        return Err(Failure::new(format!("the book has dead links:\n  {}", dead.join("\n  "))));
    }
    eprintln!("    {} pages, {}", pages.len(), book.join("index.html").display());
    Ok(())
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

fn is_warning(line: &str) -> bool {
    ["WARN", "ERROR", "warning:", "error:"].iter().any(|word| line.contains(word))
}

fn pages(book: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(book).map_err(|e| at(book, &e))?;
    let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    // The page that prints everything repeats the others' links.
    let is_page = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "html")
            && path.file_stem().is_some_and(|stem| stem != "print" && stem != "404" && stem != "toc")
    };
    Ok(files.filter(is_page).collect())
}

/// What a page links to within the book.
fn links(html: &str) -> impl Iterator<Item = &str> {
    let targets = html.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(link, _)| link);
    targets.filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
}

/// Whether the file is there, and in a page the place that is meant.
fn leads(page: &Path, link: &str) -> bool {
    let (path, place) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.to_owned() } else { page.with_file_name(path) };
    let there = || fs::read_to_string(&target).is_ok_and(|html| html.contains(&format!("id=\"{place}\"")));
    target.is_file() && (place.is_empty() || there())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_within_the_book_are_found_and_followed() {
        let html = r##"<a href="a.html#b">x</a><a href="https://example.org/">y</a><a href="#c">z</a>"##;
        assert_eq!(links(html).collect::<Vec<_>>(), ["a.html#b", "#c"]);
        let folder = std::env::temp_dir().join(format!("xtask-book-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let page = folder.join("a.html");
        fs::write(&page, r#"<h1 id="b">"#).unwrap();
        assert!(leads(&page, "a.html#b") && leads(&page, "#b") && leads(&page, "a.html"));
        assert!(!leads(&page, "#c") && !leads(&page, "b.html"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn warnings_are_seen() {
        assert!(is_warning("2026-01-01 [WARN] (mdbook): x"));
        assert!(!is_warning("2026-01-01 [INFO] (mdbook::book): Book building has started"));
    }
}
