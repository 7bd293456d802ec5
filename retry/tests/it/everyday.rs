//! The eight everyday tasks, and names that a glob import must not shadow.
//!
//! The same tasks with backon stand beside them; both are compiled and run, and a test compares the lengths.

use std::time::Duration;

use retry::*; // shadows no crate

use crate::virtual_clock::VirtualClock;

async fn fetch() -> anyhow::Result<String> {
    Ok("hello".to_owned())
}

fn read() -> anyhow::Result<String> {
    Ok("hello".to_owned())
}

/// Task by task the lines of `with_backon`.
#[rustfmt::skip] // one task, one line
async fn with_retry() -> anyhow::Result<()> {
    let second = Duration::from_secs(1);
    let policy = Policy::default();
    // tasks
    fetch.retry(&policy).await?;
    read.retry(&policy).call()?;
    fetch.retry(&policy).when(|e| e.to_string() == "EOF").await?;
    fetch.retry(&policy).notify(|r| println!("{r}")).await?;
    let policy = Policy::exponential(second, 2.0).max_delay(60 * second).max_attempts(5).build()?;
    let constant = Policy::fixed(second).max_attempts(10).build()?;
    fetch.retry(&policy).within(10 * second).await?;
    fetch.retry(&constant).when(|e| e.downcast_ref().copied().unwrap_or(Failure::transient())).await?;
    // done
    Ok(())
}

mod rival {
    //! The same with backon, whose extension trait has the same method.

    use std::time::Duration;

    use backon::{BlockingRetryable as _, ConstantBuilder, ExponentialBuilder, Retryable as _};

    use super::{fetch, read};

    /// An error that says when to try again.
    #[derive(Debug)]
    struct After(Duration);

    impl std::fmt::Display for After {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "again after {:?}", self.0)
        }
    }

    #[rustfmt::skip] // one task, one line
    pub(super) async fn with_backon() -> anyhow::Result<()> {
        let second = Duration::from_secs(1);
        // tasks
        fetch.retry(ExponentialBuilder::default()).await?;
        read.retry(ExponentialBuilder::default()).call()?;
        fetch.retry(ExponentialBuilder::default()).when(|e| e.to_string() == "EOF").await?;
        fetch.retry(ExponentialBuilder::default()).notify(|e, d| println!("{e}, again in {d:?}")).await?;
        let policy = ExponentialBuilder::default().with_min_delay(second).with_max_delay(60 * second).with_max_times(4);
        let constant = ConstantBuilder::default().with_delay(second).with_max_times(9).with_jitter();
        fetch.retry(ExponentialBuilder::default().with_total_delay(Some(10 * second))).await?;
        fetch.retry(ExponentialBuilder::default()).adjust(|e, d| e.downcast_ref::<After>().map(|a| a.0).or(d)).await?;
        // done
        let _ = (policy, constant);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn both_crates_do_the_everyday_tasks() {
    with_retry().await.unwrap();
    rival::with_backon().await.unwrap();
}

#[test]
fn no_everyday_line_is_longer_than_backons() {
    let tasks = |function: &str| -> Vec<&'static str> {
        let text = include_str!("everyday.rs").split_once(&format!("fn {function}()")).unwrap().1;
        let (tasks, _) = text.split_once("// tasks").unwrap().1.split_once("// done").unwrap();
        tasks.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    };
    let (ours, rivals) = (tasks("with_retry"), tasks("with_backon"));
    assert_eq!((ours.len(), rivals.len()), (8, 8));
    for (line, rival) in ours.iter().zip(rivals) {
        assert!(line.len() <= rival.len(), "{line}\n{rival}");
    }
}

/// One closure type for threads and futures; the compiler finds which.
#[test]
fn a_blocking_call_uses_the_given_clock() {
    let (clock, policy) = (VirtualClock::default(), Policy::default());
    let result = (|| Err::<(), _>("down")).retry(&policy).seed(1).call_with(&clock);
    assert_eq!((result, clock.waits().len()), (Err("down"), 4));
}

/// `anyhow::Error`, boxed errors and any other error convert with `?`, with their cause.
#[test]
fn every_error_converts_with_the_question_mark() {
    type BoxError = Box<dyn std::error::Error + Send + Sync>;
    fn quick() -> Policy {
        Policy::fixed(Duration::from_nanos(1)).max_attempts(2).build().unwrap()
    }
    fn from_anyhow() -> anyhow::Result<u32> {
        Ok(blocking::retry(&quick(), || -> anyhow::Result<u32> { anyhow::bail!("a") })?)
    }
    fn from_boxed() -> Result<u32, BoxError> {
        Ok(blocking::retry(&quick(), || Err::<u32, BoxError>("b".into()))?)
    }
    fn from_typed() -> anyhow::Result<u32> {
        Ok(blocking::retry(&quick(), || "c".parse())?)
    }
    fn from_boxed_to_anyhow() -> anyhow::Result<u32> {
        Ok(blocking::retry(&quick(), || Err::<u32, BoxError>("d".into()))?)
    }
    assert_eq!(from_anyhow().unwrap_err().root_cause().to_string(), "a");
    assert_eq!(from_boxed().unwrap_err().source().unwrap().to_string(), "b");
    assert_eq!(from_typed().unwrap_err().root_cause().to_string(), "invalid digit found in string");
    assert_eq!(from_boxed_to_anyhow().unwrap_err().root_cause().to_string(), "d");
    let own = blocking::retry(&quick(), || "c".parse::<u32>()).unwrap_err().into_result();
    assert!(matches!(own, Ok(error) if error == "x".parse::<u32>().unwrap_err()));
}
