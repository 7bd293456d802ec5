//! Upgrades of a fleet without downtime: workers of two versions side by side, with real processes. There is no old binary to
//! run; a process with the variable below is one of the next version, whose format this one does not know.

use std::process::Stdio;
use std::sync::atomic::Ordering;

use rustix::process::Signal;
use tokio::process::Child;

use super::{Fleet, POLLS};
use crate::process::{command, run};
use crate::signals::send;

/// The oldest version that may use the next format.
const NEXT_FORMAT: &str = "POLLER_TEST_NEXT_FORMAT";

/// The format of this version.
const FORMAT: i32 = 3;

fn next_version(fleet: &Fleet, compatible: i32) -> Child {
    let mut worker = command(&fleet.arguments());
    worker.stdout(Stdio::null()).stderr(Stdio::null()).env(NEXT_FORMAT, compatible.to_string());
    worker.spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_replaced_one_by_one_and_both_versions_run_polls_meanwhile() {
    let Some(fleet) = Fleet::new("an upgrade without downtime").await else { return };
    let (mut first, mut second) = (fleet.worker(), fleet.worker());
    fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    fleet.wait_for_workers(2);
    fleet.submit().await;
    fleet.server.arrived(2 * POLLS).await;
    // The first new one migrates the tables while the old ones run.
    send(Signal::TERM, &first);
    first.wait().await.unwrap();
    let new = next_version(&fleet, FORMAT);
    fleet.wait("SELECT format, compatible FROM poll.meta", &format!("{}|{FORMAT}", FORMAT + 1));
    fleet.wait_for_workers(2);
    let process = |worker: &Child| worker.id().unwrap();
    let shares = |worker: &Child| {
        let sql = "SELECT count(*) FROM poll.shard s JOIN poll.worker w ON w.id = s.worker WHERE w.process =";
        fleet.postgres.query(&fleet.url, &format!("{sql} {}", process(worker))).parse::<u32>().unwrap()
    };
    assert!(shares(&second) > 1000 && shares(&new) > 1000, "{} and {}", shares(&second), shares(&new));
    let before = fleet.server.requests().len();
    fleet.server.arrived(before + 2 * POLLS).await;
    // An old one starts on the new format, and back: downgrade by the same rule.
    send(Signal::KILL, &second);
    second.wait().await.unwrap();
    fleet.wait_for_workers(1);
    let third = fleet.worker();
    fleet.wait_for_workers(2);
    assert!(shares(&third) > 1000);
    let list = run(&["list", "--store", &fleet.url, "--quiet"], "").await;
    assert_eq!(list.code, Some(0), "{list:?}");
    fleet.finish();
    let requests = fleet.postgres.query(&fleet.url, "SELECT min(requests) FROM poll.done");
    assert_ne!(requests, "0", "each was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_excluded_writes_nothing_more_and_says_why() {
    let Some(fleet) = Fleet::new("a version that is excluded").await else { return };
    let mut old = command(&fleet.arguments());
    let mut old = old.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    fleet.wait("SELECT count(to_regclass('poll.shard'))", "1");
    fleet.wait_for_workers(1);
    fleet.submit().await;
    fleet.server.arrived(2 * POLLS).await;
    let epoch = "SELECT epoch FROM poll.worker";
    let before: i64 = fleet.postgres.query(&fleet.url, epoch).parse().unwrap();
    let _new = next_version(&fleet, FORMAT + 1);
    fleet.wait("SELECT compatible FROM poll.meta", &(FORMAT + 1).to_string());
    let excluded = format!(
        "SELECT count(*) FROM poll.worker WHERE process = {} AND epoch = {before}",
        old.id().unwrap()
    );
    assert_eq!(fleet.postgres.query(&fleet.url, &excluded), "0", "its epoch went with the migration");
    let output = tokio::io::AsyncReadExt::read_to_string;
    let mut said = String::new();
    output(old.stderr.as_mut().unwrap(), &mut said).await.unwrap();
    assert_eq!(old.wait().await.unwrap().code(), Some(2), "{said}");
    assert!(said.contains("this version knows formats up to 3: use a newer version"), "{said}");
    run(&["list", "--store", &fleet.url, "--quiet"], "")
        .await
        .expect(2, "")
        .stderr_contains("use a newer version");
    // The new one has all its polls.
    fleet.done.store(true, Ordering::Relaxed);
    fleet.finish();
}
