//! Retrying on a thread: connecting to a server that starts late.
//!
//! `cargo run -p retry --features blocking --example blocking`

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use retry::Policy;
use retry::run::{Retry, Retrying};

fn main() -> anyhow::Result<()> {
    // A free port; the server listens from the third try on.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;

    let policy =
        Policy::exponential(Duration::from_millis(50), 2.0).max_elapsed(Duration::from_secs(5)).build()?;
    println!("policy: {policy}\n\n{}\n", policy.preview());

    let mut server = None;
    let stream = Retry::new(&policy)
        .classify(|err: &io::Error| err.kind() == ErrorKind::ConnectionRefused)
        .notify(|r: &Retrying<'_, io::Error>| println!("{r}"))
        .run(|attempt| {
            if attempt.number == 3 {
                server = Some(TcpListener::bind(address)?);
            }
            connect(address)
        })?;
    println!("connected to {}", stream.peer_addr()?);
    Ok(())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
}
