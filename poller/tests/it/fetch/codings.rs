//! `content-encoding`: every spelling, stacks, and what is wrong. The bytes were made by other programs (Python's zlib and gzip,
//! brotli, zstd), so that the decoder is not judged by its own kind.

use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind, Response};
use test_support::{Reply, Server};

use super::{CAP, client, get, request};

const JSON: &str = r#"{"status":"SUCCESS"}"#;
const GZIP: &str = "1f8b0800000000000203ab562a2e492c292d56b2520a0e7576760d0e56aa05001d5bfa9714000000";
const ZLIB: &str = "78daab562a2e492c292d56b2520a0e7576760d0e56aa050047dc0678";
const RAW_DEFLATE: &str = "ab562a2e492c292d56b2520a0e7576760d0e56aa0500";
const BROTLI: &str = "1b1300f8a54574f6faa6229474521530d558de5b07";
const ZSTD: &str = "28b52ffd2014a100007b22737461747573223a2253554343455353227d";
/// Gzip inside brotli.
const GZIP_BROTLI: &str =
    "8b13801f8b0800000000000203ab562a2e492c292d56b2520a0e7576760d0e56aa05001d5bfa971400000003";
/// A frame that wants a window of 128 MiB.
const ZSTD_LARGE_WINDOW: &str = "28b52ffd0088a100007b22737461747573223a2253554343455353227d";

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

async fn answer(coding: &str, body: Vec<u8>) -> Result<Response, (FetchErrorKind, String)> {
    let reply = Reply::new(200).header("content-encoding", coding).body(body);
    let server = Server::start([reply.clone(), reply.chunked()]).await;
    let client = client();
    let whole = get(&client, &server.url("/?token=s3cret")).await;
    let chunked = get(&client, &server.url("/?token=s3cret")).await;
    assert_eq!(
        whole.as_ref().map(|response| &response.body).map_err(|error| error.kind()),
        chunked.as_ref().map(|response| &response.body).map_err(|error| error.kind())
    );
    whole.map_err(|error| (error.kind(), error.to_string()))
}

#[tokio::test]
async fn every_spelling_of_every_coding_is_undone() {
    for (coding, body) in [
        ("gzip", GZIP),
        ("GZIP", GZIP),
        ("x-gzip", GZIP),
        ("X-GZip", GZIP),
        ("deflate", ZLIB),
        ("Deflate", RAW_DEFLATE),
        ("br", BROTLI),
        ("BR", BROTLI),
        ("zstd", ZSTD),
        ("gzip, br", GZIP_BROTLI),
        ("gzip,identity , br", GZIP_BROTLI),
    ] {
        let response =
            answer(coding, bytes(body)).await.unwrap_or_else(|error| panic!("{coding}: {error:?}"));
        assert_eq!(response.body, JSON, "{coding}");
        assert!(!response.headers.contains_key("content-encoding"), "{coding}");
        assert!(!response.headers.contains_key("content-length"), "{coding}");
    }
    for coding in ["identity", "Identity", "none", "utf-8", ""] {
        assert_eq!(answer(coding, JSON.into()).await.unwrap().body, JSON, "{coding}");
    }
}

#[tokio::test]
async fn several_members_are_one_body() {
    let twice = [bytes(GZIP), bytes(GZIP)].concat();
    assert_eq!(answer("gzip", twice).await.unwrap().body, JSON.repeat(2));
    let twice = [bytes(ZSTD), bytes(ZSTD)].concat();
    assert_eq!(answer("zstd", twice).await.unwrap().body, JSON.repeat(2));
}

#[tokio::test]
async fn broken_and_unknown_codings_are_named() {
    for (coding, body, expected) in [
        ("snappy", JSON.into(), "the content-encoding \"snappy\", which is unknown here"),
        ("gzip, lzma", JSON.into(), "the content-encoding \"lzma\""),
        ("gzip", JSON.into(), "cannot be decompressed"),
        ("br, gzip", bytes(GZIP_BROTLI), "cannot be decompressed"),
        ("deflate", bytes("ff"), "cannot be decompressed"),
        ("zstd", bytes(ZSTD_LARGE_WINDOW), "cannot be decompressed"),
    ] {
        let (kind, text) = answer(coding, body).await.unwrap_err();
        assert_eq!(kind, FetchErrorKind::BadEncoding, "{coding}: {text}");
        assert!(text.contains(expected) && !text.contains("s3cret"), "{coding}: {text}");
    }
    for whole in [GZIP, ZLIB, RAW_DEFLATE, BROTLI, ZSTD] {
        let coding = match whole {
            GZIP => "gzip",
            BROTLI => "br",
            ZSTD => "zstd",
            _ => "deflate",
        };
        let mut cut = bytes(whole);
        cut.truncate(cut.len() - 5);
        let (kind, text) = answer(coding, cut).await.unwrap_err();
        assert_eq!(kind, FetchErrorKind::BadEncoding, "{coding}: {text}");
    }
}

#[tokio::test]
async fn responses_without_a_body_need_no_coding() {
    for status in [204, 304] {
        let server = Server::start(Reply::new(status).header("content-encoding", "gzip")).await;
        assert_eq!(get(&client(), &server.url("/")).await.unwrap().body, "");
    }
    let server = Server::start(Reply::new(200).header("content-encoding", "br").body(bytes(BROTLI))).await;
    let head = client().fetch(request(Method::HEAD, &server.url("/"))).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(answer("gzip", Vec::new()).await.unwrap().body.is_empty());
}

/// What yields nothing is bounded too: members without content, frames that are skipped, and both inside another coding.
#[tokio::test]
async fn bytes_in_are_bounded_like_bytes_out() {
    let member = bytes("1f8b080000000000020303000000000000000000");
    let skipped = bytes("502a4d180400000000000000");
    let many = |piece: &[u8]| piece.repeat(3 * usize::try_from(CAP).unwrap() / piece.len());
    for (coding, body) in [("gzip", many(&member)), ("zstd", many(&skipped))] {
        let (kind, text) = answer(coding, body).await.unwrap_err();
        assert_eq!(kind, FetchErrorKind::BodyTooLarge, "{coding}: {text}");
        assert!(text.contains("before decompression"), "{text}");
    }
}

#[tokio::test]
async fn many_header_lines_are_ordinary_and_too_many_are_named() {
    let with = |lines: usize, value: &str| {
        (0..lines).fold(Reply::json("{}"), |reply, number| reply.header(format!("x-{number}"), value))
    };
    let server =
        Server::start([with(150, "some ordinary value"), with(1000, ""), with(50, &"x".repeat(20_000))])
            .await;
    let client = client();
    assert_eq!(get(&client, &server.url("/")).await.unwrap().headers.len(), 152);
    for _ in 0..2 {
        let error = get(&client, &server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Protocol);
        assert!(error.to_string().contains("is too large: more than 256 lines, or 128 kB"), "{error}");
    }
}
