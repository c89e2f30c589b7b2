//! A PostgreSQL of the tests' own, from Debian's programs: a cluster in a temporary folder, reached by a socket in it. It
//! ends with the last test that uses it, and with the process, however that ends.

use std::ffi::OsString;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A running cluster.
pub struct Cluster {
    server: Mutex<Option<Running>>,
    databases: AtomicUsize,
    folder: tempfile::TempDir,
}

/// The thread that started the server waits until `end` is dropped.
struct Running {
    end: mpsc::Sender<()>,
    keeper: thread::JoinHandle<()>,
}

impl Cluster {
    /// The cluster of this process: started by the first who asks, stopped when nobody uses it any more.
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = running.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start());
        *running = Arc::downgrade(&cluster);
        cluster
    }

    /// A cluster that nobody else uses: it can be stopped.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let user = ServerUser::find();
        if let Some((uid, gid)) = user.ids {
            chown(folder.path(), Some(uid), Some(gid)).expect("the folder is the server's");
        }
        let data = folder.path().join("data");
        let made = user
            .command("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let cluster = Self { server: Mutex::new(None), databases: AtomicUsize::new(0), folder };
        cluster.run();
        cluster
    }

    /// Runs the server, again after [`Self::halt`].
    pub fn run(&self) {
        let (end, ended) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let place = self.folder.path().to_owned();
        let keeper = thread::spawn(move || keep(&place, &ready, &ended));
        is_ready.recv().expect("the server starts");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { end, keeper });
    }

    /// Stops the server; its data stay.
    pub fn halt(&self) {
        if let Some(Running { end, keeper }) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(end);
            let _ = keeper.join();
        }
    }

    /// The address of a new and empty database.
    pub async fn database(&self) -> String {
        use sqlx::Connection;
        let name = format!("gate{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = sqlx::PgConnection::connect(&self.url("postgres")).await.expect("the server answers");
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .expect("made");
        connection.close().await.expect("closed");
        self.url(&name)
    }

    /// The address of a database by its name.
    pub fn url(&self, name: &str) -> String {
        format!("postgres:///{name}?user=postgres&host={}", self.folder.path().display())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Runs the server until `ended` hangs up.
fn keep(folder: &Path, ready: &mpsc::Sender<()>, ended: &mpsc::Receiver<()>) {
    let mut server = ServerUser::find()
        .command("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        // What is tested is what we ask for, not whether this machine survives a loss of power.
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"])
        .stdout(Stdio::null())
        .stderr(Stdio::from(std::fs::File::create(folder.join("log")).expect("a log")))
        .spawn()
        .expect("postgres runs");
    let began = Instant::now();
    while !is_answering(folder) {
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(server.try_wait().expect("a process").is_none(), "the server ended: {}", log());
        assert!(began.elapsed() < Duration::from_secs(60), "the server does not answer: {}", log());
        thread::yield_now();
    }
    let _ = ready.send(());
    let _ = ended.recv();
    stop(&mut server);
}

fn is_answering(folder: &Path) -> bool {
    let asked = Command::new(programs().join("pg_isready"))
        .args(["-q", "-t", "1", "-h"])
        .arg(folder)
        .status()
        .expect("pg_isready runs");
    asked.success()
}

/// SIGINT: the server ends at once and in order.
fn stop(server: &mut Child) {
    let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
    let _ = server.wait();
}

/// PostgreSQL refuses to run as root: then it runs as the user of Debian's package.
struct ServerUser {
    ids: Option<(u32, u32)>,
}

impl ServerUser {
    fn find() -> Self {
        use std::os::unix::fs::MetadataExt;
        let me = std::fs::metadata("/proc/self").expect("a process").uid();
        let ids = (me == 0).then(|| {
            let users = std::fs::read_to_string("/etc/passwd").expect("users");
            let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user `postgres`");
            let mut ids = line.split(':').skip(2).map(|id| id.parse::<u32>().expect("a number"));
            (ids.next().expect("a user"), ids.next().expect("a group"))
        });
        Self { ids }
    }

    fn command(&self, program: &str) -> Command {
        let program: OsString = programs().join(program).into();
        // The signal comes when the thread that started it ends, so also when the process is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if let Some((uid, gid)) = self.ids {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        command.arg(program).current_dir("/");
        command
    }
}

/// The newest of the installed versions.
fn programs() -> PathBuf {
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let installed = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL's programs (Debian: postgresql)");
    let newest = installed.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(version).expect("a version");
    newest.join("bin")
}
