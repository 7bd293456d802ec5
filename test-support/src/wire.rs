//! HTTP/1.1 as bytes: requests are read from a buffer, replies are rendered into one.

use crate::log::{self, Received};
use crate::reply::{Content, Reply};

/// Takes the first whole request off the buffer, if there is one.
///
/// Anything that does not parse is a fault of the client under test and panics, which fails the test that waits for it.
pub(crate) fn take_request(buffer: &mut Vec<u8>, connection: usize) -> Option<Received> {
    let head_len = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..head_len]).expect("the request head is text");
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next().unwrap_or_default().split(' ');
    let method = request_line.next().unwrap_or_default().to_owned();
    let path = request_line.next().expect("the request line has a target").to_owned();
    let headers: Vec<_> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a header line has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let find = |name| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert!(find("transfer-encoding").is_none(), "chunked requests are not understood here");
    let body_len: usize =
        find("content-length").map_or(0, |length| length.parse().expect("content-length is a number"));
    let len = head_len + body_len;
    if buffer.len() < len {
        return None;
    }
    let body = buffer[head_len..len].to_vec();
    buffer.drain(..len);
    let arrived = log::now();
    Some(Received { index: 0, connection, method, path, headers, body, arrived, ended: None, stalled: false })
}

/// The bytes of a reply up to its cut; a reply to HEAD has no body but keeps its headers.
pub(crate) fn render(reply: &Reply, head_only: bool) -> Vec<u8> {
    let (status, headers, body, chunked, cut) = match &reply.content {
        Content::Raw(bytes) => return bytes.clone(),
        Content::Http { status, headers, body, chunked, cut } => (status, headers, body, chunked, cut),
    };
    let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let bodyless = matches!(status, 100..=199 | 204 | 304);
    if *chunked {
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if !bodyless && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    if head_only || bodyless {
        return bytes;
    }
    let part = &body[..cut.unwrap_or(body.len()).min(body.len())];
    if *chunked {
        if !part.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        if cut.is_none() {
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    } else {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_off_the_buffer_one_by_one_and_only_whole() {
        let mut buffer = b"POST /a?b HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_vec();
        assert!(take_request(&mut buffer, 0).is_none());
        buffer.extend_from_slice(b"cGET / HTTP/1.1\r\n\r\n");
        let first = take_request(&mut buffer, 0).unwrap();
        assert_eq!(
            (first.method.as_str(), first.path.as_str(), first.body.as_slice()),
            ("POST", "/a?b", &b"abc"[..])
        );
        assert_eq!(take_request(&mut buffer, 0).unwrap().method, "GET");
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_cut_reply_still_announces_its_whole_body() {
        let reply = Reply::new(200).body("0123456789").close_after(4);
        let text = String::from_utf8(render(&reply, false)).unwrap();
        assert_eq!(text, "HTTP/1.1 200 Scripted\r\ncontent-length: 10\r\n\r\n0123");
        let text = String::from_utf8(render(&reply.chunked(), false)).unwrap();
        assert!(text.ends_with("\r\n\r\n4\r\n0123\r\n"), "{text}");
    }
}
