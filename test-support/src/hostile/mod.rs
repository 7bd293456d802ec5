//! Servers that attack the client, one attack each.
//!
//! An attack is data: what is sent in answer to each request, how the answer ends, and the members of the spec whose author
//! is the server's ally. `poller/tests/hostile.rs` runs all of them beside honest polls, asserts that those end in bounded
//! memory, and measures how late they are.
//!
//! ```text
//!   exchanges, handshakes, frames     below the response: HTTP/1.1, TLS, HTTP/2
//!   heads, codings, documents         the response
//!   filters, crowds                   its allies: filters and secrets, many names, many addresses
//! ```

mod answers;
mod codings;
mod crowds;
mod documents;
mod exchanges;
mod filters;
mod frames;
mod handshakes;
mod heads;
mod server;

pub use server::HostileServer;
use server::Play;

/// What a hostile server does.
#[derive(Clone, Copy)]
pub struct Attack {
    /// A short name.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    /// Whether its answer takes a while to make and to judge in a debug build.
    pub is_large: bool,
    /// Members of the spec that asks it, besides the URL, as JSON without braces. Its filters may be a part of the attack.
    pub members: fn() -> String,
    /// The number of polls that ask it, if the attack needs a crowd.
    pub polls: Option<usize>,
    /// The host of each poll under this one.
    pub host: fn(host: &str, number: usize) -> String,
    /// The number of addresses of the host. Only the first one has a server.
    pub addresses: usize,
    play: fn() -> Play,
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attack").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Attack {
    const fn large(self) -> Self {
        Self { is_large: true, ..self }
    }

    const fn asked(self, members: fn() -> String) -> Self {
        Self { members, ..self }
    }
}

fn attack(name: &'static str, what: &'static str, play: fn() -> Play) -> Attack {
    let usual = || r#""responseFilter":{"body":{"status":["SUCCESS"]}}"#.to_owned();
    let host = |host: &str, _| host.to_owned();
    Attack { name, what, is_large: false, members: usual, polls: None, host, addresses: 1, play }
}

fn large(name: &'static str, what: &'static str, play: fn() -> Play) -> Attack {
    attack(name, what, play).large()
}

fn asked_large(
    name: &'static str,
    what: &'static str,
    members: fn() -> String,
    play: fn() -> Play,
) -> Attack {
    attack(name, what, play).asked(members).large()
}

/// All attacks.
#[must_use]
pub fn attacks() -> Vec<Attack> {
    [
        exchanges::attacks(),
        handshakes::attacks(),
        frames::attacks(),
        heads::attacks(),
        codings::attacks(),
        documents::attacks(),
        filters::attacks(),
        crowds::attacks(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = attacks().iter().map(|attack| attack.name).collect();
        let number = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), number);
        assert!(number >= 120, "{number}");
    }
}
