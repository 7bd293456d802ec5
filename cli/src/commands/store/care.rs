//! `poll backup`, `poll compact`, `poll verify` and `poll reseal`: copying, shrinking and checking a file, and changing its key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use poller::{Resealed, SEAL_KEY_VARIABLE, SealKey};
use serde::Serialize;
use serde_json::json;

use super::super::output;
use super::{Opening, on_file, plain, quoted};
use crate::args::{BackupArgs, CompactArgs, ResealArgs, VerifyArgs};
use crate::exit::Exit;
use crate::render::terminal::{Terminal, eprint_line};
use crate::render::{humanize, sanitize};

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

pub(in super::super) fn backup(args: &BackupArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    struct Line<'a> {
        copy: &'a str,
        bytes: u64,
    }
    let file = args.whole.file.path.file("pg_dump copies it, also while it is in use")?;
    on_file(file, Opening::Reading, async |store| {
        store.backup(&args.copy).await.map_err(plain)?;
        if args.whole.json {
            let (copy, bytes) = (args.copy.to_string_lossy(), size(&args.copy));
            output::json(&Line { copy: &copy, bytes }, terminal)?;
        } else {
            eprint_line(format_args!("{} is complete and on the disk", quoted(args.copy.display())));
        }
        Ok(Exit::Success)
    })
}

pub(in super::super) fn compact(args: &CompactArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        bytes_before: u64,
        bytes: u64,
    }
    let path = args.whole.file.path.file("VACUUM FULL does this to its tables")?;
    let bytes_before = size(path);
    let exit = on_file(path, Opening::MustExist, async |store| {
        store.compact().await.map_err(plain)?;
        Ok(Exit::Success)
    })?;
    let bytes = size(path);
    if args.whole.json {
        output::json(&Line { bytes_before, bytes }, terminal)?;
    } else {
        eprint_line(format_args!(
            "{}: {} before, {} now",
            quoted(path.display()),
            humanize::bytes(bytes_before),
            humanize::bytes(bytes)
        ));
    }
    Ok(exit)
}

pub(in super::super) fn verify(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let path = args.whole.file.path.file("pg_amcheck checks it")?;
    on_file(path, Opening::Reading, async |store| {
        let damage = store.verify().await.map_err(plain)?;
        let exit = if damage.is_empty() { Exit::Success } else { Exit::Negative };
        if args.whole.json {
            // Named `damage`, since `problems` are those of a command that could not run.
            output::json(&json!({"damage": damage}), terminal)?;
            return Ok(exit);
        }
        for problem in &damage {
            output::text(&sanitize::line(problem))?;
        }
        let file = quoted(&args.whole.file.path);
        match exit {
            Exit::Success => eprint_line(format_args!("{file}: no damage found")),
            _ => eprint_line(format_args!(
                "{file} is damaged: restore a backup, or save what is readable with `sqlite3 FILE .recover`"
            )),
        }
        Ok(exit)
    })
}

pub(in super::super) fn reseal(args: &ResealArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        key: &'a str,
        resealed: usize,
        kept: usize,
        broken: usize,
        other_keys: &'a BTreeMap<String, usize>,
    }
    let Some(key) = SealKey::from_env()? else {
        anyhow::bail!("there is no key to seal with; set {SEAL_KEY_VARIABLE}");
    };
    let file = args.whole.file.path.file("it keeps no sealed secrets")?;
    on_file(file, Opening::MustExist, async |store| {
        let resealed = store.reseal().await.map_err(plain)?;
        if args.whole.json {
            let Resealed { changed: resealed, kept, broken, ref other_keys, .. } = resealed;
            output::json(&Line { key: key.id(), resealed, kept, broken, other_keys }, terminal)?;
        } else {
            output::text(&describe(&resealed, key.id()))?;
        }
        let is_complete = resealed.broken == 0 && resealed.other_keys.is_empty();
        Ok(if is_complete { Exit::Success } else { Exit::Negative })
    })
}

/// `12 polls sealed anew with the key 1a2b3c4d, 3 polls had it already; 1 poll is sealed with the key 5e6f7a8b, which is not there`
fn describe(resealed: &Resealed, key: &str) -> String {
    let mut line = format!(
        "{} sealed anew with the key {key}, {} had it already",
        humanize::count(resealed.changed, "poll"),
        humanize::count(resealed.kept, "poll")
    );
    for (id, polls) in &resealed.other_keys {
        let (are, id) = (are(*polls), sanitize::excerpt(id, 20));
        let _ = write!(line, "; {are} sealed with the key {id}, which is not there");
    }
    if resealed.broken > 0 {
        let are = are(resealed.broken);
        let _ = write!(line, "; {are} sealed and cannot be opened: damaged, or sealed for another poll");
    }
    line
}

/// `1 poll is`, `2 polls are`
fn are(polls: usize) -> String {
    format!("{} {}", humanize::count(polls, "poll"), if polls == 1 { "is" } else { "are" })
}
