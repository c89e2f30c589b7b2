//! Two replicas on one PostgreSQL, as a deployment runs them: the program twice, one configuration, every delivery to both at the
//! same moment. There is one pull request, one branch and one answer, and nothing is said twice, whoever is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::http::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::host::{BOT, eventually};
use crate::ours::{self, branch, number, of_bot, the_open_one};
use crate::postgres::Cluster;
use crate::world::{CORE, Setting, TEMPLATE, World, manifest};

const REPAIR: &str = "[[gate.repair]]\nkind = \"pin\"\n";
/// How often the template moves on.
const ROUNDS: usize = 12;

/// The program, running; killed when dropped.
struct Replica {
    process: Child,
    url: String,
    log: Arc<Mutex<String>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Replica {
    /// Starts it in a folder of its own, and waits until it listens.
    async fn start(config: &Path, folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drift-gate"));
        command.arg("serve").arg("--config").arg(config).current_dir(folder).env("RUST_LOG", "drift_gate=info");
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let said = BufReader::new(process.stderr.take().expect("its log"));
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let mut log = kept.lock().expect("the log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let url = eventually("the replica listens", async || {
            let log = log.lock().expect("the log").clone();
            let line = log.lines().find_map(|line| line.split_once("listening on "));
            line.map(|(_, address)| address.trim().to_owned()).ok_or(log)
        })
        .await;
        Self { process, url, log }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        // It may have ended by itself; either way nothing must be left behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// How often it said so.
    fn said(&self, words: &str) -> usize {
        self.log.lock().expect("the log").matches(words).count()
    }
}

/// The forge with both repositories, in sync, and a database that replicas share.
struct Fleet {
    world: World,
    database: String,
    config: PathBuf,
    folder: tempfile::TempDir,
    replicas: Vec<Replica>,
    _cluster: Arc<Cluster>,
}

impl Fleet {
    async fn new() -> Self {
        let world = World::before_the_first_look(Setting { gate: REPAIR, ..Setting::default() }).await;
        // Starting a server takes a moment, and may wait for another story that starts it.
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("a cluster");
        let database = cluster.database().await;
        let folder = tempfile::tempdir().expect("a folder");
        let text = world.config().replace("[server]\n", "[server]\nlisten = \"127.0.0.1:0\"\n");
        let lines = text.lines().map(|line| match line.starts_with("url = \"sqlite://") {
            true => format!("url = \"{database}\"\n"),
            false => format!("{line}\n"),
        });
        let config = folder.path().join("drift-gate.toml");
        std::fs::write(&config, lines.collect::<String>()).expect("written");
        Self { world, database, config, folder, replicas: Vec::new(), _cluster: cluster }
    }

    async fn start_one_more(&mut self) {
        let folder = self.folder.path().join(format!("replica-{}", self.replicas.len()));
        self.replicas.push(Replica::start(&self.config, folder).await);
        self.world.relay.to_all(self.replicas.iter().map(|replica| replica.url.clone()).collect());
    }

    async fn start_both(&mut self) {
        self.start_one_more().await;
        self.start_one_more().await;
        self.world.expect(CORE, &self.world.core_head, "success", "").await;
        self.world.expect(TEMPLATE, &self.world.template_head, "success", "").await;
    }

    /// The leases of those who are gone end, as they do by themselves after two minutes.
    async fn leases_end(&self) {
        let mut database = PgConnection::connect(&self.database).await.expect("the server answers");
        for table in ["looks", "pulls", "wanted", "comments", "answers"] {
            let statement = format!("UPDATE {table} SET leased_until = 1 WHERE leased_until IS NOT NULL");
            sqlx::query(AssertSqlSafe(statement)).execute(&mut database).await.expect("written");
        }
    }

    /// The only repair that is open is of this commit of the template, on the only branch of ours.
    async fn repair_for(&self, template: &str) -> Value {
        let is_it = |one: &Value| branch(one).contains(&template[..8]);
        let repair = the_open_one(&self.world, CORE, "one repair is open", is_it).await;
        eventually("its branch is the only one", async || {
            let branches = ours::branches(&self.world, CORE).await;
            if branches == [branch(&repair)] { Ok(()) } else { Err(format!("{branches:?}")) }
        })
        .await;
        repair
    }

    /// Nothing was said twice on any pull request of ours, and no status after its like.
    async fn nothing_was_said_twice(&self, commits: &[(&str, String)]) {
        let mut pulls = of_bot(&self.world, CORE, "open").await;
        pulls.extend(of_bot(&self.world, CORE, "closed").await);
        for pull in &pulls {
            let said = ours::comments(&self.world, CORE, number(pull)).await;
            let different: BTreeSet<&String> = said.iter().collect();
            assert_eq!(different.len(), said.len(), "#{}: {said:?}", number(pull));
        }
        let mut branches: Vec<String> = pulls.iter().map(branch).collect();
        branches.sort();
        branches.dedup();
        assert_eq!(branches.len(), pulls.len(), "no branch was ever proposed twice");
        for (repo, sha) in commits {
            let all = self.world.admin.get(&format!("/repos/{repo}/statuses/{sha}?limit=50")).await;
            let rows = all.as_array().expect("a list").iter().filter(|row| row["creator"]["login"] == BOT);
            let rows: BTreeMap<Option<u64>, (&Value, &Value)> =
                rows.map(|row| (row["id"].as_u64(), (&row["status"], &row["description"]))).collect();
            let rows: Vec<(&Value, &Value)> = rows.into_values().collect();
            assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "{repo} {sha}: {rows:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL's programs"]
async fn two_replicas_keep_one_repair_and_give_one_answer_round_after_round() {
    let mut fleet = Fleet::new().await;
    fleet.start_both().await;
    let world = &fleet.world;
    let mut commits = vec![(CORE, world.core_head.clone()), (TEMPLATE, world.template_head.clone())];
    let mut before: Option<Value> = None;
    for round in 1..=ROUNDS {
        let template = world.push_template(&[("config.yaml", Some(&format!("name: {round}\n")))]).await;
        let repair = fleet.repair_for(&template).await;
        commits.extend([(TEMPLATE, template.clone()), (CORE, ours::head(&repair))]);
        if let Some(older) = before.take() {
            let words = format!("Replaced by #{}", number(&repair));
            ours::is_closed(world, CORE, number(&older), &words).await;
        }
        if round % 3 == 0 {
            // A person asks, then merges.
            let path = format!("/repos/{CORE}/issues/{}/comments", number(&repair));
            world.admin.call("POST", &path, json!({ "body": "/drift-gate explain" })).await;
            let answers = async || {
                let said = ours::comments(world, CORE, number(&repair)).await;
                said.into_iter().filter(|one| !one.starts_with("/drift-gate")).collect::<Vec<_>>()
            };
            eventually(
                "it is answered",
                async || {
                    if answers().await.is_empty() { Err("no answer".to_owned()) } else { Ok(()) }
                },
            )
            .await;
            world.settled().await;
            assert_eq!(answers().await.len(), 1, "one answer");
            world.admin.merge(CORE, number(&repair)).await;
            let core = world.admin.head(CORE, "main").await;
            world.expect(CORE, &core, "success", "").await;
            world.expect(TEMPLATE, &template, "success", "").await;
            assert_eq!(ours::file(world, CORE, "manifest.json", "main").await, manifest(&template));
            world.admin.call("DELETE", &format!("/repos/{CORE}/branches/{}", branch(&repair)), Value::Null).await;
            commits.push((CORE, core));
        } else {
            before = Some(repair);
        }
    }
    world.settled().await;
    assert!(of_bot(world, CORE, "open").await.is_empty());
    assert_eq!(of_bot(world, CORE, "closed").await.len(), ROUNDS, "one for each commit of the template");
    assert_eq!(world.proxy.count(&Method::POST, &format!("/repos/{CORE}/contents")), ROUNDS, "one commit each");
    fleet.nothing_was_said_twice(&commits).await;
    let opened: Vec<usize> = fleet.replicas.iter().map(|one| one.said("opened a pull request")).collect();
    assert_eq!(opened.iter().sum::<usize>(), ROUNDS, "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL's programs"]
async fn one_that_is_killed_between_the_branch_and_the_pull_request_is_completed_by_the_other() {
    let mut fleet = Fleet::new().await;
    fleet.start_one_more().await;
    fleet.world.expect(TEMPLATE, &fleet.world.template_head, "success", "").await;
    let pulls = format!("/repos/{CORE}/pulls");
    fleet.world.proxy.hang_next(Method::POST, &pulls);
    let template = fleet.world.push_template(&[("config.yaml", Some("name: Newer\n"))]).await;
    eventually("it has made the branch and asks for the pull request", async || {
        let asked = fleet.world.proxy.count(&Method::POST, &pulls);
        if asked == 1 { Ok(()) } else { Err(format!("{asked} times")) }
    })
    .await;
    let branches = ours::branches(&fleet.world, CORE).await;
    assert_eq!(branches.len(), 1);
    let tip = fleet.world.admin.head(CORE, &branches[0]).await;

    // The other one comes, and leaves alone what somebody works on.
    fleet.start_one_more().await;
    fleet.world.settled().await;
    assert_eq!(fleet.world.proxy.count(&Method::POST, &pulls), 1);
    assert!(of_bot(&fleet.world, CORE, "open").await.is_empty());

    fleet.replicas[0].kill();
    fleet.leases_end().await;
    // Whoever is left would look when they end; nobody told it that this was now.
    fleet.world.settled().await;
    let repair = fleet.repair_for(&template).await;
    assert_eq!((branch(&repair), ours::head(&repair)), (branches[0].clone(), tip), "what the first one left is used");
    fleet.world.settled().await;
    assert_eq!(of_bot(&fleet.world, CORE, "open").await.len(), 1);
    assert!(of_bot(&fleet.world, CORE, "closed").await.is_empty());
    assert_eq!(
        fleet.world.proxy.count(&Method::POST, &format!("/repos/{CORE}/contents")),
        1,
        "nothing is committed again"
    );
    let commits = [(CORE, ours::head(&repair)), (TEMPLATE, template)];
    fleet.nothing_was_said_twice(&commits).await;
    fleet.world.admin.merge(CORE, number(&repair)).await;
    let core = fleet.world.admin.head(CORE, "main").await;
    fleet.world.expect(CORE, &core, "success", "").await;
}
