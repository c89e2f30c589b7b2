//! As a GitHub App: what its owner is told to change, what is changed for them, and what a delivery says in the end. Told on the
//! stand-in, which speaks GitHub's dialect; a real Gitea does not.

use drift_gate::demo::StandIn;
use drift_gate::demo::forge::apps::App;
use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::host::eventually;
use crate::world::{SECRET, World, of};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9/hooks/other";

/// An App that is installed on both repositories and configured by `init`; `None` where the stories are told on a real Gitea.
async fn world() -> Option<(World, u64)> {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return None;
    }
    let world = World::new().await;
    let app = {
        let forge = world.host.stand_in()?;
        let app = forge.app("drift-gate", NOWHERE, "").expect("an App");
        for repo in [CORE, TEMPLATE] {
            let (owner, name) = repo.split_once('/').expect("owner/name");
            forge.install(app.id, owner, name).expect("an installation");
        }
        app
    };
    std::fs::write(world.path("app.pem"), &app.pem).expect("written");
    let said = world.init_as_app(app.id, &[]).is(0);
    assert!(said.contains("in sync"), "{said}");
    world.listens();
    Some((world, app.id))
}

fn forge(world: &World) -> &StandIn {
    world.host.stand_in().expect("a stand-in")
}

fn permit(app: &mut App, permissions: &[(&str, &str)]) {
    app.permissions.extend(permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_app_that_is_set_up_wrong_to_a_merge_that_its_red_check_refuses() {
    let Some((mut world, app)) = world().await else { return };
    let config = world.config();
    assert!(config.contains(&format!("app = {{ id = {app}, key = {{ file = \"app.pem\" }} }}")), "{config}");
    assert!(!config.contains("\ntoken ="), "{config}");
    forge(&world)
        .change_app(app, |app| {
            app.events.retain(|event| event != "issue_comment" && event != "merge_group");
            permit(app, &[("statuses", "read")]);
        })
        .expect("changed");
    forge(&world).accept(app).expect("accepted");
    let page = format!("{}/organizations/molecule/settings/apps/drift-gate", world.host.base());

    // 1. Each fault is named with what it is needed for, and where a person mends it.
    let told = world.doctor(&[]).is(1);
    for words in [
        "problem the App does not ask for `Commit statuses: write`, which it needs to post the status".to_owned(),
        format!("fix: choose it at {page}/permissions, then accept it where the App is installed"),
        "problem the App does not hear of `issue_comment` (commands in comments)".to_owned(),
        format!("fix: subscribe to it at {page}/permissions"),
        format!(
            "problem the App's webhook leads to {NOWHERE}, and server.public_url to {}/hooks/main, and has no secret",
            world.url
        ),
        "note    the App has delivered nothing of late".to_owned(),
        "`drift-gate doctor --fix` mends 1".to_owned(),
    ] {
        assert!(told.contains(&words), "no `{words}` in\n{told}");
    }
    assert!(!told.contains("merge_group"), "no gate has a queue: {told}");
    assert_eq!(told.matches("Commit statuses").count(), 1, "once, and not for each repository: {told}");

    // 2. What can be mended is, and the rest is for a person.
    let findings = world.findings(&["--fix", "--protect"], 1);
    let hook = of(&findings, "forge main", "hook");
    assert!(hook[0].0 == "ok" && hook[0].1.starts_with("mended the App's webhook"), "{hook:?}");
    let lacking: Vec<_> = of(&findings, "forge main", "permission").iter().map(|(level, _)| *level).collect();
    assert_eq!(lacking, ["problem"; 2], "statuses, and with --protect the administration: {findings:?}");
    let hook = std::cell::OnceCell::new();
    forge(&world).change_app(app, |app| drop(hook.set(app.hook.clone()))).expect("read");
    let hook = hook.get().expect("a hook");
    assert_eq!(
        (hook.url.as_str(), hook.secret.as_str(), hook.json),
        (&*format!("{}/hooks/main", world.url), SECRET, true)
    );

    // 3. The owner of the App asks for more; the owner of the repositories has not agreed.
    let ask = |app: &mut App| {
        app.events.push("issue_comment".to_owned());
        permit(app, &[("statuses", "write"), ("administration", "write")]);
    };
    forge(&world).change_app(app, ask).expect("changed");
    let findings = world.findings(&["--fix", "--protect"], 1);
    let granted = of(&findings, &format!("main/{CORE}"), "permission");
    assert_eq!(
        granted,
        [
            ("problem", "`Commit statuses: write` is asked for and not granted there: the App may not post the status"),
            (
                "problem",
                "`Administration: write` is asked for and not granted there: the App may not require the check (--protect)"
            ),
        ]
    );
    let fixes = findings.iter().filter_map(|finding| finding["fix"].as_str());
    assert!(fixes.into_iter().any(|fix| fix.contains("settings/installations/")), "{findings:?}");

    // 4. All is there: the check is required of this App alone.
    forge(&world).accept(app).expect("accepted");
    let told = world.doctor(&["--fix", "--protect"]).is(0);
    assert!(told.contains("made a rule for main: it requires `drift-gate`"), "{told}");
    let (_, protection) = world.v3("GET", &format!("/repos/{CORE}/branches/main/protection"), Value::Null).await;
    let checks = &protection["required_status_checks"];
    assert_eq!(checks["checks"], json!([{ "context": "drift-gate", "app_id": app }]));
    assert_eq!(checks["strict"], true);

    // 5. The service runs, and deliveries come.
    world.serve().await;
    let head = world.admin.head(CORE, "main").await;
    world.expect(CORE, &head, "success").await;
    let broken = scene::bakes_no_prompts();
    let tidy = world.admin.commit_new(CORE, "main", "tidy", &[(scene::DOCKERFILE, Some(&broken))]).await;
    let number = world.admin.open_pull(CORE, "tidy", "main").await;
    world.expect(CORE, &tidy, "failure").await;
    eventually("doctor sees the delivery", async || {
        let came = forge(&world).deliveries(app).last().is_some_and(|one| one.status == 202);
        if came { Ok(()) } else { Err(format!("{:?}", forge(&world).deliveries(app).last())) }
    })
    .await;
    let findings = world.findings(&[], 0);
    assert_eq!(of(&findings, "forge main", "reach"), [("ok", "a delivery that was sent again has come")]);
    assert_eq!(of(&findings, "forge main", "delivery")[0].0, "ok");
    let core = format!("main/{CORE}");
    assert_eq!(of(&findings, &core, "required"), [("ok", "`drift-gate` is required on main, of our App alone")]);
    assert_eq!((of(&findings, &core, "others"), of(&findings, &core, "up_to_date")), (vec![], vec![]));

    // 6. The forge refuses the merge, and what somebody else calls green does not count.
    let green = json!({ "state": "success", "context": "drift-gate" });
    assert_eq!(world.v3("POST", &format!("/repos/{CORE}/statuses/{tidy}"), green).await.0, 201);
    let merge = format!("/repos/{CORE}/pulls/{number}/merge");
    let (status, answer) = world.v3("PUT", &merge, json!({ "merge_method": "merge", "sha": tidy })).await;
    assert_eq!(status, 405, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_are_signed_with_another_secret_are_seen_and_the_secret_is_set() {
    let Some((mut world, app)) = world().await else { return };
    forge(&world)
        .change_app(app, |app| {
            permit(app, &[("administration", "read")]);
            app.hook.url = format!("{}/hooks/main", world.url);
            app.hook.secret = "another secret, of 32 characters".to_owned();
        })
        .expect("changed");
    forge(&world).accept(app).expect("accepted");
    world.serve().await;
    world.admin.commit(CORE, "main", &[("notes.md", Some("x\n"))]).await;
    eventually("the delivery is refused", async || match forge(&world).deliveries(app).last() {
        Some(one) if one.status == 401 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let findings = world.findings(&[], 1);
    let hook = of(&findings, "forge main", "hook");
    assert_eq!(hook[0].0, "problem");
    assert!(hook[0].1.contains("signs with another secret than those in webhook_secrets"), "{hook:?}");
    assert_eq!(of(&findings, "forge main", "reach"), [], "it is known why");

    // The check is not required yet, which --fix alone leaves.
    let findings = world.findings(&["--fix"], 1);
    assert_eq!(
        of(&findings, "forge main", "reach"),
        [("ok", "a delivery that was sent again has come")],
        "{findings:?}"
    );
    assert!(forge(&world).deliveries(app).last().is_some_and(|one| one.redelivery && one.status == 202));
    let core = format!("main/{CORE}");
    assert_eq!(of(&findings, &core, "required"), [("problem", "main is not protected: what drifts can be merged")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_may_not_see_protections_leaves_them_unknown_and_a_form_is_mended() {
    let Some((mut world, app)) = world().await else { return };
    forge(&world)
        .change_app(app, |app| {
            app.hook.url = format!("{}/hooks/main", world.url);
            app.hook.secret = SECRET.to_owned();
            app.hook.json = false;
            app.hook.insecure = true;
        })
        .expect("changed");
    world.serve().await;
    world.admin.commit(CORE, "main", &[("notes.md", Some("x\n"))]).await;
    eventually("the delivery is refused", async || match forge(&world).deliveries(app).last() {
        Some(one) if one.status == 415 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("problem the App's webhook sends forms, which are refused"), "{told}");
    assert!(told.contains("note    the App's webhook does not check our certificate"), "{told}");
    let told = world.doctor(&["--fix"]).is(3);
    assert!(told.contains("ok      a delivery that was sent again has come"), "{told}");
    assert!(told.contains("unknown what main demands is not told"), "{told}");
    assert!(told.contains("choose `Administration: read` for the App"), "{told}");
    assert!(!told.contains("the token"), "an App has none: {told}");
    assert!(told.contains("2 not told"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_app_is_not_and_a_key_that_is_another_apps_are_told() {
    let Some((world, app)) = world().await else { return };
    let forge = forge(&world);
    forge.repository("molecule", "other", false).expect("a repository");
    world.change(&format!("repo = \"{CORE}\""), "repo = \"molecule/other\"");
    let findings = world.findings(&[], 1);
    let right = of(&findings, "main/molecule/other", "right");
    assert_eq!(right, [("problem", "the App is not installed there: no status can be posted")]);
    assert_eq!(of(&findings, &format!("main/{TEMPLATE}"), "right"), [("ok", "the App is installed there")]);

    // Its owner let it do nothing for a while.
    let suspend = |is: bool| {
        let change = |app: &mut App| app.installations.iter_mut().for_each(|one| one.suspended = is);
        forge.change_app(app, change).expect("changed");
        forge.end_tokens();
    };
    suspend(true);
    let findings = world.findings(&[], 1);
    let token = of(&findings, "forge main", "token");
    assert_eq!(token, [("problem", "the App can act nowhere: This installation has been suspended")]);
    let right = of(&findings, &format!("main/{TEMPLATE}"), "right");
    assert_eq!(right, [("problem", "the App is suspended there: it can do nothing")]);
    suspend(false);

    // Its own file is proposed to a consumer by the App, too.
    let said = world.init_as_app(app, &["--pull-request"]).is(0);
    assert!(said.contains("proposes .drift-gate.toml"), "{said}");
    let pulls = world.admin.get(&format!("/repos/{CORE}/pulls?state=open")).await;
    assert_eq!(pulls[0]["user"]["login"], "drift-gate[bot]");

    let other = forge.app("other", NOWHERE, "").expect("an App");
    std::fs::write(world.path("app.pem"), &other.pem).expect("written");
    let findings = world.findings(&[], 1);
    let problems: Vec<&Value> = findings.iter().filter(|finding| finding["level"] == "problem").collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0]["message"].as_str().expect("text").contains("does not take the App's key"), "{problems:?}");
    let said = world.init_as_app(app, &["--force"]).is(2);
    assert!(said.contains("401"), "{said}");
    std::fs::write(world.path("app.pem"), "-----BEGIN CERTIFICATE-----\n").expect("written");
    let said = world.init_as_app(app, &["--force"]).is(2);
    assert!(said.contains("file app.pem holds no RSA private key in PEM"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_required_of_another_app_waits_for_ever_and_stays() {
    let Some((world, app)) = world().await else { return };
    forge(&world).change_app(app, |app| permit(app, &[("administration", "write")])).expect("changed");
    forge(&world).accept(app).expect("accepted");
    let rule = json!({
        "required_status_checks": { "strict": true, "checks": [{ "context": "drift-gate", "app_id": 99 }] },
        "enforce_admins": true, "required_pull_request_reviews": null, "restrictions": null,
    });
    let path = format!("/repos/{CORE}/branches/main/protection");
    assert_eq!(world.v3("PUT", &path, rule).await.0, 200);
    let message = "main requires `drift-gate` of App 99 alone, and that is not who posts it here: it waits for ever";
    let core = format!("main/{CORE}");
    assert_eq!(of(&world.findings(&[], 1), &core, "required"), [("problem", message)]);
    let told = world.doctor(&["--fix", "--protect"]).is(1);
    assert!(
        told.contains("`drift-gate` is required of App 99 alone: choose by hand on main who may give it"),
        "{told}"
    );
    let checks = world.v3("GET", &path, Value::Null).await.1["required_status_checks"]["checks"].clone();
    assert_eq!(checks, json!([{ "context": "drift-gate", "app_id": 99 }]));

    // One that anybody can give is pinned, and nothing else of it changes.
    let open = json!({ "strict": true, "checks": [{ "context": "ci", "app_id": 99 }, { "context": "drift-gate", "app_id": -1 }] });
    assert_eq!(world.v3("PATCH", &format!("{path}/required_status_checks"), open).await.0, 200);
    let message = "any App, and whoever may write, can give `drift-gate` on main";
    assert_eq!(of(&world.findings(&[], 0), &core, "others"), [("note", message)]);
    world.doctor(&["--fix", "--protect"]).is(0);
    let checks = world.v3("GET", &path, Value::Null).await.1["required_status_checks"]["checks"].clone();
    assert_eq!(checks, json!([{ "context": "ci", "app_id": 99 }, { "context": "drift-gate", "app_id": app }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gates_of_a_repository_need_is_asked_for_there() {
    let Some((world, _)) = world().await else { return };
    let own = format!("{}\n[[gate.repair]]\nkind = \"dispatch\"\nworkflow = \"build.yml\"\n", world.brought());
    world.admin.commit(CORE, "main", &[(".drift-gate.toml", Some(&own))]).await;
    let findings = world.findings(&[], 1);
    let core = format!("main/{CORE}");
    assert_eq!(of(&findings, &core, "gates"), [("ok", "it brings platform-agent-template")], "{findings:?}");
    let words = "the App does not ask for `Actions: write`, which it needs to start workflows";
    assert_eq!(of(&findings, &core, "permission"), [("problem", words)]);
    assert_eq!(of(&findings, "forge main", "permission")[0].0, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_of_the_documentation_asks_for_what_doctor_wants() {
    let Some((world, app)) = world().await else { return };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/github-app.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let (_, manifest) = text.split_once("```json").expect("a manifest");
    let (manifest, _) = manifest.split_once("```").expect("its end");
    let manifest: Value = serde_json::from_str(manifest).expect("JSON");
    let config = world.config().replace("app = {", "check_runs = true\napp = {");
    std::fs::write(world.path("drift-gate.toml"), &config).expect("written");
    let queue = "branches = [\"main\"], queue_branches = [\"gh-readonly-queue/**\"]";
    world.change("branches = [\"main\"]", queue);
    std::fs::write(world.path("drift-gate.toml"), format!("{}\n[[gate.repair]]\nkind = \"pin\"\n", world.config()))
        .expect("written");
    let asked = |app: &mut App| {
        app.permissions = serde_json::from_value(manifest["default_permissions"].clone()).expect("permissions");
        app.events = serde_json::from_value(manifest["default_events"].clone()).expect("events");
    };
    forge(&world).change_app(app, asked).expect("changed");
    forge(&world).accept(app).expect("accepted");
    let findings = world.findings(&[], 1);
    let all = "the App asks for all the permissions that are needed";
    assert_eq!(of(&findings, "forge main", "permission"), [("ok", all)]);
    assert_eq!(of(&findings, "forge main", "event"), [("ok", "the App hears of all the events that are needed")]);
    // Of each permission it is known what for: without it, it is named.
    for (permission, called) in [
        ("contents", "Contents: write"),
        ("statuses", "Commit statuses: write"),
        ("pull_requests", "Pull requests: write"),
        ("issues", "Issues: write"),
        ("checks", "Checks: write"),
        ("merge_queues", "Merge queues: read"),
        ("metadata", "Metadata: read"),
    ] {
        forge(&world).change_app(app, |app| drop(app.permissions.remove(permission))).expect("changed");
        let findings = world.findings(&[], 1);
        let told = of(&findings, "forge main", "permission");
        assert!(told.len() == 1 && told[0].1.contains(&format!("`{called}`")), "{permission}: {told:?}");
        forge(&world).change_app(app, asked).expect("changed");
    }
    for event in manifest["default_events"].as_array().expect("events") {
        forge(&world)
            .change_app(app, |app| app.events.retain(|heard| heard != event.as_str().expect("a name")))
            .expect("changed");
        let findings = world.findings(&[], 1);
        let told = of(&findings, "forge main", "event");
        assert!(told.len() == 1 && told[0].1.contains(event.as_str().expect("a name")), "{event}: {told:?}");
        forge(&world).change_app(app, asked).expect("changed");
    }
}
