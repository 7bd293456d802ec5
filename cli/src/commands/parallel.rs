//! Processes the lines of a file on all cores and returns the results in input order.
//!
//! ```text
//!            ┌─► worker 0 ─┐
//!  reader ───┼─► worker 1 ─┼──► sink (the caller's thread)
//!            └─► worker … ─┘
//! ```
//!
//! The reader hands chunks to the workers round-robin and the sink collects results in the same rotation, so they
//! arrive in order without sorting. Every queue is bounded, so memory does not grow with the input and a slow sink
//! blocks the reader. The sink is notified when no result is ready: it flushes before waiting, so that interactive input is
//! answered line by line while files are written in large blocks.
//!
//! When the sink stops early, the threads are not joined: the reader may block forever in a read, as with `tail -f`.
//! They end when their queues close or with the process.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TryRecvError, sync_channel};
use std::thread;

use anyhow::Context as _;

use crate::input;
use crate::input::lines::{CHUNK, Chunk, Chunks};

/// The capacity of each worker's queue of chunks and of its queue of results.
const QUEUE: usize = 2;

/// The lines to process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    pub(super) path: &'a Path,
    /// What they are, for a person at a terminal.
    pub(super) what: &'static str,
    /// The most bytes of a line.
    pub(super) max_line: usize,
    /// The bytes of a read.
    pub(super) chunk: usize,
}

impl<'a> Lines<'a> {
    /// Events, of at most `max_line` bytes each.
    pub(super) fn events(path: &'a Path, max_line: usize) -> Self {
        Self { path, what: "events", max_line, chunk: CHUNK }
    }
}

/// What the sink receives.
pub(super) enum Event<T> {
    /// The result of the next chunk.
    Result(T),
    /// No result is ready; buffered output should be flushed.
    Idle,
}

/// Passes lines to one worker per core, and their results to `sink` until it breaks.
///
/// # Errors
/// Errors of the sink; errors of reading, after the results of everything read before.
pub(super) fn run<T, W>(
    lines: Lines<'_>,
    worker: impl Fn() -> W,
    mut sink: impl FnMut(Event<T>) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()>
where
    T: Send + 'static,
    W: FnMut(Chunk) -> T + Send + 'static,
{
    let Lines { path, what, max_line, chunk } = lines;
    let chunks = Chunks::new(input::open(path, what)?, max_line, chunk);
    let count = thread::available_parallelism().map_or(1, usize::from);
    let mut queues = Vec::with_capacity(count);
    let mut results = Vec::with_capacity(count);
    for _ in 0..count {
        let (queue, chunks) = sync_channel::<Chunk>(QUEUE);
        let (sender, receiver) = sync_channel(QUEUE);
        let mut work = worker();
        spawn("worker", move || {
            // `send` fails when the sink has stopped.
            chunks.iter().try_for_each(|chunk| sender.send(work(chunk)).ok())
        })?;
        queues.push(queue);
        results.push(receiver);
    }
    let reader = spawn("reader", move || distribute(chunks, &queues))?;

    let mut collected: u64 = 0;
    for results in results.iter().cycle() {
        let result = match results.try_recv() {
            Err(TryRecvError::Empty) => {
                if sink(Event::Idle)?.is_break() {
                    return Ok(());
                }
                results.recv().ok()
            }
            ready => ready.ok(),
        };
        // Chunks are distributed in this rotation, so the first closed queue marks the end of all.
        let Some(result) = result else { break };
        collected += 1;
        if sink(Event::Result(result))?.is_break() {
            return Ok(());
        }
    }
    let end = reader.join().ok().filter(|(distributed, _)| *distributed == collected);
    let (_, result) =
        end.with_context(|| format!("a thread that reads {what} has stopped; this is a defect of poll"))?;
    result.with_context(|| format!("cannot read {}", input::name(path)))
}

/// Returns the number of chunks, and how reading ended.
fn distribute(mut chunks: Chunks<impl Read>, queues: &[SyncSender<Chunk>]) -> (u64, io::Result<()>) {
    let mut distributed = 0;
    for queue in queues.iter().cycle() {
        let chunk = match chunks.next_chunk() {
            Ok(chunk) => chunk,
            Err(error) => return (distributed, Err(error)),
        };
        if chunk.is_none_or(|chunk| queue.send(chunk).is_err()) {
            break;
        }
        distributed += 1;
    }
    (distributed, Ok(()))
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")
}
