//! The walk that the README describes.

use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use serde_json::{Value, json};

use crate::host::eventually;
use crate::world::{World, of};

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_server_to_a_merge_that_the_red_check_refuses() {
    let mut world = World::new().await;

    // 1. What core bakes is found, judged and written down.
    let said = world.init(&[]).is(0);
    assert!(
        said.contains(
            "molecule/core bakes molecule/platform-agent-template into /opt/molecule-platform-agent-template"
        ),
        "{said}"
    );
    assert!(said.contains("(manifest.json:7 at workspace_templates[name=platform-agent].ref)"), "{said}");
    assert!(said.contains("in sync"), "{said}");
    let config = world.config();
    for line in [
        "identity = [\"config.yaml\", \"mcp_servers.yaml\", \"prompts/**\"]",
        "ignore = [\"README.md\"]",
        "source_dir = \".tenant-bundle-deps/workspace-configs-templates/platform-agent\"",
        "require = { \"repo\" = \"molecule/platform-agent-template\" }",
        "token = { file = \"token\" }",
    ] {
        assert!(config.contains(line), "no `{line}` in\n{config}");
    }
    world.listens();

    // 2. What is missing is told, nothing is changed.
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("problem it has no webhook that leads here"), "{told}");
    assert!(told.contains("problem main is not protected: what drifts can be merged"), "{told}");
    assert!(told.contains("`drift-gate doctor --fix` mends 2; `drift-gate doctor --fix --protect` mends"), "{told}");
    assert_eq!(world.admin.get(&format!("/repos/{CORE}/hooks")).await, json!([]));

    // 3. It is mended.
    let told = world.doctor(&["--fix", "--protect"]).is(0);
    assert!(told.contains("made hook"), "{told}");
    assert!(told.contains("made a rule for main: it requires `drift-gate`"), "{told}");

    // 4. The service looks, and a delivery comes.
    world.serve().await;
    let head = world.admin.head(CORE, "main").await;
    world.expect(CORE, &head, "success").await;
    world.expect(TEMPLATE, &world.template_head, "success").await;
    let findings = world.findings(&[], 0);
    for repo in [CORE, TEMPLATE] {
        let about = format!("main/{repo}");
        assert_eq!(of(&findings, &about, "reach"), [("ok", "a test delivery has come")], "{findings:?}");
        assert_eq!(of(&findings, &about, "required"), [("ok", "`drift-gate` is required on main")]);
        assert_eq!(of(&findings, &about, "up_to_date"), []);
    }

    // 5. Somebody tidies up, and the forge refuses to merge it.
    let broken = scene::bakes_no_prompts();
    let tidy = world.admin.commit_new(CORE, "main", "tidy", &[(scene::DOCKERFILE, Some(&broken))]).await;
    let number = world.admin.open_pull(CORE, "tidy", "main").await;
    world.expect(CORE, &tidy, "failure").await;
    let merge = format!("/repos/{CORE}/pulls/{number}/merge");
    eventually("the merge is refused for its check", async || {
        let (status, answer) = world.bot.try_call("POST", &merge, json!({ "Do": "merge" })).await;
        let words = answer["message"].as_str().unwrap_or_default().to_owned();
        assert_ne!(status, 200, "it was merged");
        if status == 405 && words.contains("Not all required status checks successful") {
            Ok(())
        } else {
            Err(format!("{status} {words}"))
        }
    })
    .await;
    let pull: Value = world.admin.get(&format!("/repos/{CORE}/pulls/{number}")).await;
    assert_eq!(pull["merged"], false);

    // 6. It is mended, and merged.
    world.admin.commit(CORE, "tidy", &[(scene::DOCKERFILE, Some(scene::BAKES)), ("notes.md", Some("tidy\n"))]).await;
    let mended = world.admin.head(CORE, "tidy").await;
    world.expect(CORE, &mended, "success").await;
    world.admin.merge(CORE, number).await;
}
