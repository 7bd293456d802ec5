//! When a request that failed is sent once more, on a new connection, within the same attempt.
//!
//! A server may close a kept connection just as it is used. The close and the request cross on the wire, and the attempt would
//! be lost although nothing is wrong: with a server that keeps connections for 10 s and polls every 10 s, one in twelve. RFC
//! 9110 section 9.2.2 lets a client repeat a request then, if repeating it has no effect of its own:
//!
//! - a GET or HEAD without a body (what a body means there is up to the server), and
//! - over HTTP/1.1, on a connection that had answered before and from which not one byte came back, or
//! - over HTTP/2, above the last stream of a GOAWAY, which the server has not processed and never will, or whose connection
//!   had answered before and broke without a word about the stream.
//!
//! It happens once per attempt and the response says so ([`Journey::resent`](crate::fetch::Journey::resent)), so that no
//! request is hidden from those who count. Any other failure is the attempt's.

use http::Method;
use hyper_util::client::legacy;

use super::failure::{find, link};
use crate::fetch::Request;

/// Whether the request may be sent once more after this error.
pub(super) fn is_safe(request: &Request, error: &legacy::Error) -> bool {
    matches!(request.method, Method::GET | Method::HEAD)
        && request.body.is_none()
        && !error.is_connect()
        && was_lost_on_a_kept_connection(error)
}

fn was_lost_on_a_kept_connection(error: &legacy::Error) -> bool {
    let Some(link) = link(error) else { return false };
    let broken = |error: &hyper::Error| {
        error.is_incomplete_message()
            || error.is_closed()
            || error.is_canceled()
            || find::<std::io::Error>(error).is_some()
    };
    let broken = find::<hyper::Error>(error).is_some_and(broken);
    if !link.is_http2 {
        return broken && link.is_reused() && link.is_silent();
    }
    match find::<h2::Error>(error) {
        // Streams up to the last one of a GOAWAY go on, so this error reaches only those above it. With a reason, the server
        // complains about this client and had better not be asked again at once.
        Some(error) if error.is_go_away() => {
            error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        }
        Some(error) => error.is_io() && link.is_reused(),
        None => broken && link.is_reused(),
    }
}
