//! The HTTP client as the arguments want it, and the limit of file descriptors.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use poller::http::{Guard, HttpClient, Proxies};

use super::print_warning;
use crate::args::ConnectArgs;
use crate::render::terminal::Terminal;

/// A client that may connect to private addresses: the user of the command line wrote the specs, or owns the store that they
/// are in, which no other user may write to.
pub(super) fn client(args: &ConnectArgs, terminal: &Terminal) -> anyhow::Result<HttpClient> {
    client_within(Guard::local(), args, terminal)
}

/// A client that connects to the addresses that `guard` and the arguments allow.
pub(super) fn client_within(
    guard: Guard,
    args: &ConnectArgs,
    terminal: &Terminal,
) -> anyhow::Result<HttpClient> {
    raise_descriptors();
    let guard = args.allow_networks.iter().fold(guard, |guard, network| guard.allow(*network));
    let mut client = HttpClient::builder().guard(guard).proxies(proxies(args)?);
    if let Some(path) = &args.cacert {
        let pem = read("--cacert", path)?;
        client = client.add_root_pem(&pem).with_context(|| format!("in --cacert {}", path.display()))?;
    }
    if let Some(path) = &args.cert {
        let certificate = read("--cert", path)?;
        let (option, key_path) = args.key.as_ref().map_or(("--cert", path), |key| ("--key", key));
        let key = read(option, key_path)?;
        client = client
            .client_certificate(&certificate, &key)
            .with_context(|| format!("in --cert {}", path.display()))?;
    }
    if args.insecure {
        print_warning(
            terminal,
            "--insecure: certificates are not checked, so anyone on the way can read and change everything, secrets too; \
             to trust one certificate, give it as --cacert",
        );
        client = client.danger_accept_any_certificate(true);
    }
    Ok(client.build()?)
}

fn read(option: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {option} {}", path.display()))
}

fn proxies(args: &ConnectArgs) -> anyhow::Result<Option<Proxies>> {
    let variable = |name: &str| std::env::var(name).ok();
    let given = match args.proxy.as_deref() {
        None => Proxies::from_variables(variable)?,
        Some("") => None,
        Some(text) => {
            let text = match text.strip_prefix("env:") {
                Some(name) => variable(name).with_context(|| {
                    format!("--proxy: the environment variable {name:?} is not set, or not UTF-8")
                })?,
                None => text.to_owned(),
            };
            let except = ["no_proxy", "NO_PROXY"].into_iter().find_map(variable).unwrap_or_default();
            Some(Proxies::all(&text).context("in --proxy")?.except(&except))
        }
    };
    Ok(match &args.no_proxy {
        Some(hosts) => given.map(|proxies| proxies.except(hosts)),
        None => given,
    })
}

/// The arguments of the client, to be repeated by a command that goes on with a run. A proxy with credentials is left out:
/// the line is printed.
pub(super) fn repeated(args: &ConnectArgs, quote: impl Fn(&Path) -> String) -> String {
    let mut line = String::new();
    let paths = [("cacert", &args.cacert), ("cert", &args.cert), ("key", &args.key)];
    for (name, path) in paths {
        line.extend(path.iter().map(|path| format!(" --{name} {}", quote(path))));
    }
    if args.insecure {
        line.push_str(" --insecure");
    }
    let proxy = args.proxy.as_ref().filter(|proxy| !proxy.contains('@'));
    for (name, text) in [("proxy", proxy), ("no-proxy", args.no_proxy.as_ref())] {
        line.extend(text.map(|text| format!(" --{name} {}", quote(Path::new(text)))));
    }
    line.extend(args.allow_networks.iter().map(|network| format!(" --allow-network {network}")));
    line.extend(args.max_body.map(|bytes| format!(" --max-body {bytes}")));
    line
}

/// Raises the soft limit of file descriptors to the hard one: the soft one, mostly 1024, exists for programs that use
/// `select`, and polls on more hosts than that would wait for each other. What fails leaves the limit as it is.
fn raise_descriptors() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let raise = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
            // macOS reports a hard limit that it does not grant; it grants 10240. The client keeps below the limit as it then
            // is, so a refusal changes nothing.
            let _refused = raise(limit.maximum).or_else(|_| raise(Some(10_240)));
        }
    }
}
