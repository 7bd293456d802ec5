//! `--report FILE`: the outcomes as JUnit XML, the format in which CI systems read test results.
//!
//! Each poll is a test case of the suite `poll`, named by its key: matched is a success, failed and timed out are failures,
//! a poll that was cancelled or that a signal left open is skipped. The file is opened before the first request, so that a
//! path that cannot be written is an error while it is cheap, and written when the run ends.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use poller::{Outcome, OutcomeKind, PollKey};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::render::{humanize, sanitize};

/// A report that is being collected.
#[derive(Debug)]
pub(super) struct JunitReport {
    path: PathBuf,
    file: File,
    suite: TestSuite,
}

impl JunitReport {
    /// A report without test cases in this file. What the file had is lost: a report of an earlier run must not pass for
    /// one of this run.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write --report {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, suite: TestSuite::new("poll") })
    }

    /// Adds a poll with an outcome; `excerpt` shows its last response.
    pub(super) fn add(&mut self, key: &PollKey, outcome: &Outcome, excerpt: &str) {
        let status = match &outcome.kind {
            OutcomeKind::Matched { .. } => TestCaseStatus::success(),
            OutcomeKind::Cancelled => skipped("cancelled"),
            _ => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let explanation = outcome.explanation().unwrap_or_default();
                let message = explanation.lines().next().unwrap_or_default();
                status.set_type(outcome.name());
                let attempts = humanize::count(outcome.attempts, "attempt");
                status.set_message(xml(&format!("{} after {attempts}: {message}", outcome.name())));
                status.set_description(xml(format!("{explanation}\n{excerpt}").trim_end()));
                status
            }
        };
        self.add_case(key, status, outcome.elapsed());
    }

    /// Adds a poll that stays open in its store.
    pub(super) fn add_open(&mut self, key: &PollKey) {
        self.add_case(key, skipped("stopped by a signal; the poll stays open"), Duration::ZERO);
    }

    fn add_case(&mut self, key: &PollKey, status: TestCaseStatus, time: Duration) {
        let mut case = TestCase::new(xml(key.key()), status);
        // CI systems group by the class.
        case.set_classname(if key.scope().is_empty() { "poll".to_owned() } else { xml(key.scope()) });
        case.set_time(time);
        self.suite.add_test_case(case);
    }

    pub(super) fn write(mut self, elapsed: Duration) -> anyhow::Result<()> {
        self.suite.set_time(elapsed);
        let mut report = Report::new("poll");
        report.set_time(elapsed);
        report.add_test_suite(self.suite);
        let text = report.to_string().context("cannot make the report of --report")?;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written.with_context(|| format!("cannot write --report {}", self.path.display()))
    }
}

/// The text without characters that XML 1.0 excludes: control characters, and the two that quick-junit lets through.
fn xml(text: &str) -> String {
    sanitize::block(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
