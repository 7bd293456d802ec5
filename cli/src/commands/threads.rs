//! Events on all cores, answers in the order of the events.
//!
//! ```text
//!            ┌─► worker 0 ─┐
//!  reader ───┼─► worker 1 ─┼──► sink (the caller's thread)
//!            └─► worker … ─┘
//! ```
//!
//! Chunks of lines are dealt out in turn, and the answers are collected in the same turn, which is their order; nothing has
//! to be sorted. Every queue holds a few chunks only, so memory does not grow with the input, and a slow sink stops the
//! reader. The sink is told when no answer is ready, so that it can write out what it has before it waits: somebody who
//! types events sees each answered at once, and a file is written in large pieces.
//!
//! The threads are not waited for when the sink has had enough: the reader may be stuck in a read that never ends, as of
//! `tail -f`. They end when their queues do, or with the process.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use anyhow::Context as _;

use crate::input;
use crate::input::lines::{Chunk, Chunks};

/// How many chunks wait for a worker, and how many of its answers to be collected.
const QUEUE: usize = 2;

/// What the sink is given.
pub(super) enum Event<T> {
    /// The answer to the next chunk.
    Answer(T),
    /// No answer is ready; what has been held back may be wanted.
    Idle,
}

/// Gives the lines of a file to workers, one a core, and their answers to `sink`, until that breaks off.
///
/// # Errors
/// Those of the sink, and of reading, after everything before has been answered.
pub(super) fn run<T, W>(
    path: &Path,
    worker: impl Fn() -> W,
    mut sink: impl FnMut(Event<T>) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()>
where
    T: Send + 'static,
    W: FnMut(&Chunk) -> T + Send + 'static,
{
    let source = input::open(path)?;
    let count = thread::available_parallelism().map_or(1, usize::from);
    let mut queues = Vec::with_capacity(count);
    let mut answers = Vec::with_capacity(count);
    for _ in 0..count {
        let (queue, chunks) = sync_channel(QUEUE);
        let (results, answer) = sync_channel(QUEUE);
        let work = worker();
        spawn("worker", move || answer_all(&chunks, &results, work))?;
        queues.push(queue);
        answers.push(answer);
    }
    let reader = spawn("reader", move || deal_out(source, &queues))?;

    let mut collected: u64 = 0;
    for answers in answers.iter().cycle() {
        let answer = match answers.try_recv() {
            Err(TryRecvError::Empty) => {
                if sink(Event::Idle)?.is_break() {
                    return Ok(());
                }
                answers.recv().ok()
            }
            ready => ready.ok(),
        };
        // The first queue to end has no more chunks before it: they were dealt out in this order.
        let Some(answer) = answer else { break };
        collected += 1;
        if sink(Event::Answer(answer))?.is_break() {
            return Ok(());
        }
    }
    let ended = reader.join().ok().filter(|ended| ended.dealt_out == collected);
    let ended = ended.context("a thread that matches events has stopped; this is a defect of poll")?;
    ended.result.with_context(|| format!("cannot read {}", input::name(path)))
}

/// How reading ended.
struct Ended {
    dealt_out: u64,
    result: std::io::Result<()>,
}

fn deal_out(source: impl Read, queues: &[SyncSender<Chunk>]) -> Ended {
    let mut chunks = Chunks::new(source);
    let mut dealt_out = 0;
    for queue in queues.iter().cycle() {
        match chunks.next_chunk() {
            Ok(Some(chunk)) => {
                if queue.send(chunk).is_err() {
                    break;
                }
                dealt_out += 1;
            }
            Ok(None) => break,
            Err(error) => return Ended { dealt_out, result: Err(error) },
        }
    }
    Ended { dealt_out, result: Ok(()) }
}

fn answer_all<T>(chunks: &Receiver<Chunk>, answers: &SyncSender<T>, mut work: impl FnMut(&Chunk) -> T) {
    while let Ok(chunk) = chunks.recv() {
        if answers.send(work(&chunk)).is_err() {
            return;
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")
}
