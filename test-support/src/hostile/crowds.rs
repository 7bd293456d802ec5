//! Attacks by many names, many addresses and many polls.

use std::time::Duration;

use super::answers::{head, raw};
use super::server::{Play, Then};
use super::{Attack, attack};

/// A name under the host for each poll.
fn under(host: &str, number: usize) -> String {
    format!("{number}.{host}")
}

/// A registrable domain for each poll.
fn apart(host: &str, number: usize) -> String {
    format!("{number}-{}.test", host.replace('.', "-"))
}

pub(super) fn attacks() -> Vec<Attack> {
    let silent = || raw("");
    vec![
        Attack {
            polls: Some(300),
            ..attack("silent crowd", "300 polls of one host that never answers", silent)
        },
        Attack {
            polls: Some(300),
            host: under,
            ..attack("silent names", "300 polls of 300 names of one domain that never answer", silent)
        },
        Attack {
            polls: Some(300),
            host: apart,
            ..attack("silent domains", "300 polls of 300 domains that never answer", silent)
        },
        Attack {
            polls: Some(300),
            host: under,
            ..attack("dripping names", "300 polls of 300 names that send a byte every 50 ms", || {
                Play::Drip("HTTP/1.1 200 OK\r\n\r\n".into(), "a".into(), Duration::from_millis(50))
            })
        },
        Attack {
            polls: Some(300),
            host: under,
            ..attack(
                "closing names",
                "300 polls of 300 names that want a new connection for each request",
                || {
                    Play::Send(
                        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
                        Then::Close,
                    )
                },
            )
        },
        Attack {
            polls: Some(300),
            host: under,
            ..attack("503 of 300 names", "300 polls of 300 names that are all held back", || {
                head("HTTP/1.1 503 x\r\nretry-after: 30")
            })
        },
        Attack {
            addresses: 1000,
            ..attack(
                "a thousand addresses",
                "a name with a thousand addresses, of which none answers",
                || Play::Slam,
            )
        },
    ]
}
