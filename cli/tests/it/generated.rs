//! The completions and man pages in the repository are the ones that the program generates.
//!
//! `UPDATE_GENERATED=1 cargo test -p cli --test it -- generated` writes them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::process::run;

const COMPLETIONS: [(&str, &str); 3] = [("bash", "poll.bash"), ("zsh", "_poll"), ("fish", "poll.fish")];

fn committed(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Compares the files that were made with those of the repository, or writes them there.
fn hold_to(folder: &str, made: &BTreeMap<String, String>) {
    let folder = committed(folder);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for name in files(&folder).keys().filter(|name| !made.contains_key(*name)) {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, text) in made {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let present = files(&folder);
    assert_eq!(made.keys().collect::<Vec<_>>(), present.keys().collect::<Vec<_>>());
    for (name, text) in made {
        assert!(present[name] == *text, "{name} is not up to date; UPDATE_GENERATED=1 writes it anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_up_to_date() {
    let mut made = BTreeMap::new();
    for (shell, name) in COMPLETIONS {
        let ended = run(&["completions", shell], "").await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{shell}");
        assert!(ended.stdout.contains("fail-fast"), "{shell} completes options");
        made.insert(name.to_owned(), ended.stdout);
    }
    hold_to("completions", &made);
}

#[tokio::test(flavor = "multi_thread")]
async fn man_pages_are_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("man1");
    run(&["man", made.to_str().unwrap()], "").await.expect(0, "");
    let made = files(&made);
    assert!(made.contains_key("poll.1") && made.contains_key("poll-wait.1"), "{:?}", made.keys());
    assert!(made["poll-wait.1"].contains(".SH \"EXIT CODES\""), "{}", made["poll-wait.1"]);
    hold_to("man", &made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_an_error() {
    run(&["man", "/dev/null/man1"], "")
        .await
        .expect(2, "")
        .stderr_contains("cannot make the folder /dev/null/man1");
    run(&["completions", "tcsh"], "").await.expect(2, "").stderr_contains("invalid value 'tcsh'");
}
