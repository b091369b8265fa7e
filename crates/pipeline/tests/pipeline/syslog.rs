//! Syslog over TCP and UDP.

use std::time::Duration;

use covigil_model::Time;
use covigil_pipeline::intake::{TcpSyslog, UdpSyslog, tcp_syslog, udp_syslog};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::support::{Bench, until};

async fn listen(bench: &Bench, settings: TcpSyslog) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(tcp_syslog(listener, settings, bench.delivery.clone()));
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_framings_arrive_and_lying_counts_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let at = listen(&bench, TcpSyslog { max_message: 1_000, ..TcpSyslog::default() }).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"<13>line\n9 <13>count5 <13>hello\n999999999 <13>liar\n").await.unwrap();
    stream.write_all(&[b'x'; 5_000]).await.unwrap();
    stream.write_all(b"\n<13>bad \xff\0 bytes\n<13>no end").await.unwrap();
    drop(stream);
    let texts = bench.wait_for(7).await;
    let expected = [
        "<13>line",
        "<13>count",
        "<13>h",
        "ello",
        "999999999 <13>liar",
        "<13>bad \u{fffd}\0 bytes",
        "<13>no end",
    ];
    assert_eq!(texts, expected);
    let health = bench.sources.of("syslog:127.0.0.1").health(Time::now());
    assert_eq!((health.records, health.lost), (7, 1));
    assert_eq!(bench.records()[0].peer.as_deref(), Some("127.0.0.1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_over_the_limit_and_idle_ones_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let settings = TcpSyslog { max_connections: 1, idle: Duration::from_millis(300), ..TcpSyslog::default() };
    let at = listen(&bench, settings).await;
    let mut first = TcpStream::connect(at).await.unwrap();
    first.write_all(b"<13>a\n<13>unfinished").await.unwrap();
    bench.wait_for(1).await;
    let mut second = TcpStream::connect(at).await.unwrap();
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(bench.detail("syslog-tcp").contains("turned away"));
    assert_eq!(first.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(bench.wait_for(2).await[1], "<13>unfinished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_the_sender_back_and_nothing_is_lost_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let at = listen(&bench, TcpSyslog::default()).await;
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(b"<13>before\n").await.unwrap();
    bench.wait_for(1).await;
    bench.disk.fill(true);
    // More than all buffers on the way can hold: the sender gets stuck.
    let line = format!("<13>{}\n", "x".repeat(1_000));
    let sender = tokio::spawn(async move {
        for _ in 0..40_000 {
            stream.write_all(line.as_bytes()).await.unwrap();
        }
    });
    until(|| bench.detail("syslog-tcp").contains("held back")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sender.is_finished(), "the sender was not held back");
    assert_eq!(bench.records().len(), 1);
    bench.disk.fill(false);
    sender.await.unwrap();
    bench.wait_for(40_001).await;
    let records = bench.records();
    assert_eq!(records.len(), 40_001);
    assert!(records.iter().enumerate().all(|(n, r)| r.id.sequence == n as u64 + 1));
    assert_eq!(bench.detail("syslog-tcp"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_are_stored_or_counted_as_lost() {
    const SENT: u64 = 30_000;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let settings = UdpSyslog { receive_buffer: 4_096 };
    let server = tokio::spawn(udp_syslog(socket, settings, bench.delivery.clone()));
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    bench.disk.fill(true);
    for n in 0..SENT {
        client.send_to(format!("<13>datagram {n}\n").as_bytes(), at).await.unwrap();
    }
    bench.disk.fill(false);
    let listener = bench.sources.of("syslog-udp");
    let sender = bench.sources.of("syslog:127.0.0.1");
    until(|| sender.health(Time::now()).records + listener.losses() >= SENT).await;
    bench.stop.cancel();
    server.await.unwrap();
    let stored = bench.records().len() as u64;
    assert_eq!(stored + listener.losses(), SENT);
    assert!(listener.losses() > 0, "the flood was to overrun the buffer");
    assert!(stored > 0);
    assert!(bench.texts()[0].starts_with("<13>datagram "));
}
