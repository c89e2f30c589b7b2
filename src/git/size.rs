//! How much disk the caches take. The trap: packs come and go while this counts; what is gone meanwhile counts nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A size stands for this long: counting asks the disk about every file.
const STANDS: Duration = Duration::from_secs(60);

/// The size as it was last counted.
#[derive(Default)]
pub struct Measured(tokio::sync::Mutex<Option<(Instant, u64)>>);

impl Measured {
    /// Bytes of all files below `folder`, at most a minute old. Of many who ask at once one counts.
    pub async fn bytes(&self, folder: &Path) -> u64 {
        let mut last = self.0.lock().await;
        if let Some((counted, bytes)) = *last
            && counted.elapsed() < STANDS
        {
            return bytes;
        }
        let folder = folder.to_owned();
        let bytes = tokio::task::spawn_blocking(move || below(&folder)).await.unwrap_or(0);
        *last = Some((Instant::now(), bytes));
        bytes
    }
}

/// Bytes of all files below a folder; links are not followed.
pub(super) fn below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => below(&entry.path()),
        // Links are not followed: what they lead to is not ours.
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_files_count_and_links_do_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let pack = folder.path().join("main/1.git/objects/pack");
        fs::create_dir_all(&pack).expect("made");
        fs::write(pack.join("one.pack"), [0; 300]).expect("written");
        fs::write(folder.path().join("history"), [0; 40]).expect("written");
        std::os::unix::fs::symlink("/", folder.path().join("elsewhere")).expect("linked");
        let measured = Measured::default();
        assert_eq!(measured.bytes(folder.path()).await, 340);
        fs::write(pack.join("two.pack"), [0; 60]).expect("written");
        assert_eq!(measured.bytes(folder.path()).await, 340, "it stands for a minute");
        assert_eq!(Measured::default().bytes(folder.path()).await, 400);
        assert_eq!(Measured::default().bytes(&folder.path().join("nowhere")).await, 0);
    }
}
