//! What the tests and checks need on this machine, installed once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, Outcome, cargo, output_of, program, root, step, succeeds};

/// Everything that any chore needs.
pub(crate) fn for_everything() -> Outcome {
    for_tests()?;
    for_lint()?;
    for_deny()?;
    for_book()?;
    eprintln!("Ready.");
    Ok(())
}

/// What the suites need: a runner, gpg, a terminal, a browser, OpenPGP.js, the Python client.
pub(crate) fn for_tests() -> Outcome {
    if !succeeds(&mut cargo("nextest --version")) {
        install_tool("cargo-nextest", &["--no-default-features", "--features", "default-no-update"])?;
    }
    if !succeeds(program("gpg").arg("--version")) {
        apt(&["gnupg"])?;
    }
    // A terminal for the commands that ask, and something that shows their manual pages.
    for (tool, package) in [("script", "bsdutils"), ("groff", "groff-base")] {
        if !succeeds(program(tool).arg("--version")) {
            apt(&[package])?;
        }
    }
    // A shell that reads quotes differently, and a clock that a test can move.
    for (tool, package) in [("zsh", "zsh"), ("faketime", "faketime")] {
        if !succeeds(program(tool).arg("--version")) {
            apt(&[package])?;
        }
    }
    browser()?;
    node_modules()?;
    python_venv()
}

/// What the feature checks need: the system libraries of the OpenPGP backends that are not pure Rust.
pub(crate) fn for_lint() -> Outcome {
    let found = |library| succeeds(program("pkg-config").args(["--exists", library]));
    // Nettle's bindings are generated while they compile, which takes libclang; it has no pkg-config file.
    let clang = "ls /usr/lib*/libclang.so* /usr/lib*/llvm*/lib/libclang.so* 2>/dev/null | grep -q .";
    let clang = std::env::var_os("LIBCLANG_PATH").is_some() || succeeds(program("sh").args(["-c", clang]));
    if !(found("openssl") && found("nettle") && clang) {
        apt(&["pkg-config", "libssl-dev", "nettle-dev", "libclang-dev"])?;
    }
    Ok(())
}

/// What the check of the dependencies needs.
pub(crate) fn for_deny() -> Outcome {
    if succeeds(&mut cargo("deny --version")) { Ok(()) } else { install_tool("cargo-deny", &[]) }
}

/// What the book is built with.
pub(crate) fn for_book() -> Outcome {
    if succeeds(program("mdbook").arg("--version")) {
        return Ok(());
    }
    // Without its server and its search: neither is used here.
    install_tool("mdbook", &["--no-default-features"])
}

/// Where the suites look for what setup installed for them; without these variables, in the same places.
pub(crate) fn test_environment() -> [(&'static str, PathBuf); 2] {
    [("CAPAUTH_TEST_NODE_MODULES", node_modules_dir()), ("CAPAUTH_TEST_VENV", venv_dir())]
}

fn node_modules_dir() -> PathBuf {
    root().join("tests/js/node_modules")
}

fn venv_dir() -> PathBuf {
    root().join("target/venv")
}

/// A Chromium of any kind, as `tests/js/pages/harness.mjs` looks for it, and letters for its pictures.
fn browser() -> Outcome {
    let mut names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].into_iter();
    let given = std::env::var_os("CAPAUTH_TEST_CHROMIUM").is_some();
    if given || names.any(|name| succeeds(program(name).arg("--version"))) {
        return Ok(());
    }
    apt(&["chromium", "fonts-dejavu-core"])
}

/// Builds a tool unoptimised: it runs for seconds, so minutes of optimising never pay.
fn install_tool(name: &str, options: &[&str]) -> Outcome {
    step(
        &format!("installing {name} (some minutes, once)"),
        cargo("install --locked --debug").env("CARGO_PROFILE_DEV_DEBUG", "0").arg(name).args(options),
    )?;
    Ok(())
}

fn node_modules() -> Outcome {
    let folder = root().join("tests/js");
    let inputs = [read(&folder.join("package.json"))?, read(&folder.join("package-lock.json"))?].concat();
    if node_modules_dir().is_dir() && is_done("node-modules", &inputs) {
        return Ok(());
    }
    if !succeeds(program("npm").arg("--version")) {
        return Err(Failure::new("npm is missing: install Node.js 20 or later with npm"));
    }
    step("npm packages for the tests", program("npm").arg("ci").current_dir(&folder))?;
    done("node-modules", &inputs)
}

fn python_venv() -> Outcome {
    let requirements = root().join("tests/python/requirements.txt");
    let venv = venv_dir();
    // A venv holds absolute paths and a link to its interpreter, so both belong to what it is made of.
    let python = output_of(program("python3").arg("--version"))
        .ok_or_else(|| Failure::new("python3 is missing: install Python 3.11 or later"))?;
    let inputs = format!("{python}\n{}\n{}", venv.display(), read(&requirements)?);
    if venv.join("bin/python").exists() && is_done("python-venv", &inputs) {
        return Ok(());
    }
    if !succeeds(program("python3").args(["-c", "import ensurepip, venv"])) {
        apt(&["python3-venv"])?;
    }
    step(
        "a Python environment for the tests",
        program("python3").args(["-m", "venv", "--clear"]).arg(&venv),
    )?;
    let mut pip = program(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    step("Python packages for the tests", &mut pip)?;
    done("python-venv", &inputs)
}

/// Installs Debian packages, as root or through a sudo that does not ask.
fn apt(packages: &[&str]) -> Outcome {
    let by_hand =
        || Failure::new(format!("please install these packages, then start again: {}", packages.join(" ")));
    let as_root = output_of(program("id").arg("-u")).is_some_and(|id| id == "0");
    let apt_get = |args: &[&str]| -> Command {
        let mut command = if as_root { program("apt-get") } else { program("sudo") };
        if !as_root {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    if !succeeds(&mut apt_get(&["--version"])) {
        return Err(by_hand());
    }
    step("the list of Debian packages", &mut apt_get(&["update", "-qq"]))?;
    let mut install = apt_get(&["install", "-y", "-qq", "--no-install-recommends"]);
    step(&format!("Debian packages: {}", packages.join(" ")), install.args(packages))
        .map_err(|_| by_hand())?;
    Ok(())
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}

/// A stamp holds the very inputs that a step was done with, so any change to them does it again.
fn stamp(name: &str) -> PathBuf {
    root().join("target/xtask").join(name)
}

fn is_done(name: &str, inputs: &str) -> bool {
    fs::read_to_string(stamp(name)).is_ok_and(|found| found == inputs)
}

fn done(name: &str, inputs: &str) -> Outcome {
    let path = stamp(name);
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, inputs))
        .map_err(|e| Failure::new(format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_for_its_own_inputs_only() {
        let name = format!("test-{}", std::process::id());
        assert!(!is_done(&name, "a"));
        done(&name, "a").unwrap();
        assert!(is_done(&name, "a"));
        assert!(!is_done(&name, "b"));
        fs::remove_file(stamp(&name)).unwrap();
    }

    #[test]
    fn the_npm_lock_names_no_host() {
        let lock = read(&root().join("tests/js/package-lock.json")).unwrap();
        assert!(lock.contains("sha512-"));
        assert!(!lock.contains("http"), "a lock with addresses installs from one registry only");
    }
}
