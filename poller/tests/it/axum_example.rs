//! The example `axum`: a service whose handlers wait for outcomes ends at once when it is asked to.

#[path = "../../examples/axum.rs"]
#[allow(dead_code, reason = "its main function is not called here")]
mod example;

use serde_json::{Value, json};

use crate::world::{World, pending, success};

#[tokio::test]
async fn a_service_answers_its_callers_and_ends_while_they_wait() {
    let world = World::new(|_, request| if request.url.path() == "/done" { success() } else { pending() });
    let poller = world.poller().build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ending = poller.clone();
    let (begun, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let note =
        axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| {
            begun.send(request.uri().path().to_owned()).unwrap();
            next.run(request)
        });
    let server =
        axum::serve(listener, example::service(poller).layer(note)).with_graceful_shutdown(async move {
            ended.await.unwrap();
            ending.shutdown().await;
        });
    let server = tokio::spawn(server.into_future());
    // An error means that another test has installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let job = |key: &str, rest: &str| format!("http://{address}/jobs/{key}{rest}");
    let put = async |key: &str| {
        let spec = json!({"url": format!("https://example.com/{key}"), "timeout": 60, "responseFilter": {"body": {"status": ["SUCCESS"]}}});
        client.put(job(key, "")).body(spec.to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!((put("done").await, put("waits").await), (202, 202));
    let outcome = client.get(job("done", "/outcome")).send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&outcome).unwrap()["outcome"], "matched");
    assert_eq!(client.get(job("none", "/outcome")).send().await.unwrap().status(), 404);

    let waiting = tokio::spawn(client.get(job("waits", "/outcome")).send());
    while requests.recv().await.unwrap() != "/jobs/waits/outcome" {}
    end.send(()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 503);
    drop(client);
    server.await.unwrap().unwrap();
}
