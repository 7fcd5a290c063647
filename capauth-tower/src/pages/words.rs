//! Every word that a page says, from one file: `pages/words/en.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use capauth_protocol::Refusal;

static WORDS: LazyLock<BTreeMap<&'static str, &'static str>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../pages/words/en.json")).unwrap_or_default());

/// What stands under this name; the name itself, should there be nothing (a test sees to it that there is).
pub(super) fn say(name: &'static str) -> &'static str {
    WORDS.get(name).copied().unwrap_or(name)
}

/// The same, with a value in the place of `{…}`. It is text: whoever puts it into markup escapes it.
pub(super) fn say_with(name: &'static str, value: &str) -> String {
    match say(name).split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
        Some((before, after)) => format!("{before}{value}{after}"),
        None => say(name).to_owned(),
    }
}

/// Words for one of the protocol's errors that say what to do next, the same as the script's; its own where there are none.
pub(super) fn say_refusal(refusal: &Refusal) -> &str {
    WORDS.get(&*format!("error.{}", refusal.code)).copied().unwrap_or(&refusal.description)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every `say("…")` and `say_with("…"` in our sources.
    fn said(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let own = files
            .filter(|path| path.file_name().is_some_and(|name| name != "words.rs" && name != "openpgp.mjs"));
        let text: String =
            own.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
        let calls = ["say(", "say_with("].into_iter().flat_map(|call| text.split(call).skip(1));
        calls
            .filter_map(|rest| {
                let rest = rest.trim_start();
                let quote = rest.chars().next().filter(|first| *first == '"')?;
                rest.get(1..)?.split(quote).next().map(str::to_owned)
            })
            .collect()
    }

    #[test]
    fn what_is_said_is_there_and_what_is_there_is_said() {
        let said: BTreeSet<_> = said("src/pages").union(&said("pages/assets")).cloned().collect();
        let there: BTreeSet<_> = WORDS.keys().map(|name| (*name).to_owned()).collect();
        let missing: Vec<_> = said.difference(&there).collect();
        assert!(missing.is_empty(), "not in en.json: {missing:?}");
        // Those after the dot are chosen by what happened: see words.js.
        let chosen = |name: &&String| name.starts_with("error.") || name.starts_with("claim.");
        let spare: Vec<_> = there.difference(&said).filter(|name| !chosen(name)).collect();
        assert!(spare.is_empty(), "nobody says: {spare:?}");
    }

    /// Words of a page's own are loaded by that page alone, and the server's by none (see build.rs).
    #[test]
    fn scripts_say_what_their_page_loads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/assets");
        let mut misplaced = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !file.ends_with(".js") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let owner = |name: &str| match name.split('.').next() {
                Some("admin") => file.starts_with("admin"),
                Some("me") => file == "me.js" || file.starts_with("me_"),
                Some("form" | "logout") => false,
                _ => true,
            };
            let spoken = WORDS.keys().filter(|name| text.contains(&format!("\"{name}\"")));
            misplaced.extend(spoken.filter(|name| !owner(name)).map(|name| format!("{name} in {file}")));
        }
        assert!(misplaced.is_empty(), "not loaded where they are said: {misplaced:?}");
    }

    #[test]
    fn values_take_the_place_of_braces() {
        assert_eq!(say_with("login.title", "<b>"), "Sign in to <b>");
        assert_eq!(say("nothing.of.this.name"), "nothing.of.this.name");
    }
}
