//! State that is looked at again and again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use covigil_pipeline::intake::{Snapshot, snapshot};
use covigil_solution::Host;

use crate::support::{Bench, until};

struct NoHost;

impl Host for NoHost {
    fn hostname(&self) -> String {
        "test".into()
    }
    fn read(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn check_readable(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
    fn read_link(&self, _: &Path) -> io::Result<PathBuf> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn program(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

static LOOKS: AtomicU32 = AtomicU32::new(0);

fn take(_: &dyn Host) -> io::Result<Vec<String>> {
    let object = |key: u32| format!("{{\"kind\":\"listener\",\"key\":\"{key}\"}}");
    match LOOKS.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(vec![object(1), object(2)]),
        1 => Err(io::Error::other("the table cannot be read")),
        _ => Ok(vec![object(2), object(3)]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_changes_become_records_also_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = Snapshot {
        source: "listeners".into(),
        description: "listening services".into(),
        parser: "snapshot".into(),
        every: Duration::from_secs(1),
        take,
    };
    for round in 0..2 {
        let bench = Bench::open(dir.path());
        let task = tokio::spawn(snapshot(state.clone(), Arc::new(NoHost), bench.delivery.clone()));
        if round == 0 {
            until(|| bench.detail("listeners").contains("cannot be read")).await;
        }
        bench.wait_for(4).await;
        let looks = LOOKS.load(Ordering::SeqCst);
        until(|| LOOKS.load(Ordering::SeqCst) > looks + 1).await;
        let texts = bench.texts();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts[0].contains("present") && texts[2].contains("added") && texts[3].contains("removed"));
        bench.stop.cancel();
        task.await.unwrap();
    }
}
