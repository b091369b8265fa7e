//! Waking readers of files when there is something new: inotify on the files' folders, so that
//! idle files cost nothing, and a slow poll beside it for file systems that do not tell.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::{io::unix::AsyncFd, sync::Notify};
use tokio_util::sync::CancellationToken;

/// Readers look without being told once in this time.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// Tells readers of files when their file may have changed.
pub struct Watcher {
    fd: Option<AsyncFd<OwnedFd>>,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    folders: HashMap<PathBuf, i32>,
    readers: HashMap<(i32, OsString), Vec<Arc<Notify>>>,
}

impl Watcher {
    /// A watcher that serves until `stop`. Where the kernel has no more inotify instances to give,
    /// readers poll. Must be called within a runtime.
    pub fn start(stop: CancellationToken) -> Arc<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(io::Error::from)
            // SAFETY: an `OwnedFd` is open, and the same descriptor, for as long as it lives, and
            // the `AsyncFd` owns it.
            .and_then(|fd| unsafe { AsyncFd::register(fd) }.map_err(io::Error::from));
        let fd = fd
            .inspect_err(|error| tracing::warn!(%error, "no inotify; files are polled every two seconds"))
            .ok();
        let watcher = Arc::new(Self { fd, watched: Mutex::default() });
        let running = Arc::clone(&watcher);
        tokio::spawn(async move {
            tokio::select! {
                () = running.run() => {}
                () = stop.cancelled() => {}
            }
        });
        watcher
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is notified when the file at `path` changes, appears, or is replaced.
    pub(super) fn watch(&self, path: &Path) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let (Some(fd), Some(name)) = (&self.fd, path.file_name()) else { return notify };
        let mut watched = self.watched();
        let number = match watched.folders.get(folder) {
            Some(number) => *number,
            None => {
                let flags =
                    WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
                match inotify::add_watch(fd.get_ref().as_fd(), folder, flags) {
                    Ok(number) => {
                        watched.folders.insert(folder.to_owned(), number);
                        number
                    }
                    Err(error) => {
                        tracing::warn!(folder = %folder.display(), %error, "folder is polled, not watched");
                        return notify;
                    }
                }
            }
        };
        watched.readers.entry((number, name.to_owned())).or_default().push(Arc::clone(&notify));
        notify
    }

    async fn run(&self) {
        let Some(fd) = &self.fd else { return };
        let mut space = [MaybeUninit::uninit(); 16 << 10];
        loop {
            let Ok(mut ready) = fd.readable().await else { return };
            let mut changed: Vec<(i32, OsString)> = Vec::new();
            let mut all = false;
            let mut reader = inotify::Reader::new(fd.get_ref(), &mut space);
            loop {
                match reader.next() {
                    Ok(event) => {
                        all |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                        let Some(name) = event.file_name() else { continue };
                        let key = (event.wd(), OsString::from_vec(name.to_bytes().to_vec()));
                        if !changed.contains(&key) {
                            changed.push(key);
                        }
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
                // A folder in which much goes on must not keep the news from the readers.
                if reader.is_buffer_empty() && changed.len() >= 256 {
                    break;
                }
            }
            ready.clear_ready();
            {
                let mut watched = self.watched();
                for (key, readers) in &mut watched.readers {
                    if all || changed.contains(key) {
                        readers.retain(|r| Arc::strong_count(r) > 1);
                        readers.iter().for_each(|r| r.notify_one());
                    }
                }
            }
            // Together with the batch that a reader takes, this bounds the work on a busy folder.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
