//! Syslog over UDP (RFC 5426). A sender cannot be held back: what the kernel drops because nobody
//! reads is counted from the socket's own counter.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use covigil_model::{Time, health::SourceState};
use covigil_store::wal::{Batch, NewRecord};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{BATCH_BYTES, BATCH_RECORDS, Delivery, Sender, Senders};
use crate::sources::SourceStats;

/// How a UDP listener for syslog behaves.
#[derive(Debug, Clone)]
pub struct UdpSyslog {
    /// Bytes of kernel buffer to ask for; the kernel's own limit (`net.core.rmem_max`) wins.
    pub receive_buffer: usize,
}

impl Default for UdpSyslog {
    fn default() -> Self {
        Self { receive_buffer: 8 << 20 }
    }
}

/// Batches that wait for the log.
const WAITING: usize = 8;

/// Serves syslog on a socket that is already bound, until stopped. Losses are booked on the
/// listener's own row `syslog-udp`; records go under `syslog:ADDRESS` of their sender.
pub async fn udp_syslog(socket: UdpSocket, settings: UdpSyslog, delivery: Delivery) {
    let health = delivery.sources().of("syslog-udp");
    let at = socket.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    health.describe(format!("syslog udp {at}"), false);
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(socket.as_fd(), settings.receive_buffer);
    // Reading and appending run side by side: the socket is emptied while the log syncs.
    let (full, waiting) = mpsc::channel(WAITING);
    let writer = tokio::spawn(write(waiting, delivery.clone(), Arc::clone(&health)));
    let mut drops = DropCounter::of(&socket);
    let mut reader = Reader {
        senders: Senders::new(),
        delivery,
        parser: "auto".into(),
        batch: Batch::default(),
        bytes: 0,
    };
    let mut buffer = vec![0; 65_536];
    let mut look = interval(Duration::from_secs(1));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ready = socket.readable() => {
                if let Err(error) = ready {
                    health.set_state(SourceState::Unreadable, format!("the socket failed: {error}"));
                    break;
                }
            }
            _ = look.tick() => {
                drops.book(&health);
                continue;
            }
            () = reader.delivery.stop().cancelled() => break,
        }
        reader.read_all(&socket, &mut buffer);
        if !reader.batch.records.is_empty() {
            reader.bytes = 0;
            let batch = std::mem::take(&mut reader.batch);
            // Waits while the log is behind; the kernel's buffer fills, then drops and counts.
            let sent = tokio::select! {
                sent = full.send(batch) => sent.is_ok(),
                () = reader.delivery.stop().cancelled() => false,
            };
            if !sent {
                break;
            }
        }
    }
    drop(full);
    let _ = writer.await;
    drops.book(&health);
}

struct Reader {
    senders: Senders,
    delivery: Delivery,
    parser: Arc<str>,
    batch: Batch,
    bytes: usize,
}

impl Reader {
    /// Reads datagrams until there are no more, or the batch is full.
    fn read_all(&mut self, socket: &UdpSocket, buffer: &mut [u8]) {
        let received = Time::now();
        let mut last: Option<(IpAddr, Sender)> = None;
        while self.batch.records.len() < BATCH_RECORDS && self.bytes < BATCH_BYTES {
            let (n, peer) = match socket.try_recv_from(buffer) {
                Ok(received) => received,
                // An ICMP error of an earlier answer is no concern of a receiver.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => break,
            };
            let mut data = &buffer[..n];
            while let [head @ .., b'\n' | b'\r' | 0] = data {
                data = head;
            }
            if data.is_empty() {
                continue;
            }
            let sender = match &last {
                Some((address, sender)) if *address == peer.ip() => sender.clone(),
                _ => {
                    let sender = self.senders.of(peer.ip(), self.delivery.sources());
                    last = Some((peer.ip(), sender.clone()));
                    sender
                }
            };
            self.bytes += data.len();
            self.batch.records.push(NewRecord {
                source: sender.source,
                parser: Arc::clone(&self.parser),
                peer: Some(sender.address),
                received,
                data: Bytes::copy_from_slice(data),
            });
        }
    }
}

async fn write(mut waiting: mpsc::Receiver<Batch>, delivery: Delivery, health: Arc<SourceStats>) {
    while let Some(mut batch) = waiting.recv().await {
        // What has gathered meanwhile goes with it, in one append.
        while batch.records.len() < BATCH_RECORDS / 2 {
            let Ok(next) = waiting.try_recv() else { break };
            batch.records.extend(next.records);
        }
        let records = batch.records.len() as u64;
        if delivery.deliver(batch, &health).await.is_err() {
            health.lost(records);
        }
    }
}

/// The kernel's count of datagrams that this socket dropped, from `/proc/net/udp`.
struct DropCounter {
    table: &'static str,
    inode: Option<String>,
    seen: u64,
}

impl DropCounter {
    fn of(socket: &UdpSocket) -> Self {
        let v6 = socket.local_addr().is_ok_and(|a| a.is_ipv6());
        let inode = rustix::fs::fstat(socket.as_fd()).ok().map(|stat| stat.st_ino.to_string());
        Self { table: if v6 { "/proc/self/net/udp6" } else { "/proc/self/net/udp" }, inode, seen: 0 }
    }

    fn book(&mut self, health: &SourceStats) {
        let Some(inode) = self.inode.as_deref() else { return };
        let Ok(table) = fs::read_to_string(self.table) else { return };
        let row = table.lines().skip(1).find(|line| line.split_ascii_whitespace().nth(9) == Some(inode));
        let drops = row.and_then(|line| line.split_ascii_whitespace().last()).and_then(|n| n.parse().ok());
        if let Some(drops) = drops
            && drops > self.seen
        {
            health.lost(drops - self.seen);
            self.seen = drops;
        }
    }
}
