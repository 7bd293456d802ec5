//! `poll serve`: the service over HTTP, from its start to its end.
//!
//! ```text
//!  store ─► poller ─► service ─► listener
//!                        ▲ signal: waiting requests end, then the listener, then the poller
//! ```

use std::fmt;
use std::fs;
use std::path::Path;

use ::service::{Access, Exposition, Keys};
use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use poller::Poller;
use poller::secret::AllowedSecrets;
use poller::store::RunsUntil;
use tokio::net::TcpListener;

use super::store::{self, Opening};
use super::{connect, log, service_manager, signals};
use crate::args::{ServeArgs, StoreLocation};
use crate::exit::Exit;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &ServeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    log::begin(args.log);
    let keys = args.keys.as_deref().map(read_keys).transpose()?;
    if keys.is_none() && !args.listen.ip().is_loopback() {
        anyhow::bail!(
            "--listen {}: without keys the service is for this machine only; give --keys, or listen on a loopback address \
             such as 127.0.0.1:7655",
            args.listen
        );
    }
    let metrics = metrics()?;
    if let StoreLocation::Service(url) = &args.store {
        anyhow::bail!("--store {url}: a service keeps its polls in a file or a database of its own");
    }
    store::run_on_store(&args.store, Opening::MayBeNew, RunsUntil::Stopped, args.lease, async |store| {
        let signal = signals::listen(|| {}, true)?;
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let limits = args.connect.apply(args.limits.limits());
        let builder = Poller::builder().store(store.clone()).limits(limits.clone());
        // Those who hold keys wrote the specs, and not the user of this command.
        let builder = match &keys {
            Some(keys) => builder
                .fetch(keys.client(|guard| connect::client_within(guard, &args.connect, terminal))?)
                .secrets(keys.clone()),
            None => builder
                .fetch(connect::client(&args.connect, terminal)?)
                .secrets(args.allow_secrets.iter().cloned().collect::<AllowedSecrets>()),
        };
        let poller = builder.build().await.map_err(store::poller_error)?;
        let mut options = ::service::Options::default();
        options.limits = limits;
        options.max_wait = args.max_wait;
        options.metrics = Some(metrics);
        if let Some(keys) = keys {
            options.access = Access::Keys(keys);
        }
        let service = ::service::Service::new(poller.clone(), store, options);
        service_manager::ready(poller.stats().open);
        let tell = |message: fmt::Arguments<'_>| {
            if !args.quiet {
                log::info(message);
            }
        };
        let store = store::quoted(&args.store);
        tell(format_args!("serving {store} on http://{address}/ until Ctrl-C or SIGTERM"));
        let ended = async {
            // The sender lives as long as the process.
            let signal = signal.await.unwrap_or("the end of the signals");
            service_manager::stopping();
            tell(format_args!("{signal}: stopping; again to end at once"));
            service.close();
        };
        ::service::server::serve(listener, service.router(), ended).await;
        let report = poller.shutdown().await;
        tell(format_args!("{} polls are open and continue with the next start", report.left_open));
        Ok(Exit::Success)
    })
}

fn read_keys(path: &Path) -> anyhow::Result<Keys> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read --keys {shown}"))?;
    let keys = Keys::parse(&text).with_context(|| format!("in --keys {shown}"))?;
    anyhow::ensure!(!keys.is_empty(), "--keys {shown} has no key, so no call would be allowed");
    Ok(keys)
}

/// The bounds of histograms in seconds: from a call of the store to a request that times out.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Installs the recorder of metrics; to be called before the poller makes its handles.
fn metrics() -> anyhow::Result<Exposition> {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).context("the bounds of histograms")?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| anyhow::anyhow!("cannot record metrics: {error}"))?;
    Ok(Exposition::new(move || {
        handle.run_upkeep();
        handle.render()
    }))
}
