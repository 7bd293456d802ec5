//! More servers than connections: every request is answered, and none fails for want of a descriptor.

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use poller::http::{Guard, HttpClient};
use test_support::{Authority, Gate, Http2Reply, Http2Server, Reply, Server};

use super::get;

fn client(connections: usize) -> HttpClient {
    let builder = HttpClient::builder().guard(Guard::local()).system_roots(false).connections(connections);
    builder.build().unwrap()
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let servers = join_all((0..6).map(|_| Server::start(Reply::text("x")))).await;
    let client = client(2);
    // Each server twice: with the idle time of 15 s, two kept connections would bar the third server.
    for server in servers.iter().chain(&servers) {
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "x");
    }
}

#[tokio::test]
async fn idle_connections_of_http2_make_room_too() {
    let authority = Authority::new();
    let identity = authority.issue(["127.0.0.1"]);
    let servers = join_all((0..4).map(|_| Http2Server::start([Http2Reply::Text("x")], &identity))).await;
    let builder = HttpClient::builder().guard(Guard::local()).system_roots(false).connections(1);
    let client = builder.add_root_pem(authority.pem().as_bytes()).unwrap().build().unwrap();
    for server in servers.iter().chain(&servers) {
        for _ in 0..2 {
            assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "x");
        }
    }
    let counts: Vec<_> = servers.iter().map(|server| (server.requests(), server.connections())).collect();
    assert_eq!(counts, [(4, 2); 4], "kept while no other server is asked");
}

#[tokio::test]
async fn at_most_half_of_the_connections_are_kept_unused() {
    let servers = join_all((0..4).map(|_| Server::start(Reply::text("x")))).await;
    let client = client(4);
    for server in &servers {
        get(&client, &server.url("/")).await.unwrap();
    }
    // The two that were used first are closed.
    tokio::join!(servers[0].closed(1), servers[1].closed(1));
    for server in &servers[2..] {
        get(&client, &server.url("/")).await.unwrap();
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn requests_wait_while_all_connections_are_in_use() {
    let gate = Gate::new();
    let busy = Server::start(Reply::text("busy").held_by(&gate)).await;
    let other = Server::start(Reply::text("other")).await;
    let client = client(1);
    let (busy_url, other_url) = (busy.url("/"), other.url("/"));
    let mut first = std::pin::pin!(get(&client, &busy_url));
    tokio::select! {
        _ = &mut first => panic!("the gate is closed"),
        _ = busy.arrived(0) => {}
    }
    let mut second = std::pin::pin!(get(&client, &other_url));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(other.connections(), 0);
    gate.open();
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap().body.as_ref(), second.unwrap().body.as_ref()), (&b"busy"[..], &b"other"[..]));
}
