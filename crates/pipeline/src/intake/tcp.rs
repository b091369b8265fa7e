//! Syslog over TCP (RFC 6587): many connections, each held back by itself while the log is full.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use covigil_model::{Time, health::SourceState};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::{Collector, Delivery, MAX_RECORD, Sender, Senders, SyslogFraming};
use crate::sources::SourceStats;

/// How a TCP listener for syslog behaves.
#[derive(Debug, Clone)]
pub struct TcpSyslog {
    /// The longest message, in bytes.
    pub max_message: usize,
    /// Connections at a time; further ones are closed at once, and counted in the health detail.
    pub max_connections: usize,
    /// A connection that sends nothing for this long is closed.
    pub idle: Duration,
}

impl Default for TcpSyslog {
    fn default() -> Self {
        Self { max_message: MAX_RECORD, max_connections: 1_024, idle: Duration::from_secs(15 * 60) }
    }
}

/// Serves syslog on a listener that is already bound, until stopped. The listener's own row in the
/// books is `syslog-tcp`; records go under `syslog:ADDRESS` of their sender.
pub async fn tcp_syslog(listener: TcpListener, settings: TcpSyslog, delivery: Delivery) {
    let health = delivery.sources().of("syslog-tcp");
    let at = listener.local_addr().map_or_else(|_| String::from("?"), |a| a.to_string());
    health.describe(format!("syslog tcp {at}"), false);
    let senders = Arc::new(Mutex::new(Senders::new()));
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let mut connections = JoinSet::new();
    let mut turned_away = 0u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = delivery.stop().cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a connection that died at once: both pass.
                health.set_state(SourceState::Live, format!("a connection could not be accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            turned_away += 1;
            let most = settings.max_connections;
            health.set_state(
                SourceState::Live,
                format!("{turned_away} connections turned away: more than {most} at a time; raise the limit"),
            );
            continue;
        };
        let sender = senders.lock().unwrap_or_else(PoisonError::into_inner).of(peer.ip(), delivery.sources());
        let (settings, delivery, health) = (settings.clone(), delivery.clone(), Arc::clone(&health));
        connections.spawn(async move {
            let _place = place;
            let connection = Connection::new(sender, &settings, delivery, health);
            if let Err(error) = connection.serve(stream, settings.idle).await {
                tracing::debug!(%peer, %error, "syslog connection ended");
            }
        });
    }
    // Connections end by the same signal, after what they have read is durable or given back.
    while connections.join_next().await.is_some() {}
}

struct Connection {
    framing: SyslogFraming,
    collector: Collector,
    row: Arc<SourceStats>,
    delivery: Delivery,
    health: Arc<SourceStats>,
}

impl Connection {
    fn new(sender: Sender, settings: &TcpSyslog, delivery: Delivery, health: Arc<SourceStats>) -> Self {
        Self {
            framing: SyslogFraming::new(settings.max_message),
            row: delivery.sources().of(&sender.source),
            collector: Collector::new(sender.source, "auto".into(), Some(sender.address)),
            delivery,
            health,
        }
    }

    async fn serve(mut self, mut stream: TcpStream, idle: Duration) -> io::Result<()> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = tokio::select! {
                read = tokio::time::timeout(idle, stream.read(&mut chunk)) => read,
                () = self.delivery.stop().cancelled() => return Ok(()),
            };
            let n = match read {
                Ok(Ok(n)) => n,
                // The sender broke off: what came whole is kept, and so is the beginning of what
                // did not, since nothing else will bring it.
                Ok(Err(error)) => {
                    self.end().await;
                    return Err(error);
                }
                Err(_) => 0,
            };
            if n == 0 {
                self.end().await;
                return Ok(());
            }
            self.framing.push(&chunk[..n]);
            if !self.drain().await {
                return Ok(());
            }
        }
    }

    /// Delivers all complete records. While this waits for the log nothing is read, so that TCP
    /// holds the sender back. `false` when the program stops.
    async fn drain(&mut self) -> bool {
        let now = Time::now();
        loop {
            let mut more = false;
            while let Some(record) = self.framing.next_record() {
                self.collector.push(record, now);
                if self.collector.is_full() {
                    more = true;
                    break;
                }
            }
            let lost = self.framing.take_too_long();
            if lost > 0 {
                self.row.lost(lost);
            }
            if !self.collector.is_empty() {
                let batch = self.collector.take();
                if self.delivery.deliver(batch, &self.health).await.is_err() {
                    return false;
                }
            }
            if !more {
                return true;
            }
        }
    }

    /// Delivers what is left when the connection has ended.
    async fn end(&mut self) {
        while self.framing.finish() {
            if !self.drain().await {
                return;
            }
        }
    }
}
