//! What storing events costs: CPU per event and bytes per event, by part, and what skipping saves.
//!
//! `cargo bench -p covigil-store --bench events -- [MILLIONS]` prints one table. The data is
//! synthetic: JSON of about 600 bytes, 14 columns, generated from a seed. With `KEEP=DIR` the table
//! stays in that directory, to be read by other tools.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use covigil_model::{Attr, Class, Event, EventId, OpContext, Severity, TenantId, Time, json::flatten};
use covigil_store::{
    events::{EventStore, EventStoreConfig},
    wal::Position,
};
use rustix::time::{ClockId, clock_gettime};

/// A small generator of numbers, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Small numbers often, large ones seldom.
    fn skewed(&mut self, bound: u64) -> u64 {
        let a = self.below(bound);
        self.below(a + 1)
    }
}

const COLUMNS: [(&str, Attr); 14] = [
    ("host", Attr::DeviceHostname),
    ("user", Attr::UserName),
    ("image", Attr::ProcessPath),
    ("command_line", Attr::ProcessCmdLine),
    ("pid", Attr::ProcessPid),
    ("parent_image", Attr::ParentPath),
    ("parent_pid", Attr::ParentPid),
    ("src_ip", Attr::SrcIp),
    ("src_port", Attr::SrcPort),
    ("dst_ip", Attr::DstIp),
    ("dst_port", Attr::DstPort),
    ("hashes", Attr::FileHashes),
    ("event_id", Attr::EventCode),
    ("message", Attr::Message),
];

fn original(random: &mut Random, time: Time, out: &mut String) {
    out.clear();
    let (image, user, host) = (random.skewed(300), random.skewed(500), random.skewed(200));
    let (pid, port) = (random.below(20_000) * 4, random.below(16_384) + 49_152);
    let hash = image.wrapping_mul(0x1234_5678_9abc_def1) ^ random.below(16);
    let id = random.next();
    let unique = random.next() | 1;
    let needle = if random.below(700_000) == 0 { " -enc mimikatz" } else { "" };
    let _ = write!(
        out,
        r#"{{"timestamp":"{time}","host":"srv-{host:03}.corp.example.com","user":"CORP\\user{user:03}","event_id":"{}","image":"C:\\Program Files\\Vendor{}\\bin\\program{image}.exe","command_line":"\"C:\\Program Files\\Vendor{}\\bin\\program{image}.exe\" --task {} --id {id:016x}{needle}","pid":{pid},"parent_image":"C:\\Windows\\System32\\{}.exe","parent_pid":{},"src_ip":"10.{}.{}.{}","src_port":{port},"dst_ip":"203.0.{}.{}","dst_port":{},"hashes":"SHA256={:016X}{:016X}{:016X}{:016X}","message":"Process program{image}.exe started by CORP\\user{user:03} on srv-{host:03}"}}"#,
        [4688, 1, 3, 4624, 5156][random.skewed(5) as usize],
        image % 17,
        image % 17,
        ["sync", "update", "report", "clean"][random.below(4) as usize],
        ["services", "svchost", "explorer", "cmd", "powershell"][random.skewed(5) as usize],
        random.below(5_000) * 4,
        host % 4,
        host,
        user % 250,
        random.skewed(40),
        random.below(250),
        [443, 80, 53, 445, 3389, 22][random.skewed(6) as usize],
        hash.wrapping_mul(unique),
        hash.wrapping_mul(3) ^ unique,
        hash.wrapping_mul(5),
        hash.wrapping_mul(7),
    );
}

fn fill(event: &mut Event, number: u64, text: &str, time: Time) {
    event.reset(text);
    event.id = EventId { source: event.id.source.clone(), sequence: number };
    (event.time, event.received) = (time, time.plus_nanos(3_000_000));
    event.class = Class::PROCESS;
    event.severity = Severity::Informational;
    event.log_source.set("windows", &["security"], &["process_creation"]);
    if flatten(event, 0, text.len()).is_err() {
        return;
    }
    for (name, attr) in COLUMNS {
        if let Some(field) = event.find(name) {
            event.set_attr(attr, field.value);
        }
    }
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let millions: f64 = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1.0);
    let total = (millions * 1e6) as u64;
    let scratch = std::env::temp_dir().join(format!("covigil-bench-{}", std::process::id()));
    let kept = std::env::var_os("KEEP").map(std::path::PathBuf::from);
    let dir = kept.clone().unwrap_or_else(|| scratch.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    runtime.block_on(run(&dir, total))?;
    if kept.is_none() {
        std::fs::remove_dir_all(&scratch)?;
    }
    Ok(())
}

async fn run(dir: &std::path::Path, total: u64) -> Result<(), Box<dyn std::error::Error>> {
    let tenant = TenantId::derived(&[b"bench"]);
    let mut config = EventStoreConfig::new(dir, tenant);
    (config.memory, config.flush_rows, config.flush_bytes) = (usize::MAX, usize::MAX, usize::MAX);
    let (store, _) = EventStore::open(config).await?;
    let mut random = Random(7);
    let mut events: Vec<Event> = vec![Event::new(); 4_096];
    for event in &mut events {
        (event.parser, event.id.source) = (Arc::from("json"), Arc::from("winlog-forwarder"));
    }
    let mut text = String::new();
    let start = Time::now().plus_secs(-86_400).plus_nanos(0);
    let (mut number, mut raw, mut append, mut flush) = (0u64, 0usize, 0.0, 0.0);
    let mut sample = String::new();
    while number < total {
        let count = (total - number).min(4_096) as usize;
        for event in &mut events[..count] {
            number += 1;
            let time = Time::from_millis(start.millis() + (number / 5) as i64);
            original(&mut random, time, &mut text);
            raw += text.len();
            if number < 100_000 {
                sample.push_str(&text);
                sample.push('\n');
            }
            fill(event, number, &text, time);
        }
        let before = cpu();
        store.append(&events[..count], Position(number)).await?;
        append += cpu() - before;
        if number % (4_096 * 64) == 0 || number == total {
            let before = cpu();
            store.flush().await?;
            flush += cpu() - before;
        }
    }
    let per = |bytes: u64| bytes as f64 / total as f64;
    let ctx = OpContext::system(tenant, "bench", Time::now());
    println!("{total} events of {:.0} bytes", raw as f64 / total as f64);
    let packed = zstd::bulk::compress(sample.as_bytes(), 3)?.len() as f64;
    println!("the first 100,000 as text, zstd -3: {:.0} bytes/event", packed / 1e5_f64.min(total as f64));
    println!(
        "append {:.2} µs/event, flush {:.2} µs/event, together {:.0} events/s/core",
        append / total as f64 * 1e6,
        flush / total as f64 * 1e6,
        total as f64 / (append + flush)
    );
    let sizes = |store: &EventStore| -> Result<(u64, u64, usize), Box<dyn std::error::Error>> {
        let files = store.snapshot(&ctx)?.files;
        Ok((files.iter().map(|f| f.bytes).sum(), files.iter().map(|f| f.sidecar_bytes).sum(), files.len()))
    };
    let (parquet, sidecar, files) = sizes(&store)?;
    println!("flushed: {files} files, {:.1} + {:.1} bytes/event", per(parquet), per(sidecar));
    let before = cpu();
    let done = store.maintain().await?;
    let spent = cpu() - before;
    let (parquet, sidecar, files) = sizes(&store)?;
    println!(
        "compacted {} files in {:.2} µs/event: {files} files, {:.1} + {:.1} bytes/event",
        done.compacted,
        spent / total as f64 * 1e6,
        per(parquet),
        per(sidecar)
    );
    let snapshot = store.snapshot(&ctx)?;
    for needle in ["mimikatz", "program299.exe", "absent text", "10.3.199.19"] {
        let before = Instant::now();
        let (mut found, mut all) = (0, 0);
        for file in &snapshot.files {
            let set = file.candidate_chunks(&[needle]);
            (found, all) = (found + set.len(), all + set.total());
        }
        println!("{needle:?}: {found} of {all} chunks, {:.1} ms", before.elapsed().as_secs_f64() * 1e3);
    }
    let before = Instant::now();
    let (mut found, mut all) = (0, 0);
    for file in &snapshot.files {
        if let Some(sidecar) = file.sidecar()? {
            let set = sidecar.value_chunks("src_endpoint.ip", "10.3.199.19");
            (found, all) = (found + set.len(), all + set.total());
        }
    }
    println!(
        "src_endpoint.ip = 10.3.199.19: {found} of {all} chunks, {:.1} ms",
        before.elapsed().as_secs_f64() * 1e3
    );
    if std::env::var_os("COLUMNS").is_some() {
        columns(&snapshot.files[0].location())?;
    }
    Ok(())
}

/// Prints what each column of a file takes.
fn columns(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let reader = SerializedFileReader::new(std::fs::File::open(path)?)?;
    let meta = reader.metadata();
    let rows = meta.file_metadata().num_rows() as f64;
    let mut sizes: Vec<(f64, String)> = Vec::new();
    let mut pages = 0.0;
    for at in 0..meta.file_metadata().schema_descr().num_columns() {
        let size: i64 = meta.row_groups().iter().map(|g| g.column(at).compressed_size()).sum();
        pages += size as f64;
        sizes.push((size as f64 / rows, meta.row_group(0).column(at).column_path().string()));
    }
    sizes.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (size, name) in sizes.iter().take(25) {
        println!("  {size:6.2} {name}");
    }
    println!("  {:6.2} footer and indexes", std::fs::metadata(path)?.len() as f64 / rows - pages / rows);
    Ok(())
}
