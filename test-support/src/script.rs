//! Which reply each request gets.
//!
//! Replies are chosen by path, and per path by how many requests came before: the last one of a list is repeated, so a
//! script is never exhausted. Paths are compared without the query, as a person would write them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::log::Received;
use crate::reply::Reply;

type Rule = Box<dyn FnMut(usize, &Received) -> Reply + Send>;

/// The replies of a server.
///
/// ```
/// use test_support::{Reply, Script};
///
/// let by_path = Script::new().on("/a", [Reply::new(500), Reply::text("ok")]);
/// let by_rule = Script::from_fn(|index, request| match request.method.as_str() {
///     "GET" if index < 3 => Reply::new(503),
///     _ => Reply::json("{}"),
/// });
/// let always = Script::from(Reply::new(204));
/// # drop((by_path, by_rule, always));
/// ```
pub struct Script {
    paths: HashMap<String, Vec<Reply>>,
    otherwise: Rule,
}

impl Script {
    /// A script that answers 404 to everything.
    #[must_use]
    pub fn new() -> Self {
        Self::from_fn(|_, _| Reply::new(404))
    }

    /// A script that asks `rule`, with the index of the request among all that the server got, from 0.
    #[must_use]
    pub fn from_fn(rule: impl FnMut(usize, &Received) -> Reply + Send + 'static) -> Self {
        Self { paths: HashMap::new(), otherwise: Box::new(rule) }
    }

    /// Requests for `path` get these replies in turn, the last one again and again.
    ///
    /// # Panics
    /// Without any reply.
    #[must_use]
    pub fn on(mut self, path: impl Into<String>, replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a path needs at least one reply");
        self.paths.insert(path.into(), replies);
        self
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Reply> for Script {
    /// The same reply to every request.
    fn from(reply: Reply) -> Self {
        Self::from_fn(move |_, _| reply.clone())
    }
}

impl<const N: usize> From<[Reply; N]> for Script {
    /// The replies in turn whatever the path, the last one again and again; without any, 404.
    fn from(replies: [Reply; N]) -> Self {
        Self::from_fn(move |index, _| {
            replies.get(index).or(replies.last()).cloned().unwrap_or_else(|| Reply::new(404))
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// A script as it is being played.
pub(crate) struct Play {
    script: Mutex<(Script, HashMap<String, usize>)>,
}

impl Play {
    pub(crate) fn new(script: Script) -> Self {
        Self { script: Mutex::new((script, HashMap::new())) }
    }

    pub(crate) fn reply(&self, request: &Received) -> Reply {
        let mut play = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let (script, played) = &mut *play;
        let path = request.path.split('?').next().unwrap_or_default();
        match script.paths.get(path) {
            Some(replies) => {
                let turn = played.entry(path.to_owned()).or_default();
                let reply = replies[(*turn).min(replies.len() - 1)].clone();
                *turn += 1;
                reply
            }
            None => (script.otherwise)(request.index, request),
        }
    }
}
