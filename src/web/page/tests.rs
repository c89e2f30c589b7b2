//! What a reader sees of a page, and what nobody but the operator does.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::forge::{RepoName, State};
use crate::gate::finding::{Assumption, Cause, Finding, Kind, Undecided};
use crate::gate::verdict::{BindingState, ConsumerSide, Report, SourceSide, Verdict};
use crate::gate::{Revision, Side};
use crate::tree::ObjectId;

struct Git(&'static str);

impl Addresses for Git {
    fn commit(&self, sha: &ObjectId) -> String {
        format!("https://git.example.org/{}/commit/{sha}", self.0)
    }
    fn pull(&self, number: u64) -> String {
        format!("https://git.example.org/{}/pulls/{number}", self.0)
    }
    fn file(&self, sha: &ObjectId, path: &str, line: Option<u32>) -> String {
        let line = line.map_or(String::new(), |line| format!("#L{line}"));
        format!("https://git.example.org/{}/src/commit/{sha}/{path}{line}", self.0)
    }
}

fn id(digit: char) -> ObjectId {
    ObjectId::parse(&digit.to_string().repeat(40)).unwrap()
}

fn repo(name: &'static str, private: bool) -> Repo {
    Repo { name: RepoName(name.to_owned()), private, addresses: Arc::new(Git(name)) }
}

pub(in crate::web) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn finding(kind: Kind, path: &str, file: &str) -> Finding {
    Finding::new(kind, path, format!("the image's {path} is not what the source has"), format!("COPY {path} as well"))
        .at(Some(Cause { file: file.to_owned(), line: Some(16) }))
        .of(format!("{}:{}", id('7'), id('8')))
}

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
const SECRET_PATH: &str = "prompts/acquisition-plan.md";

fn report() -> Report {
    Report {
        schema: 1,
        gate: "platform-agent-identity".to_owned(),
        context: "drift-gate".to_owned(),
        verdict: Verdict::Drift,
        findings: vec![
            finding(Kind::NotBaked, SECRET_PATH, DOCKERFILE),
            finding(Kind::Unlisted, "hooks/boot.sh", "hooks/boot.sh"),
            finding(Kind::PinInvalid, "manifest.json", "manifest.json"),
            finding(Kind::ExtraAtDestination, "/opt/agent/secret-name", DOCKERFILE),
        ],
        undecided: vec![Undecided {
            path: "/opt/agent/secret-part".to_owned(),
            cause: Some(Cause { file: DOCKERFILE.to_owned(), line: Some(30) }),
            reason: "RUN sed may change secret-part".to_owned(),
            inherited: false,
            content: String::new(),
        }],
        assumptions: vec![Assumption {
            file: DOCKERFILE.to_owned(),
            line: Some(3),
            text: "the base image has nothing at secret-place".to_owned(),
        }],
        consumer: ConsumerSide {
            repo: "molecule/core".to_owned(),
            commit: Some(Revision::Commit(id('a'))),
            base: Some(Revision::Commit(id('b'))),
        },
        source: SourceSide {
            repo: "molecule/template".to_owned(),
            bound: Some(Revision::Commit(id('c'))),
            head: Some(Revision::Commit(id('d'))),
            base: None,
        },
        binding: BindingState { kind: "pin".to_owned(), state: "stale".to_owned(), behind: Some(3) },
        files_compared: 12,
        bytes_compared: 4321,
        engine: "0.1.0".to_owned(),
        config_digest: "f".repeat(64),
    }
}

/// A page on core, whose template may be private.
pub(in crate::web) fn page_on_core(private_template: bool) -> PageData {
    let diff = unified(("in the image", b"model: sonnet\n"), ("in the source", b"model: opus\n")).unwrap();
    PageData {
        repo: repo("molecule/core", false),
        sha: id('a'),
        context: "drift-gate".to_owned(),
        state: State::Failure,
        description: "1 file is not baked".to_owned(),
        decided_at: now() - TimeDelta::minutes(3),
        head: true,
        told: Told::Yes,
        waivers: Vec::new(),
        judgements: vec![Judgement {
            gate: "platform-agent-identity".to_owned(),
            role: Role::Pull { number: 12, title: "Bump the template".to_owned(), onto: "main".to_owned() },
            place: Side::Consumer,
            consumer: repo("molecule/core", false),
            source: repo("molecule/template", private_template),
            quote: false,
            outcome: Outcome::Judged(Box::new(Judged { report: report(), diffs: [(0, diff)].into() })),
            repair: None,
        }],
        earlier: vec![Earlier {
            at: now() - TimeDelta::days(2),
            state: State::Success,
            description: "in sync with template@cccccccc".to_owned(),
        }],
    }
}

fn html(data: PageData, reader: Reader) -> String {
    render(&visible(data, reader), "", now()).into_string()
}

#[test]
fn who_lets_what_pass_stands_beside_the_verdict_for_every_reader() {
    let waived = Waived {
        gate: "platform-agent-identity".to_owned(),
        by: "alice".to_owned(),
        reason: "<hot> fix\u{202e}".to_owned(),
        at: now() - TimeDelta::minutes(1),
        until: Some(now()),
    };
    let page = html(PageData { waivers: vec![waived], ..page_on_core(true) }, Reader::Anyone);
    assert!(page.contains("Waived by <b>alice</b>") && page.contains("&lt;hot&gt; fix"), "{page}");
    assert!(page.contains("the verdict stays what it is") && page.contains(">drift<"), "{page}");
    assert!(!html(page_on_core(true), Reader::Anyone).contains("Waived"));
}

/// A page with how the pull request stands that ends the drift.
fn with_repair(state: &str, words: &str, private_template: bool) -> PageData {
    let mut page = page_on_core(private_template);
    page.judgements[0].repair = Some(Repair {
        state: state.to_owned(),
        words: words.to_owned(),
        pull: Some((repo("molecule/core", false), 31)),
        trouble: Some("502 Bad Gateway".to_owned()),
    });
    page
}

#[test]
fn the_pull_request_that_ends_the_drift_is_linked_or_it_says_why_there_is_none() {
    let open = html(with_repair("open", "molecule/core has no label `drift`", false), Reader::Anyone);
    for words in
        ["A pull request that ends this is open.", "has no label", "https://git.example.org/molecule/core/pulls/31"]
    {
        assert!(open.contains(words), "`{words}` is missing:\n{open}");
    }
    let person = html(with_repair("person", "add a COPY for hooks/boot.sh", false), Reader::Anyone);
    assert!(person.contains("a person must write this. Add a COPY for hooks/boot.sh."), "{person}");
    assert!(!html(with_repair("", "unsaid", false), Reader::Operator).contains("unsaid"));
}

#[test]
fn of_a_pull_request_that_ends_drift_nothing_private_is_told() {
    let words = format!("{SECRET_PATH} is in molecule/template");
    for state in ["open", "person", "blocked", "started", "dry"] {
        let page = html(with_repair(state, &words, true), Reader::Anyone);
        for secret in [SECRET_PATH, "molecule/template", "502 Bad Gateway"] {
            assert!(!page.contains(secret), "{state}: {secret} is told:\n{page}");
        }
        assert!(html(with_repair(state, &words, true), Reader::Operator).contains(SECRET_PATH), "{state}");
    }
    let blocked = html(with_repair("blocked", "the token lacks write:repository", false), Reader::Anyone);
    assert!(!blocked.contains("write:repository"), "what our token may is the operator's: {blocked}");
}

/// What only the private template has.
const PRIVATE: [&str; 9] = [
    "acquisition-plan",
    "boot.sh",
    "secret-name",
    "secret-part",
    "secret-place",
    "molecule/template",
    "opus",
    "sonnet",
    "git.example.org/molecule/template",
];

#[test]
fn a_public_page_tells_everything_that_a_person_needs_to_act() {
    let page = html(page_on_core(false), Reader::Anyone);
    for words in [
        "Drift",
        "1 file is not baked",
        "molecule/core",
        "pull request #12 onto main: Bump the template",
        "https://git.example.org/molecule/core/pulls/12",
        "12 files, 4.3 KB",
        "pinned 3 commits behind",
        SECRET_PATH,
        "not baked",
        "COPY prompts/acquisition-plan.md as well",
        "workspace-server/Dockerfile.platform-agent:16",
        "https://git.example.org/molecule/core/src/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/workspace-server/Dockerfile.platform-agent#L16",
        "https://git.example.org/molecule/template/commit/dddddddddddddddddddddddddddddddddddddddd",
        "https://git.example.org/molecule/template/src/commit/dddddddddddddddddddddddddddddddddddddddd/hooks/boot.sh#L16",
        "-model: sonnet",
        "+model: opus",
        "1 assumption",
        "RUN sed may change secret-part",
        "3 minutes ago",
        "in sync with template@cccccccc",
        "/drift-gate check",
    ] {
        assert!(page.contains(words), "the page lacks `{words}`:\n{page}");
    }
    assert!(!page.contains("<script"));
}

#[test]
fn what_only_a_private_source_has_is_not_told_on_a_public_repository() {
    let page = html(page_on_core(true), Reader::Anyone);
    for words in PRIVATE {
        assert!(!page.contains(words), "the page tells `{words}`:\n{page}");
    }
    for words in
        ["Drift", "not baked", "manifest.json", "Dockerfile.platform-agent:16", "77777777", "a private repository"]
    {
        assert!(page.contains(words), "the page lacks `{words}`:\n{page}");
    }
}

#[test]
fn what_only_a_private_consumer_has_is_not_told_on_the_public_source() {
    let mut data = page_on_core(false);
    data.repo = repo("molecule/template", false);
    let judgement = &mut data.judgements[0];
    judgement.place = Side::Source;
    judgement.consumer = repo("molecule/core", true);
    let page = html(data, Reader::Anyone);
    for words in ["molecule/core", "Dockerfile.platform-agent", "manifest.json", "secret-", "opus", "the image's"] {
        assert!(!page.contains(words), "the page tells `{words}`:\n{page}");
    }
    assert!(page.contains(SECRET_PATH), "the source's own names stay");
}

#[test]
fn two_private_sides_tell_the_place_s_own_names_and_no_contents() {
    let mut data = page_on_core(true);
    data.judgements[0].consumer.private = true;
    let page = html(data, Reader::Anyone);
    assert!(page.contains("manifest.json"));
    for words in PRIVATE {
        assert!(!page.contains(words), "the page tells `{words}`:\n{page}");
    }
}

#[test]
fn the_operator_and_a_gate_that_quotes_always_show_it_all() {
    let mut quoting = page_on_core(true);
    quoting.judgements[0].quote = true;
    for page in [html(page_on_core(true), Reader::Operator), html(quoting, Reader::Anyone)] {
        for words in PRIVATE {
            assert!(page.contains(words), "the page lacks `{words}`:\n{page}");
        }
    }
}

#[test]
fn a_forge_s_refusal_is_for_the_operator() {
    let mut data = page_on_core(false);
    data.told = Told::NotYet { trouble: Some("403 token lacks a scope".to_owned()) };
    let page = html(data.clone(), Reader::Anyone);
    assert!(page.contains("does not say this yet") && !page.contains("403"), "{page}");
    assert!(html(data, Reader::Operator).contains("403 token lacks a scope"));
}

#[test]
fn why_a_side_could_not_be_read_may_name_it() {
    let mut data = page_on_core(true);
    data.state = State::Error;
    data.judgements[0].outcome = Outcome::Unreadable("GET molecule/template: 404".to_owned());
    assert!(!html(data.clone(), Reader::Anyone).contains("molecule/template"));
    assert!(html(data, Reader::Operator).contains("GET molecule/template: 404"));
}

#[test]
fn other_people_s_text_is_text() {
    let mut data = page_on_core(false);
    let evil = "</title><script>alert(1)</script>\u{202e}\"onload=\"x";
    data.description = evil.to_owned();
    data.context = evil.to_owned();
    data.repo.name = RepoName(evil.to_owned());
    data.earlier[0].description = evil.to_owned();
    let judgement = &mut data.judgements[0];
    judgement.gate = evil.to_owned();
    judgement.role = Role::Pull { number: 1, title: evil.to_owned(), onto: evil.to_owned() };
    if let Outcome::Judged(judged) = &mut judgement.outcome {
        let text = (evil.to_owned(), evil.to_owned(), evil.to_owned());
        (judged.report.findings[0].path, judged.report.findings[0].message, judged.report.findings[0].fix) = text;
        judged.report.undecided[0].reason = evil.to_owned();
        judged.report.assumptions[0].text = evil.to_owned();
        judged.report.engine = evil.to_owned();
        judged.report.config_digest = evil.to_owned();
        judged.diffs = [(0, unified((evil, b"a"), (evil, evil.as_bytes())).unwrap())].into();
    }
    let page = html(data, Reader::Anyone);
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains('\u{202e}'), "{page}");
    assert!(!page.contains("\"onload"), "{page}");
}

#[test]
fn a_green_status_with_softened_drift_is_not_called_in_sync() {
    let mut data = page_on_core(false);
    data.state = State::Success;
    data.description = "advisory: 1 file is not baked".to_owned();
    let page = html(data, Reader::Anyone);
    assert!(page.contains("Passes") && page.contains("advisory: 1 file is not baked"));
    assert!(!page.contains("In sync"), "{page}");
}

#[test]
fn a_green_status_behind_which_nothing_was_compared_is_not_called_in_sync() {
    let mut data = page_on_core(false);
    data.state = State::Success;
    data.judgements.clear();
    assert!(!html(data, Reader::Anyone).contains("In sync"));
}

#[test]
fn what_the_base_has_already_stands_apart() {
    let mut data = page_on_core(false);
    if let Outcome::Judged(judged) = &mut data.judgements[0].outcome {
        judged.report.findings.iter_mut().for_each(|finding| finding.inherited = true);
    }
    let page = html(data, Reader::Anyone);
    assert!(page.contains("Already so without this change") && !page.contains(">Findings"), "{page}");
}
