//! What others wrote, and stands in the program: byte for byte as they published it.

use std::fs;
use std::path::{Path, PathBuf};

use capauth_tests::service::workspace;
use serde_json::Value;

fn modules() -> PathBuf {
    std::env::var_os("CAPAUTH_TEST_NODE_MODULES")
        .map_or_else(|| workspace().join("tests/js/node_modules"), PathBuf::from)
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        .unwrap()
}

/// npm checks what it installs against the integrity hash in the lock file; this is that very file.
#[test]
fn openpgp_js_is_the_one_that_the_lock_file_pins() {
    let lock = json(&workspace().join("tests/js/package-lock.json"));
    let pinned = &lock["packages"]["node_modules/openpgp"];
    assert!(pinned["integrity"].as_str().unwrap().starts_with("sha512-"));
    let package = modules().join("openpgp");
    assert_eq!(json(&package.join("package.json"))["version"], pinned["version"], "run `cargo xtask setup`");
    let ours = workspace().join("capauth-tower/pages/assets");
    for (own, theirs) in [("openpgp.mjs", "dist/openpgp.min.mjs"), ("openpgp.LICENSE.txt", "LICENSE")] {
        let (own, theirs) = (fs::read(ours.join(own)).unwrap(), fs::read(package.join(theirs)).unwrap());
        assert!(own == theirs, "not the published file");
    }
    // Its licence asks that it be named where it is passed on.
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let version = pinned["version"].as_str().unwrap();
    assert!(readme.contains("OpenPGP.js") && readme.contains("LGPL-3.0-or-later"));
    let chapter = fs::read_to_string(workspace().join("docs/pages.md")).unwrap();
    assert!(chapter.contains(&format!("OpenPGP.js {version}")), "docs/pages.md names another version");
}
