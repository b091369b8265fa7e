//! The node: the customer's side, put together from its parts.
//!
//! What belongs here is assembly: opening what is kept, starting intake, engine, console and outputs, and
//! ending them in an order in which nothing acknowledged is lost. What a part does is in its own crate.

pub mod backend;
pub mod config;
mod dispatch;
pub mod host;
mod identity;
mod intake_auth;
pub mod outputs;
pub mod rules;
pub mod runfile;
pub mod seal;
mod sink;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use covigil_console::{ConsoleConfig, backend::Seat, issue_link};
use covigil_model::{OpContext, Party, TenantId, Time, health::SourceState};
use covigil_pipeline::{
    engine::{Engine, EngineConfig, EngineParts, HealthPolicy},
    intake::{self, Delivery, EventsApi, TcpSyslog, UdpSyslog, Watcher},
    parse::Parsers,
    sources::Sources,
};
use covigil_solution::Host;
use covigil_store::{
    events::{EventStore, EventStoreConfig},
    search::Searcher,
    state::State,
    wal::{Wal, WalConfig},
};
use tokio::{net::TcpListener, sync::broadcast, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use backend::NodeBackend;
use config::NodeConfig;
use dispatch::Dispatcher;
use host::LocalHost;
use intake_auth::{StateTokens, TokenCache};
use rules::live::LiveRules;
use runfile::RunFile;
use seal::Sealer;
use sink::Sink;

pub use identity::sign_in_link;

/// How long a sign-in link is good for.
const LINK_LASTS: Duration = Duration::from_secs(15 * 60);
/// How often added rule sets are looked at.
const RULES_EVERY: Duration = Duration::from_secs(2);
/// Items that an open page may lag behind by.
const LIVE_ITEMS: usize = 1_024;

/// Why the node did not start, for the person who started it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    fn of(what: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {cause}"))
    }
}

/// A running node.
pub struct Node {
    data: PathBuf,
    url: String,
    backend: Arc<NodeBackend>,
    tenant: TenantId,
    wal: Wal,
    engine: Engine,
    tasks: Vec<JoinHandle<()>>,
    store_task: JoinHandle<()>,
    /// Ends intake, engine and console.
    stop: CancellationToken,
    /// Ends the store, after the engine.
    stop_store: CancellationToken,
}

impl Node {
    /// Opens the data folder and starts everything.
    pub async fn start(data: PathBuf, config: NodeConfig) -> Result<Self, StartError> {
        let started = Time::now();
        make_private(&data).map_err(|e| StartError::of(&format!("{} cannot be used", data.display()), e))?;
        let host: Arc<dyn Host> = Arc::new(LocalHost);
        let hostname = host.hostname();
        let tenant = identity::tenant(&data).map_err(|e| StartError::of("node.id", e))?;
        let sealer = Sealer::open(&data.join("node.key")).map_err(|e| StartError::of("node.key", e))?;
        let sealer = Arc::new(sealer);
        let state = State::open(&data.join("state.db")).await.map_err(|e| StartError::of("state.db", e))?;

        let (store, committed) = EventStore::open(store_config(&data, tenant, &config))
            .await
            .map_err(|e| StartError::of("the stored events cannot be opened", e))?;
        let mut wal_config = WalConfig::new(data.join("wal"));
        wal_config.max_bytes = config.limits.log_megabytes.max(64) * 1_000_000;
        wal_config.after = committed;
        let (wal, recovery) = tokio::task::spawn_blocking(move || Wal::open(wal_config))
            .await
            .map_err(|e| StartError::of("the write-ahead log", e))?
            .map_err(|e| StartError::of("the write-ahead log cannot be opened", e))?;
        for damage in &recovery.quarantined {
            tracing::error!(segment = %damage.segment.display(), records = damage.records, reason = damage.reason, "damage in the write-ahead log was set aside");
        }
        let quarantined = recovery.quarantined.iter().map(|damage| damage.records).sum();

        let listener = TcpListener::bind(config.console.listen).await.map_err(|e| {
            StartError::of(&format!("the console cannot listen on {}", config.console.listen), e)
        })?;
        let at = listener.local_addr().map_err(|e| StartError::of("the console", e))?;
        let url = config.console.public_url.clone().unwrap_or_else(|| local_url(at));
        let origin =
            url.parse().map_err(|e| StartError::of(&format!("public_url {url} is not an address"), e))?;

        let options = covigil_rules::Options {
            placeholders: config.detection.placeholders.clone(),
            ..covigil_rules::Options::default()
        };
        let rules = Arc::new(LiveRules::load(&data, options));
        let (live, _) = broadcast::channel(LIVE_ITEMS);
        let dispatcher =
            Arc::new(Dispatcher::new(state.clone(), Arc::clone(&sealer), tenant, &hostname, &hostname, &url));
        let sink = Arc::new(Sink {
            state: state.clone(),
            tenant,
            live: live.clone(),
            dispatcher: Arc::clone(&dispatcher),
            rules: Arc::clone(&rules),
        });
        let parsers = Parsers::new(
            covigil_catalog::solutions().iter().flat_map(|solution| solution.parsers.iter().copied()),
        );
        let sources = Sources::new();
        let (stop, stop_store) = (CancellationToken::new(), CancellationToken::new());

        let engine = Engine::start(EngineParts {
            wal: wal.clone(),
            store: store.clone(),
            committed,
            parsers: parsers.clone(),
            rules: rules.current(),
            sink: sink.clone(),
            state: sink,
            sources: Arc::clone(&sources),
            config: engine_config(&hostname, &data, &config),
            stop: stop.clone(),
        })
        .await
        .map_err(|e| StartError::of("the engine", e))?;
        let store_task = {
            let (store, stop) = (store.clone(), stop_store.clone());
            tokio::spawn(async move { store.run(stop.cancelled_owned()).await })
        };

        let tokens = Arc::new(TokenCache::default());
        let backend = Arc::new(NodeBackend {
            seat: Seat {
                tenant,
                tenant_name: hostname.clone(),
                party: Party::Customer,
                node_name: hostname.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            state: state.clone(),
            searcher: Arc::new(
                Searcher::new(Arc::new(store.clone())).map_err(|e| StartError::of("the search", e))?,
            ),
            store,
            wal: wal.clone(),
            quarantined,
            parsers: parsers.clone(),
            sources: Arc::clone(&sources),
            rules: Arc::clone(&rules),
            dispatcher: Arc::clone(&dispatcher),
            sealer,
            tokens: Arc::clone(&tokens),
            live,
            appended: engine.appended(),
            data: data.clone(),
            started,
            fields: backend::FieldCache::default(),
        });

        let delivery = Delivery::new(wal.clone(), recovery.checkpoints, sources, stop.clone());
        let mut tasks = vec![tokio::spawn(dispatcher.run(stop.clone()))];
        let auth = Arc::new(StateTokens::new(state.clone(), tenant, tokens));
        let events = intake::router(EventsApi::new(delivery.clone(), auth, parsers.names()));
        let console = covigil_console::router(ConsoleConfig::at(origin), backend.clone())
            .map_err(|e| StartError::of("the console", e))?;
        let service = console.merge(events).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop.clone();
        tasks.push(tokio::spawn(async move {
            // Open streams do not end by themselves: whoever reads them is cut off with the program.
            tokio::select! {
                served = axum::serve(listener, service) => if let Err(error) = served {
                    tracing::error!(%error, "the console ended");
                },
                () = stopped.cancelled() => {}
            }
        }));
        tasks.extend(listen(&config, &delivery).await?);
        if config.watch_this_machine {
            tasks.extend(watch_machine(&config, &host, &delivery));
        }

        let (read_token, intake_token) =
            identity::own_tokens(&state, tenant).await.map_err(|e| StartError::of("API tokens", e))?;
        identity::first_user(&state, tenant).await.map_err(|e| StartError::of("the first user", e))?;
        let run = RunFile { url: url.clone(), read_token, intake_token, pid: std::process::id() };
        run.write(&data).map_err(|e| StartError::of("node.json", e))?;
        let took = Time::now().since(started) / 1_000_000;
        tracing::info!(url, milliseconds = took, rules = rules.current().report().loaded, "the node is up");
        Ok(Self { data, url, backend, tenant, wal, engine, tasks, store_task, stop, stop_store })
    }

    /// What to say to the person who started it: where the console is, how to get in, and what is watched.
    pub async fn greeting(&self) -> Result<Vec<String>, StartError> {
        let ctx = OpContext::system(self.tenant, "start", Time::now());
        let user = identity::first_user(&self.backend.state, self.tenant)
            .await
            .map_err(|e| StartError::of("the first user", e))?;
        let path = issue_link(self.backend.as_ref(), &ctx, user, LINK_LASTS)
            .await
            .map_err(|e| StartError::of("the sign-in link", e))?;
        let mut lines = Vec::new();
        let sources = self.backend.sources.health(Time::now());
        let reading: Vec<&str> =
            sources.iter().filter(|s| s.state == SourceState::Live).map(|s| s.description.as_str()).collect();
        if !reading.is_empty() {
            lines.push(format!("Watching: {}", reading.join(", ")));
        }
        for source in sources.iter().filter(|s| s.state == SourceState::Unreadable) {
            lines.push(format!("Cannot read {}: {}", source.description, source.detail));
        }
        let rules = self.backend.rules.current();
        lines.push(format!("{} rules run. `covigil rules add` brings in more.", rules.report().loaded));
        lines.push(String::new());
        lines.push(format!("Console:          {}", self.url));
        lines.push(format!("Sign in, once:    {}{path}", self.url));
        lines.push(String::new());
        lines.push(
            "The link is good for 15 minutes; `covigil sign-in` makes another. Ctrl-C stops Covigil."
                .to_owned(),
        );
        Ok(lines)
    }

    /// Runs until `stopped` resolves, then ends everything in order.
    pub async fn run_until_stopped(self, stopped: impl Future<Output = ()>) -> Result<(), StartError> {
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                () = tokio::time::sleep(RULES_EVERY) => {}
            }
            let rules = Arc::clone(&self.backend.rules);
            let fresh = tokio::task::spawn_blocking(move || rules.reload_if_changed()).await;
            if let Ok(Some(rules)) = fresh {
                tracing::info!(rules = rules.report().loaded, "rules were reloaded");
                self.engine.reload(rules);
            }
        }
        self.end().await;
        Ok(())
    }

    /// Intake first, so that nothing new is acknowledged; then the engine, which finishes what it has read;
    /// then the store, which flushes.
    async fn end(self) {
        RunFile::remove(&self.data);
        self.stop.cancel();
        for task in self.tasks {
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
        self.engine.ended().await;
        self.stop_store.cancel();
        let _ = self.store_task.await;
        drop(self.wal);
        self.backend.state.close().await;
    }
}

/// The console's address in a browser of this machine. Passkeys want a name, not an address.
fn local_url(at: SocketAddr) -> String {
    if at.ip().is_loopback() || at.ip().is_unspecified() {
        format!("http://localhost:{}", at.port())
    } else {
        format!("http://{at}")
    }
}

/// Makes the data folder for its owner alone.
fn make_private(data: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700))
}

fn store_config(data: &Path, tenant: TenantId, config: &NodeConfig) -> EventStoreConfig {
    let mut store = EventStoreConfig::new(data.join("events"), tenant);
    let memory = usize::try_from(config.limits.memory_megabytes.max(16) * 1_000_000).unwrap_or(usize::MAX);
    store.memory = memory;
    store.flush_bytes = memory / 2;
    store.keep_days = Some(config.retention.days);
    store.keep_bytes = Some(config.retention.gigabytes.saturating_mul(1_000_000_000));
    store
}

fn engine_config(hostname: &str, data: &Path, config: &NodeConfig) -> EngineConfig {
    let mut engine = EngineConfig::new(hostname);
    if config.limits.workers > 0 {
        engine.workers = config.limits.workers;
    }
    engine.limits.lateness =
        i64::try_from(config.detection.lateness_seconds.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX);
    engine.health = HealthPolicy {
        silence_least: Duration::from_secs(config.detection.silence_seconds),
        disk: Some(data.to_owned()),
        ..HealthPolicy::default()
    };
    engine
}

/// Starts the network listeners. A port that is taken is said on the health page, not fatal.
async fn listen(config: &NodeConfig, delivery: &Delivery) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut tasks = Vec::new();
    let refused = |name: &str, at: SocketAddr, error: std::io::Error| {
        let row = delivery.sources().of(name);
        row.describe(format!("{} {at}", name.replace('-', " ")), false);
        row.set_state(
            SourceState::Unreadable,
            format!("cannot listen on {at}: {error}; choose another port in config.toml, section [intake]"),
        );
    };
    if let Some(at) = config.intake.syslog_udp {
        match tokio::net::UdpSocket::bind(at).await {
            Ok(socket) => {
                tasks.push(tokio::spawn(intake::udp_syslog(socket, UdpSyslog::default(), delivery.clone())))
            }
            Err(error) => refused("syslog-udp", at, error),
        }
    }
    if let Some(at) = config.intake.syslog_tcp {
        match TcpListener::bind(at).await {
            Ok(listener) => {
                tasks.push(tokio::spawn(intake::tcp_syslog(
                    listener,
                    TcpSyslog::default(),
                    delivery.clone(),
                )));
            }
            Err(error) => refused("syslog-tcp", at, error),
        }
    }
    Ok(tasks)
}

/// Starts to read what the families find on this machine, and the files that the configuration adds.
fn watch_machine(config: &NodeConfig, host: &Arc<dyn Host>, delivery: &Delivery) -> Vec<JoinHandle<()>> {
    let watcher = Watcher::start(delivery.stop().clone());
    let mut tasks = Vec::new();
    for solution in covigil_catalog::solutions() {
        for plan in (solution.discover)(host.as_ref()) {
            if !config.disabled_sources.contains(&plan.name) {
                tasks.extend(intake::start(&plan, host, &watcher, delivery));
            }
        }
    }
    for file in &config.files {
        let name = format!("file:{}", file.path.display()).replace([' ', '#'], "_");
        let tail = intake::Tail {
            path: file.path.clone(),
            source: name.as_str().into(),
            parser: file.parser.as_str().into(),
            framing: intake::Framing::Lines,
        };
        delivery.sources().of(&name).describe(format!("file {}", file.path.display()), true);
        tasks.push(tokio::spawn(intake::tail(tail, Arc::clone(&watcher), delivery.clone())));
    }
    tasks
}
