//! Copies of the source's files in the consumer, both ways: what is behind is made its original, and what was edited in the
//! consumer is offered to the source, where it is known which of the two was edited.

use serde_json::json;

use crate::host::eventually;
use crate::ours::{self, branch, head, number, of_bot, the_open_one};
use crate::world::{CONFIG, CORE, PROMPT, Setting, TEMPLATE, World, manifest};

const COPY: &str = "tests/config.yaml";
const OFFERS: &str = "[[gate.repair]]\nkind = \"mirror\"\nto = \"source\"\n\
                      [[gate.check]]\nkind = \"mirror\"\nfile = \"config.yaml\"\ncopies = [\"tests/config.yaml\"]\n";
const EDITED: &str = "name: Org Concierge\nruntime: claude-code\nmodel: opus\n";
const EDITED_AGAIN: &str = "name: Org Concierge\nruntime: claude-code\nmodel: sonnet\n";
const NEWER: &str = "name: Head Concierge\nruntime: claude-code\n";

/// Core follows the template and keeps a copy of its `config.yaml` beside the image, which is offered back when it is edited.
async fn with_a_copy(copy: &str) -> World {
    let mut world = World::before_the_first_look(Setting { gate: OFFERS, ..Setting::default() }).await;
    world.follow();
    world.core_head = edit(&world, copy).await;
    world.start().await;
    world
}

async fn in_sync() -> World {
    let world = with_a_copy(CONFIG).await;
    world.expect(CORE, &world.core_head, "success", "").await;
    world.expect(TEMPLATE, &world.template_head, "success", "").await;
    world
}

async fn edit(world: &World, copy: &str) -> String {
    world.admin.commit(CORE, "main", &[(COPY, Some(copy))]).await
}

async fn the_offer(world: &World, what: &str) -> serde_json::Value {
    the_open_one(world, TEMPLATE, what, |_| true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_behind_are_made_their_originals_by_one_pull_request() {
    let gate = "[[gate.repair]]\nkind = \"mirror\"\n\
                [[gate.check]]\nkind = \"mirror\"\nfolder = \"prompts\"\ncopies = [\"tests/prompts\"]\n";
    let mut world = World::before_the_first_look(Setting { gate, ..Setting::default() }).await;
    world.follow();
    let copies = [("tests/prompts/concierge.md", Some(PROMPT)), ("notes.txt", Some("mine\n"))];
    world.core_head = world.admin.commit(CORE, "main", &copies).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    let changes =
        [("prompts/concierge.md", None), ("prompts/lead.md", Some("# Lead\r\n")), ("prompts/a/b.md", Some("b"))];
    let template = world.push_template(&changes).await;
    world.expect(TEMPLATE, &template, "failure", "").await;
    let repair = the_open_one(&world, CORE, "the copies are to be written", |_| true).await;
    let written = ours::files(&world, CORE, number(&repair)).await;
    assert_eq!(written, ["tests/prompts/a/b.md", "tests/prompts/concierge.md", "tests/prompts/lead.md"]);
    assert_eq!(ours::file(&world, CORE, "tests/prompts/lead.md", &branch(&repair)).await, "# Lead\r\n");
    world.expect(CORE, &head(&repair), "success", "").await;
    world.admin.merge(CORE, number(&repair)).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &template, "success", "").await;
    let gone = format!("/repos/{CORE}/contents/tests/prompts/concierge.md?ref=main");
    assert_eq!(world.admin.try_call("GET", &gone, serde_json::Value::Null).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_edited_is_offered_to_the_source_and_merged_both_are_green() {
    let world = in_sync().await;
    // The source has said something else before, and so has the copy: what it was made from is found in both histories.
    let template = world.push_template(&[("config.yaml", Some(NEWER))]).await;
    world.expect(TEMPLATE, &template, "failure", "a copy of config.yaml differs").await;
    let core = edit(&world, NEWER).await;
    world.expect(CORE, &core, "success", "").await;
    let edited = format!("{NEWER}model: opus\n");
    let core = edit(&world, &edited).await;
    world.expect(CORE, &core, "failure", "a copy of config.yaml differs").await;

    let offer = the_offer(&world, "the edit is offered").await;
    assert_eq!(ours::files(&world, TEMPLATE, number(&offer)).await, ["config.yaml"]);
    assert_eq!(ours::file(&world, TEMPLATE, "config.yaml", &branch(&offer)).await, edited);
    assert_eq!(offer["title"], "platform-agent-identity: take over an edited copy");
    let body = offer["body"].as_str().expect("a body");
    for words in
        ["has copies that were edited there", "+model: opus", "❌ drift", "✅ in sync", "To refuse this, close it"]
    {
        assert!(body.contains(words), "`{words}` is missing:\n{body}");
    }
    let told = world.expect_repair(&core, "open", "").await;
    assert_eq!((&told["number"], &told["repository"]), (&offer["number"], &json!(TEMPLATE)));
    world.expect(TEMPLATE, &head(&offer), "success", "").await;
    assert!(of_bot(&world, CORE, "open").await.is_empty(), "the consumer has nothing to mend");

    world.admin.merge(TEMPLATE, number(&offer)).await;
    let merged = world.admin.head(TEMPLATE, "main").await;
    world.expect(TEMPLATE, &merged, "success", "").await;
    world.expect(CORE, &core, "success", "").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty() && of_bot(&world, CORE, "open").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_behind_or_lacks_what_the_source_changed_is_not_offered() {
    let world = in_sync().await;
    let template = world.push_template(&[("config.yaml", Some(NEWER))]).await;
    world.expect(TEMPLATE, &template, "failure", "a copy of config.yaml differs").await;
    world.expect_repair(&world.core_head, "person", "the copy is behind").await;
    // Edited without the source's change: to offer it would take that back.
    let core = edit(&world, EDITED).await;
    world.expect(CORE, &core, "failure", "a copy of config.yaml differs").await;
    world.expect_repair(&core, "person", "merge the two by hand").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty() && of_bot(&world, TEMPLATE, "closed").await.is_empty());
    // A person merges the two, and that is offered.
    let both = format!("{NEWER}model: opus\n");
    edit(&world, NEWER).await;
    edit(&world, &both).await;
    let offer = the_offer(&world, "what a person merged is offered").await;
    assert_eq!(ours::file(&world, TEMPLATE, "config.yaml", &branch(&offer)).await, both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_tells_which_side_was_edited_nothing_is_opened_and_the_page_says_so() {
    let mut world = World::before_the_first_look(Setting { gate: OFFERS, ..Setting::default() }).await;
    world.follow();
    world.push_template(&[("config.yaml", Some(NEWER))]).await;
    let core = edit(&world, "name: Somebody\n").await;
    world.start().await;
    world.expect(CORE, &core, "failure", "a copy of config.yaml differs").await;
    world.expect_repair(&core, "person", "nothing tells which of the two was changed").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty());
    let (.., url) = world.admin.status(CORE, &core, "drift-gate").await.expect("a status");
    let path = url.trim_start_matches("http://gate.example.org");
    let page = reqwest::get(format!("{}{path}", world.gate_url())).await.expect("a page").text().await.expect("text");
    assert!(page.contains("a person must write this") && page.contains("nothing tells which"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_stays_while_the_source_goes_on_elsewhere_and_follows_what_the_copy_says() {
    let world = in_sync().await;
    edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    let template = world.push_template(&[("README.md", Some("The source goes on\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "a copy of config.yaml differs").await;
    world.settled().await;
    let open: Vec<u64> = of_bot(&world, TEMPLATE, "open").await.iter().map(number).collect();
    assert_eq!(
        (open, of_bot(&world, TEMPLATE, "closed").await.len()),
        (vec![number(&offer)], 0),
        "it is the same offer"
    );

    edit(&world, EDITED_AGAIN).await;
    let newer = the_open_one(&world, TEMPLATE, "the newer edit is offered", |one| number(one) > number(&offer)).await;
    assert_eq!(ours::file(&world, TEMPLATE, "config.yaml", &branch(&newer)).await, EDITED_AGAIN);
    ours::is_closed(&world, TEMPLATE, number(&offer), &format!("Replaced by #{}, which offers", number(&newer))).await;
    // The copy is taken back: there is nothing to offer.
    let core = edit(&world, CONFIG).await;
    world.expect(CORE, &core, "success", "").await;
    ours::is_closed(&world, TEMPLATE, number(&newer), "The drift has ended otherwise").await;
    eventually("no branch of ours is left", async || {
        let left = ours::branches(&world, TEMPLATE).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_a_person_closed_is_not_made_again_until_the_copy_says_something_else() {
    let world = in_sync().await;
    let core = edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    ours::close(&world, TEMPLATE, number(&offer)).await;
    world.expect_repair(&core, "refused", "none is opened again for what it offers").await;
    let template = world.push_template(&[("README.md", Some("The source goes on\n"))]).await;
    world.expect(TEMPLATE, &template, "failure", "a copy of config.yaml differs").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty(), "a commit of the source does not ask again");
    edit(&world, EDITED_AGAIN).await;
    the_open_one(&world, TEMPLATE, "another edit is offered", |one| number(one) > number(&offer)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_over_what_the_source_s_people_committed_to_an_offer() {
    let world = in_sync().await;
    edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    let theirs = world.admin.commit(TEMPLATE, &branch(&offer), &[("config.yaml", Some("name: Ours\n"))]).await;
    let core = edit(&world, EDITED_AGAIN).await;
    world.expect_repair(&core, "theirs", "").await;
    world.settled().await;
    let open: Vec<u64> = of_bot(&world, TEMPLATE, "open").await.iter().map(number).collect();
    assert_eq!(open, [number(&offer)], "none is opened beside it");
    assert_eq!(world.admin.head(TEMPLATE, &branch(&offer)).await, theirs);
    let said = ours::comments(&world, TEMPLATE, number(&offer)).await;
    assert!(matches!(said.as_slice(), [one] if one.contains("Somebody else has committed here")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_never_makes_a_second_offer() {
    for lost in ["/contents", "/pulls"] {
        let world = in_sync().await;
        world.proxy.lose_next_answer(axum::http::Method::POST, &format!("/repos/{TEMPLATE}{lost}"));
        edit(&world, EDITED).await;
        let offer = the_offer(&world, "the edit is offered").await;
        world.settled().await;
        assert_eq!(of_bot(&world, TEMPLATE, "open").await.len(), 1, "{lost}");
        assert!(of_bot(&world, TEMPLATE, "closed").await.is_empty(), "{lost}");
        assert_eq!(ours::branches(&world, TEMPLATE).await, [branch(&offer)], "{lost}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_consumer_offers_nothing_to_a_public_source() {
    let mut world = World::before_the_first_look(Setting { gate: OFFERS, ..Setting::default() }).await;
    world.follow();
    world.admin.call("PATCH", &format!("/repos/{CORE}"), json!({ "private": true })).await;
    edit(&world, CONFIG).await;
    world.start().await;
    let core = edit(&world, EDITED).await;
    world.expect(CORE, &core, "failure", "a copy of config.yaml differs").await;
    world.expect_repair(&core, "person", "which not everybody may read").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty());
    assert!(ours::branches(&world, TEMPLATE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_an_edited_copy_is_offered_as_well() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        // A real Gitea does not understand the dialect.
        return;
    }
    let mut world = World::before_the_first_look(Setting { gate: OFFERS, github: true, ..Setting::default() }).await;
    world.follow();
    edit(&world, CONFIG).await;
    world.start().await;
    world.expect(TEMPLATE, &world.template_head, "success", "").await;
    let core = edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    assert_eq!(ours::file(&world, TEMPLATE, "config.yaml", &branch(&offer)).await, EDITED);
    world.admin.merge(TEMPLATE, number(&offer)).await;
    world.expect(CORE, &core, "success", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_pin_the_offer_is_merged_and_then_the_pin_adopts_it() {
    let gate: &'static str = format!("[[gate.repair]]\nkind = \"pin\"\n{OFFERS}").leak();
    let mut world = World::before_the_first_look(Setting { gate, ..Setting::default() }).await;
    world.core_head = edit(&world, CONFIG).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "").await;
    // A pin that lags behind is a repair of core; with an edited copy beside it no pin would end the drift any more.
    let template = world.push_template(&[("prompts/guest.md", Some("# Guest\n"))]).await;
    let pin = the_open_one(&world, CORE, "the pin is to move", |_| true).await;
    let core = edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    ours::is_closed(&world, CORE, number(&pin), "proposed in the other repository").await;
    assert!(
        offer["body"].as_str().is_some_and(|body| body.contains("its pin must move to the merged commit afterwards"))
    );
    world.expect(CORE, &core, "failure", "").await;

    world.admin.merge(TEMPLATE, number(&offer)).await;
    let merged = world.admin.head(TEMPLATE, "main").await;
    assert_ne!(merged, template);
    let adopts = |one: &serde_json::Value| branch(one).contains(&merged[..8]);
    let pin = the_open_one(&world, CORE, "the pin is to move to what was merged", adopts).await;
    assert_eq!(ours::file(&world, CORE, "manifest.json", &branch(&pin)).await, manifest(&merged));
    world.admin.merge(CORE, number(&pin)).await;
    let core = world.admin.head(CORE, "main").await;
    world.expect(CORE, &core, "success", "").await;
    world.expect(TEMPLATE, &merged, "success", "").await;
    world.settled().await;
    assert!(of_bot(&world, TEMPLATE, "open").await.is_empty() && of_bot(&world, CORE, "open").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_finds_the_offer_again() {
    let mut world = in_sync().await;
    edit(&world, EDITED).await;
    let offer = the_offer(&world, "the edit is offered").await;
    world.stop().await;
    world.forget();
    world.start().await;
    let core = edit(&world, CONFIG).await;
    world.expect(CORE, &core, "success", "").await;
    ours::is_closed(&world, TEMPLATE, number(&offer), "The drift has ended otherwise").await;
}
