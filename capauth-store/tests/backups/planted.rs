//! What somebody plants in the folder of the database, or of a backup, for another who works there: root, not least.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::fingerprint;
use crate::place::{LATER, Place, enroll, mode};

/// The user of the service, where root runs the tests.
const SERVICE: u32 = 65_534;

/// The URL that [`as_the_service`] opens.
const OPENED: &str = "CAPAUTH_STORE_TEST_OPENED";

fn may_give_files_away(place: &Place) -> bool {
    owner(place.folder.path()) == 0
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

/// A place in a folder of the service's, if root runs the tests.
fn of_the_service() -> Place {
    let place = Place::new();
    if may_give_files_away(&place) {
        chown(place.folder.path(), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    place
}

/// A file of somebody else's, that others may read.
fn victim() -> (tempfile::TempDir, PathBuf) {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("passwd");
    fs::write(&file, "root:x:0:0").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    (elsewhere, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_root_restores_through_a_planted_link() {
    let place = of_the_service();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    enroll(&stores, 2).await;
    drop(stores);
    place.settled().await;
    let before = fs::read(place.file("keys.db")).unwrap();
    // To where there is nothing yet, such as a job of root's.
    let elsewhere = tempfile::tempdir().unwrap();
    let planted = place.file(&format!("keys.db.replaced-{}", LATER.as_unix()));
    symlink(elsewhere.path().join("cron.d"), &planted).unwrap();
    let kept = place.restore("a").await.kept.unwrap();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "root wrote where the link leads");
    assert!(kept != planted && !fs::symlink_metadata(&kept).unwrap().is_symlink());
    assert_eq!((fs::read(&kept).unwrap(), mode(&kept)), (before, 0o600));
    // Its twin: without the link it has that name. A second one in the same second takes nothing from it.
    fs::remove_file(&planted).unwrap();
    assert_eq!(place.restore("a").await.kept.unwrap(), planted);
    let first = fs::read(&planted).unwrap();
    assert_ne!(place.restore("a").await.kept.unwrap(), planted);
    assert!(first == fs::read(&planted).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_link_in_the_services_folder_leads_root_to_another_file() {
    for name in ["keys.db.lock", "keys.db"] {
        let place = of_the_service();
        let (_elsewhere, file) = victim();
        let before = (owner(&file), mode(&file));
        // What it leads to is let pass as a database, so that the look before all else does not save us.
        fs::write(&file, "").unwrap();
        symlink(&file, place.file(name)).unwrap();
        let error = capauth_store::open(&place.url(), Some(place.key.clone())).await.unwrap_err().to_string();
        assert!(error.contains("is a link"), "{name}: {error}");
        assert_eq!(
            (owner(&file), mode(&file), fs::read(&file).unwrap()),
            (before.0, before.1, vec![]),
            "{name}"
        );
        // Its twin: the file itself may lie there, and is taken from everybody else.
        fs::remove_file(place.file(name)).unwrap();
        fs::write(place.file(name), "").unwrap();
        fs::set_permissions(place.file(name), Permissions::from_mode(0o644)).unwrap();
        place.open().await;
        assert_eq!(mode(&place.file(name)), 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_second_name_or_a_pipe_in_the_services_folder() {
    let place = of_the_service();
    let pipe = place.file("keys.db.lock");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // It neither waits for whoever writes to the pipe nor takes it for the lock.
    let error = capauth_store::open(&place.url(), Some(place.key.clone())).await.unwrap_err().to_string();
    assert!(error.contains("no plain file"), "{error}");
    fs::remove_file(&pipe).unwrap();
    if may_give_files_away(&Place::new()) {
        let (_elsewhere, file) = victim();
        fs::hard_link(&file, &pipe).unwrap();
        let error = capauth_store::open(&place.url(), Some(place.key.clone())).await.unwrap_err().to_string();
        assert!(error.contains("second name"), "{error}");
        assert_eq!((owner(&file), mode(&file)), (0, 0o644));
        fs::remove_file(&pipe).unwrap();
    }
    place.open().await;
}

/// What [`attack_root_keeps_the_service_from_starting`] runs as the service's user; nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn as_the_service() {
    let Ok(url) = std::env::var(OPENED) else { return };
    assert_ne!(owner(&std::env::current_exe().unwrap()), 0, "this is not root");
    let stores = capauth_store::open(&url, None).await.unwrap();
    enroll(&stores, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_root_keeps_the_service_from_starting() {
    let place = of_the_service();
    if !may_give_files_away(&Place::new()) {
        return;
    }
    // Root is here before the service ever was, makes everything, and stays.
    let stores = capauth_store::open(&place.url(), None).await.unwrap();
    enroll(&stores, 1).await;
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!((owner(&path), mode(&path)), (SERVICE, 0o600), "{}", path.display());
    }
    // And left a seat behind that the service cannot open.
    let left_over = place.file("keys.db.0123456789abcdef.open");
    fs::write(&left_over, "").unwrap();
    fs::set_permissions(&left_over, Permissions::from_mode(0o600)).unwrap();
    let program = place.file("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    chown(&program, Some(SERVICE), Some(SERVICE)).unwrap();
    let service = Command::new(&program)
        .args(["--exact", "planted::as_the_service", "--nocapture"])
        .env(OPENED, place.url())
        .current_dir(place.folder.path())
        .uid(SERVICE)
        .gid(SERVICE)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&service.stdout).into_owned();
    assert!(service.status.success() && said.contains("1 passed"), "{said}{service:?}");
    assert!(stores.keys.find(&fingerprint(2)).await.unwrap().is_some(), "what the service did");
    assert!(left_over.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_restore_that_is_killed_loses_the_old_databases_log() {
    let place = Place::new();
    let stores = place.open().await;
    enroll(&stores, 1).await;
    place.backup("a").await;
    drop(stores);
    place.settled().await;
    // Killed with the second key in its log.
    let stores = place.open().await;
    enroll(&stores, 2).await;
    let killed = ["keys.db", "keys.db-wal"].map(|name| (name, fs::read(place.file(name)).unwrap()));
    assert!(killed[1].1.len() > 32);
    drop(stores);
    place.settled().await;
    for (name, bytes) in killed {
        fs::write(place.file(name), bytes).unwrap();
    }
    // SQLite does not follow a link to a log, and so cannot write what lies in it into the database.
    for (name, log) in [("keys.db-wal", "aside"), ("keys.db-journal", "keys.db-wal")] {
        let (name, log) = (place.file(name), place.file(log));
        if !log.exists() {
            fs::rename(&name, &log).unwrap();
        }
        symlink(&log, &name).unwrap();
        let error = place.refusal("a", true).await;
        assert!(error.contains("Nothing was changed"), "{error}");
        fs::remove_file(&name).unwrap();
        if log.ends_with("aside") {
            fs::rename(&log, &name).unwrap();
        }
    }
    // Its twin: what SQLite can write is in the database that is kept.
    let kept = place.try_restore("a", true).await.unwrap().kept.unwrap();
    let mut kept = place.connect(kept.file_name().unwrap().to_str().unwrap()).await;
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM keys").fetch_one(&mut kept).await.unwrap();
    assert_eq!(keys, 2);
}
