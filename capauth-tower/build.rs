//! Puts what pages load into the program: as it is and compressed, once, under a name that changes with any of it.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

const ASSETS: &str = "pages/assets";
const WORDS: &str = "pages/words/en.json";

/// Whose words are said by the server alone: no script loads them.
const SERVERS_WORDS: &[&str] = &["form.", "logout."];

/// Pages that have words of their own, in a file of their own: who signs in does not load them.
const OWN_WORDS: &[(&str, &str)] = &[("admin.", "words.admin.en.js"), ("me.", "words.me.en.js")];

/// The one file that is not written here, as its makers published it: any other byte stops the build.
const OPENPGP: &str = "openpgp.mjs";
const OPENPGP_SHA256: &str = "7d3285efa6dfedbb34a136d8b5ad21c28fb973269df0b2818dcb74dfb40b59d9";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={ASSETS}");
    println!("cargo::rerun-if-changed={WORDS}");

    let mut files = Vec::new();
    for entry in fs::read_dir(ASSETS)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file's name is no text")?;
        let bytes = fs::read(&path)?;
        let bytes = if name == OPENPGP || name.ends_with(".txt") { bytes } else { without_comments(&bytes)? };
        files.push((name.to_owned(), bytes));
    }
    files.extend(words()?);
    files.sort();

    let openpgp = files.iter().find(|(name, _)| name == OPENPGP).ok_or("OpenPGP.js is missing")?;
    if hex::encode(Sha256::digest(&openpgp.1)) != OPENPGP_SHA256 {
        return Err(format!("{ASSETS}/{OPENPGP} is not the file that was looked at").into());
    }

    let mut whole = Sha256::new();
    for (name, bytes) in &files {
        whole.update(Sha256::digest(name));
        whole.update(Sha256::digest(bytes));
    }
    let version = hex::encode(whole.finalize()).chars().take(16).collect::<String>();

    let mut list = String::new();
    for (name, bytes) in &files {
        let (plain, gzip) = (out.join(name), out.join(format!("{name}.gz")));
        fs::write(&plain, bytes)?;
        fs::write(&gzip, compressed(bytes)?)?;
        let kind = kind(Path::new(name))?;
        write!(
            list,
            "Asset {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({plain:?}), gzip: include_bytes!({gzip:?}) }}, "
        )?;
    }
    fs::write(
        out.join("assets.rs"),
        format!("pub(super) const VERSION: &str = {version:?};\nstatic ASSETS: &[Asset] = &[{list}];\n"),
    )?;
    Ok(())
}

/// Scripts take words as modules, which are cached for good: those of every page, and those of one page each.
fn words() -> Result<Vec<(String, Vec<u8>)>> {
    let mut common: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(WORDS)?)?;
    common.retain(|name, _| !SERVERS_WORDS.iter().any(|prefix| name.starts_with(prefix)));
    let mut files = Vec::new();
    for (prefix, file) in OWN_WORDS {
        let (own, others) = common.into_iter().partition(|(name, _)| name.starts_with(*prefix));
        common = others;
        files.push(words_module(file, &own)?);
    }
    files.push(words_module("words.en.js", &common)?);
    Ok(files)
}

fn words_module(file: &str, words: &BTreeMap<String, String>) -> Result<(String, Vec<u8>)> {
    let text = serde_json::to_string(words)?;
    Ok((file.to_owned(), format!("export default {text};\n").into_bytes()))
}

/// What people read the sources for is a third of what browsers would load. A comment is one that has its lines to itself:
/// no other can be told from text without reading the language.
fn without_comments(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut kept = String::with_capacity(bytes.len());
    let mut is_comment = false;
    for line in std::str::from_utf8(bytes)?.lines() {
        let text = line.trim();
        is_comment |= text.starts_with("/*");
        if !is_comment && !text.is_empty() && !text.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
        is_comment &= !text.ends_with("*/");
    }
    if is_comment {
        return Err("a comment that stands alone has to end at the end of a line".into());
    }
    Ok(kept.into_bytes())
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn kind(name: &Path) -> Result<&'static str> {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("js" | "mjs") => Ok("text/javascript; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        Some("txt") => Ok("text/plain; charset=utf-8"),
        _ => Err(format!("{}: what is it?", name.display()).into()),
    }
}
