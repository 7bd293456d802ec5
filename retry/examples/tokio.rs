//! Retrying on tokio, with a shared budget, a shared breaker and a cancellation.
//!
//! `cargo run -p retry --features tokio --example tokio`

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use retry::breaker::Breaker;
use retry::budget::Budget;
use retry::run::{Cancel, Retry};
use retry::{FailureKind, Policy};

#[derive(Debug)]
enum Error {
    Overloaded,
    NotFound,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// A service that is overloaded for its first calls.
async fn call(count: &AtomicU32, id: u32) -> Result<String, Error> {
    match (count.fetch_add(1, Ordering::Relaxed), id) {
        (_, 0) => Err(Error::NotFound),
        (0..4, _) => Err(Error::Overloaded),
        _ => Ok(format!("record {id}")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let policy = Arc::new(Policy::decorrelated(Duration::from_millis(20)).build()?);
    let breaker = Arc::new(Breaker::builder().consecutive_failures(10).build()?);
    let (budget, count, cancel) = (Arc::new(Budget::default()), Arc::new(AtomicU32::new(0)), Cancel::new());

    let calls: Vec<_> = (0..4)
        .map(|id| {
            let (policy, breaker, budget) = (Arc::clone(&policy), Arc::clone(&breaker), Arc::clone(&budget));
            let (count, cancel) = (Arc::clone(&count), cancel.clone());
            tokio::spawn(async move {
                Retry::new(&policy)
                    .budget(&budget)
                    .breaker(&breaker)
                    .cancel(&cancel)
                    .classify(|err: &Error| match err {
                        Error::Overloaded => FailureKind::Throttled,
                        Error::NotFound => FailureKind::Permanent,
                    })
                    .run_tokio(async |_| call(&count, id).await)
                    .await
            })
        })
        .collect();

    for call in calls {
        match call.await? {
            Ok(record) => println!("{record}"),
            Err(err) => println!("{err}; last: {:?}", err.last()),
        }
    }
    println!("{:?} after {} calls", budget, count.load(Ordering::Relaxed));
    Ok(())
}
