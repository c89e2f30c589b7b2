//! From each build that is in sync, every single change of a long list: where other bytes would be baked, the verdict is not
//! green any more; where the same bytes would be, it stays green. And changes upon changes, drawn by lot: green means that
//! the bytes are there.

use std::collections::BTreeMap;

use drift_gate::config::{Bake, Check};
use drift_gate::dockerfile::{BakedKind, Build, Content, evaluate, ignore_file};
use drift_gate::tree::Mounted;
use proptest::prelude::*;

use super::*;

/// A build that is in sync.
#[derive(Clone)]
struct Fixture {
    gate: Gate,
    dockerfile: String,
    consumer: Memory,
    template: Memory,
}

/// A build with one thing changed.
struct Change {
    what: String,
    build: Fixture,
}

fn fixtures_in_sync() -> Vec<Fixture> {
    let mut with_marker = gate();
    with_marker.identity.retain(|name| name != "fill-identity.sh");
    let of = |gate: Gate, state: &str, template: Memory| {
        // What a careless change might bake instead.
        let consumer = template
            .paths()
            .fold(Memory::new(), |tree, path| tree.file(&format!("other/{path}"), format!("not what {path} says\n")));
        Fixture { gate, dockerfile: fixture(state), consumer: consumer.file("docs/index.md", "words\n"), template }
    };
    vec![
        of(with_marker, STATES[0], template().without("fill-identity.sh")),
        of(gate(), STATES[1], template()),
        of(gate(), STATES[2], template()),
    ]
}

impl Fixture {
    fn verdict(&self) -> Report {
        let consumer = self.consumer.clone().file(DOCKERFILE, &self.dockerfile);
        judged(&self.gate, consumer, self.template.clone())
    }

    fn lines(&self) -> Vec<&str> {
        self.dockerfile.lines().collect()
    }

    /// The lines that bake the template, by index.
    fn copies(&self) -> Vec<usize> {
        let lines = self.lines();
        (0..lines.len()).filter(|at| lines[*at].starts_with("COPY") && lines[*at].contains("${TEMPLATE_DIR}")).collect()
    }

    /// Names in the template that must be baked.
    fn identity(&self) -> Vec<String> {
        self.template.paths().filter(|path| *path != "README.md").map(str::to_owned).collect()
    }

    fn changed(&self, what: impl Into<String>, change: impl FnOnce(&mut Self)) -> Change {
        let mut build = self.clone();
        change(&mut build);
        Change { what: what.into(), build }
    }

    fn with_lines(&self, what: impl Into<String>, change: impl FnOnce(&mut Vec<String>)) -> Change {
        self.changed(what, |build| {
            let mut lines: Vec<String> = build.dockerfile.lines().map(str::to_owned).collect();
            change(&mut lines);
            build.dockerfile = lines.join("\n") + "\n";
        })
    }

    fn replaced(&self, at: usize, line: impl Into<String>) -> Change {
        let line = line.into();
        self.with_lines(format!("line {} becomes `{line}`", at + 1), |lines| lines[at] = line)
    }

    fn before(&self, at: usize, line: &str) -> Change {
        self.with_lines(format!("`{line}` before line {}", at + 1), |lines| lines.insert(at, line.to_owned()))
    }

    fn appended(&self, line: impl Into<String>) -> Change {
        let line = line.into();
        self.with_lines(format!("`{line}` at the end"), |lines| lines.push(line))
    }
}

/// What bakes other bytes, in the lines that copy.
fn in_the_copies(build: &Fixture) -> Vec<Change> {
    let mut changes = Vec::new();
    let lines = build.lines();
    let argument = lines.iter().position(|line| line.starts_with("ARG TEMPLATE_DIR")).expect("an argument");
    for at in build.copies() {
        let line = lines[at];
        let destination = line.rsplit(' ').next().expect("a destination");
        changes.push(build.with_lines(format!("line {} is gone", at + 1), |lines| drop(lines.remove(at))));
        changes.push(build.replaced(at, format!("# {line}")));
        changes.push(build.replaced(at, format!("{line}x")));
        changes.push(build.replaced(at, line.replace(DESTINATION, "/opt/concierge")));
        changes.push(build.replaced(at, line.replace("${TEMPLATE_DIR}", "other")));
        changes.push(build.replaced(at, line.replace("${TEMPLATE_DIR}", "${TEMPLATE}")));
        changes.push(build.replaced(at, line.replacen("COPY", "COPY --from=busybox", 1)));
        changes.push(build.replaced(at, format!("COPY <<END {}\nwords\nEND", destination.trim_end_matches('/'))));
        changes.push(build.replaced(at, format!("RUN {line}")));
        changes.push(build.replaced(at, format!("ONBUILD {line}")));
        changes.push(build.before(at, "ARG TEMPLATE_DIR=other"));
        changes.push(build.before(at, "ENV TEMPLATE_DIR=other"));
        changes.push(build.before(at, "ENV TEMPLATE_DIR other"));
        changes.push(build.before(at, "FROM scratch"));
        changes.push(build.before(at, "CONJURE"));
        if line.contains("prompts/") {
            for pattern in ["*", "*.md", "concierge.md", "**"] {
                let excluded = line.replacen("COPY", &format!("COPY --exclude={pattern}"), 1);
                changes.push(build.replaced(at, excluded));
            }
        }
    }
    let last = *build.copies().last().expect("copies");
    let moved = |lines: &mut Vec<String>| {
        let argument = lines.remove(argument);
        lines.insert(last, argument);
    };
    changes.push(build.with_lines("the argument comes after the copies", moved));
    let moved = |lines: &mut Vec<String>| {
        let argument = lines.remove(argument);
        lines.insert(0, argument);
    };
    changes.push(build.with_lines("the argument comes before FROM", moved));
    changes.push(build.replaced(argument, "ARG TEMPLATE_DIR"));
    changes.push(build.replaced(argument, "ARG TEMPLATE_DIR=other"));
    changes.push(build.replaced(argument, "ARG TEMPLATE_DIR=/.bundle/templates"));
    changes
}

/// What bakes other bytes, after the copies: for each file in turn.
fn after_the_copies(build: &Fixture) -> Vec<Change> {
    let mut changes = vec![
        build.appended("FROM scratch"),
        build.appended("FROM ${BASE_IMAGE}"),
        build.appended(format!("RUN rm -rf {DESTINATION}")),
        build.appended(format!("RUN mv {DESTINATION} /opt/elsewhere")),
        build.appended(format!("RUN find {DESTINATION} -type f -delete")),
        build.appended("RUN find / -name '*.yaml' -o -name '*.md' -delete"),
        build.appended("RUN rm -rf /opt"),
        build.appended("RUN rm -rf /opt/*"),
        build.appended(format!("COPY other/ {DESTINATION}/")),
        build.appended(format!("WORKDIR {DESTINATION}\nRUN make install")),
        build.appended(format!("RUN cd {DESTINATION} && ./prepare")),
    ];
    for name in build.identity() {
        let path = format!("{DESTINATION}/{name}");
        let (dir, file) = path.rsplit_once('/').expect("a folder");
        for line in [
            format!("RUN rm {path}"),
            format!("RUN rm -f {path} || true"),
            format!("RUN [\"rm\", \"{path}\"]"),
            format!("RUN sed -i s/a/b/ {path}"),
            format!("RUN echo more >> {path}"),
            format!("RUN echo less > {path}"),
            format!("RUN echo less | tee {path}"),
            format!("RUN mv {path} /tmp/{file}"),
            format!("RUN cp /etc/hostname {path}"),
            format!("RUN truncate -s 0 {path}"),
            format!("RUN ln -sf /dev/null {path}"),
            format!("RUN chattr +i {path}"),
            format!("RUN cd {dir} && rm {file}"),
            format!("RUN D={dir}; rm $D/{file}"),
            format!("RUN sh -c 'rm {path}'"),
            format!("RUN <<END\nset -e\nrm {path}\nEND"),
            format!("RUN if true; then rm {path}; fi"),
            format!("RUN for f in {path}; do rm $f; done"),
            format!("WORKDIR {dir}\nRUN rm {file}"),
            format!("WORKDIR {dir}\nRUN sed -i s/a/b/ ./{file}"),
            format!("ENV D={dir}\nRUN rm \"$D\"/{file}"),
            format!("RUN --mount=type=bind,source=other,target=/m cp /m/{name} {path}"),
            format!("COPY other/{name} {path}"),
            format!("COPY other/{name} {dir}/"),
            format!("ADD other/{name} {path}"),
            format!("COPY --link other/{name} {path}"),
            format!("COPY [\"other/{name}\", \"{path}\"]"),
            format!("COPY <<END {path}\nother words\nEND"),
            format!("ADD https://example.org/{file} {path}"),
        ] {
            changes.push(build.appended(line));
        }
    }
    changes
}

/// What bakes other bytes, or says nothing about them any more, around the Dockerfile.
fn around_the_dockerfile(build: &Fixture) -> Vec<Change> {
    let mut changes = vec![
        build.changed("no Dockerfile", |build| build.dockerfile = String::new()),
        build.changed("the source's folder is tracked", |build| {
            build.consumer = build.consumer.clone().file(&format!("{SOURCE_DIR}/note"), "x");
        }),
        build.changed("the source's folder is a submodule", |build| {
            let id = ObjectId::parse(&"e".repeat(40)).expect("an object name");
            build.consumer = build.consumer.clone().submodule(SOURCE_DIR, id);
        }),
        build.changed("a file that nobody listed", |build| {
            build.template = build.template.clone().file("hooks/boot.sh", "#!/bin/sh\n");
        }),
        build.changed("nothing in the template", |build| build.template = Memory::new()),
        build.changed("only what is ignored in the template", |build| {
            build.template = Memory::new().file("README.md", "words\n");
        }),
    ];
    let ignored = |pattern: &str, file: &str| {
        build.changed(format!("`{pattern}` in {file}"), |build| {
            build.consumer = build.consumer.clone().file(file, format!("{pattern}\n"));
        })
    };
    for file in [".dockerignore", "server/Dockerfile.agent.dockerignore"] {
        for pattern in
            ["*", "**", ".bundle", "/.bundle/", "**/concierge", ".bundle/*/*", "**/*.md", "**/prompts", "!x\n**/*.yaml"]
        {
            changes.push(ignored(pattern, file));
        }
        changes.extend(build.identity().iter().map(|name| ignored(&format!("{SOURCE_DIR}/{name}"), file)));
    }
    for at in 0..build.gate.checks.len() {
        let Check::Bake(bake) = &build.gate.checks[at] else { panic!("a bake") };
        let other = |name: &str, value: &str| Bake {
            build_args: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..bake.clone()
        };
        let argued = other("TEMPLATE_DIR", "other");
        changes.push(
            build.changed("the build is told another folder", |build| build.gate.checks[at] = Check::Bake(argued)),
        );
        let moved = Bake { source_dir: ".bundle/templates/gardener".into(), ..bake.clone() };
        changes.push(build.changed("the source is put elsewhere", |build| build.gate.checks[at] = Check::Bake(moved)));
        let narrowed = Bake { context: "server".into(), ..bake.clone() };
        changes.push(build.changed("the context is a folder", |build| build.gate.checks[at] = Check::Bake(narrowed)));
    }
    for name in build.identity() {
        let source = |what: &str, change: &dyn Fn(Memory) -> Memory| {
            build.changed(format!("{name} {what}"), |build| build.template = change(build.template.clone()))
        };
        changes.push(source("is gone", &|tree| tree.without(&name)));
        changes.push(source("is in a submodule", &|tree| {
            tree.submodule(&name, ObjectId::parse(&"e".repeat(40)).expect("an object name"))
        }));
        changes.push(source("is stored with a filter", &|tree| {
            tree.file(".gitattributes", format!("{name} filter=lfs\n"))
        }));
        changes.push(source("leads out of the template", &|tree| tree.link(&name, "../../../../other/config.yaml")));
        // What a pattern names may be called otherwise, and be empty.
        if !name.contains('/') {
            changes.push(source("is empty", &|tree| tree.file(&name, "")));
            changes.push(source("has another name", &|tree| {
                let bytes = tree.read(&name).expect("a file");
                tree.without(&name).file(&format!("{name}.old"), bytes)
            }));
        }
    }
    changes
}

/// What bakes the same bytes.
fn harmless(build: &Fixture) -> Vec<Change> {
    let mut changes = vec![
        build.changed("the template's README says more", |build| {
            build.template = build.template.clone().file("README.md", "more words\n");
        }),
        build
            .changed("a new prompt", |build| build.template = build.template.clone().file("prompts/new.md", "# New\n")),
        build.changed("the consumer's documentation says more", |build| {
            build.consumer = build.consumer.clone().file("docs/index.md", "more words\n");
        }),
        build.changed("the consumer ignores its documentation", |build| {
            build.consumer = build.consumer.clone().file(".dockerignore", "# ours\ndocs\n**/README.md\n");
        }),
        build.changed("everything is ignored and the source is not", |build| {
            build.consumer = build.consumer.clone().file(".dockerignore", "*\n!.bundle\n");
        }),
        build.changed("lines end with CR LF", |build| build.dockerfile = build.dockerfile.replace('\n', "\r\n")),
    ];
    let lines = build.lines();
    let heredoc = lines.iter().position(|line| line.contains("<<")).unwrap_or(lines.len());
    let in_run = |at: usize| at > 0 && lines[at - 1].ends_with('\\');
    for at in (0..heredoc).filter(|at| !in_run(*at)) {
        changes.push(build.before(at, "# a comment that says COPY nothing /opt/concierge-template/config.yaml"));
        changes.push(build.before(at, ""));
    }
    for at in build.copies() {
        let line = lines[at];
        changes.push(build.replaced(at, format!("{line}   ")));
        changes.push(build.replaced(at, line.replacen("COPY", "copy", 1)));
        changes.push(build.replaced(at, line.replacen("COPY", "COPY --chown=1000:1000", 1)));
        changes.push(build.replaced(at, line.replacen("COPY ", "COPY \\\n    ", 1)));
        changes.push(build.replaced(at, line.replace("${TEMPLATE_DIR}", SOURCE_DIR)));
        if !line.contains("--chmod") {
            changes.push(build.replaced(at, line.replacen("COPY", "COPY --chmod=0600", 1)));
        }
        changes.push(build.before(at, "ARG TEMPLATE_DIR=.bundle/templates/concierge"));
        changes.push(build.before(at, "WORKDIR /somewhere"));
        changes.push(build.before(at, "USER 1000"));
    }
    for pair in build.copies().windows(2) {
        let (one, other) = (pair[0], pair[1]);
        changes.push(build.with_lines(format!("lines {} and {} change places", one + 1, other + 1), |lines| {
            lines.swap(one, other);
        }));
    }
    for line in [
        "LABEL identity=/opt/concierge-template/config.yaml",
        "ENV HOME=/root",
        "EXPOSE 80",
        "CMD [\"rm\", \"-rf\", \"/opt/concierge-template\"]",
        "HEALTHCHECK CMD rm /opt/concierge-template/config.yaml",
        "STOPSIGNAL 9",
        "COPY docs/ /docs/",
        "ADD docs/index.md /docs/",
        "RUN true",
        "RUN mkdir -p /var/lib/agent",
        "RUN chmod -R a+rX /opt/concierge-template",
        "RUN chown -R 1000:1000 /opt/concierge-template",
        "ONBUILD RUN rm -rf /opt/concierge-template",
    ] {
        changes.push(build.appended(line));
    }
    for name in build.identity() {
        changes.push(build.changed(format!("the permission bits of {name} change"), |build| {
            let bytes = build.template.read(&name).expect("a file");
            build.template = build.template.clone().file_with_mode(&name, 0o700, bytes);
        }));
        changes.push(build.appended(format!("RUN chmod 0600 {DESTINATION}/{name}")));
    }
    let Check::Bake(bake) = &build.gate.checks[0] else { panic!("a bake") };
    let told =
        BTreeMap::from([("TEMPLATE_DIR".to_owned(), SOURCE_DIR.to_owned()), ("NOBODY".to_owned(), "x".to_owned())]);
    let bake = Bake { build_args: told, ..bake.clone() };
    changes.push(build.changed("the build is told the folder", |build| build.gate.checks[0] = Check::Bake(bake)));
    changes
}

#[test]
fn every_single_change_that_bakes_other_bytes_is_not_green() {
    let (mut tried, mut green) = (0, Vec::new());
    for (state, build) in STATES.iter().zip(fixtures_in_sync()) {
        assert_eq!(build.verdict().verdict, Verdict::InSync, "{state}");
        let changes = in_the_copies(&build).into_iter().chain(after_the_copies(&build));
        for change in changes.chain(around_the_dockerfile(&build)) {
            let report = change.build.verdict();
            let shown = match report.verdict {
                Verdict::InSync => false,
                Verdict::Drift => !errors(&report).is_empty(),
                Verdict::Undecided => !report.undecided.is_empty(),
            };
            if !shown {
                green.push(format!("{state}: {}: {:?}", change.what, report.verdict));
            }
            tried += 1;
        }
    }
    assert!(green.is_empty(), "{} of {tried}:\n{}", green.len(), green.join("\n"));
    assert!(tried > 600, "only {tried} changes were tried");
}

#[test]
fn every_single_change_that_bakes_the_same_bytes_stays_green() {
    let (mut tried, mut red) = (0, Vec::new());
    for (state, build) in STATES.iter().zip(fixtures_in_sync()) {
        for change in harmless(&build) {
            let report = change.build.verdict();
            if report.verdict != Verdict::InSync {
                red.push(format!("{state}: {}: {:?} {:?}", change.what, errors(&report), report.undecided));
            }
            tried += 1;
        }
    }
    assert!(red.is_empty(), "{} of {tried}:\n{}", red.len(), red.join("\n"));
    assert!(tried > 150, "only {tried} changes were tried");
}

/// Whether the image has the template's bytes at each place, told without the gate.
fn bytes_are_there(build: &Fixture) -> bool {
    let consumer = build.consumer.clone().file(DOCKERFILE, &build.dockerfile);
    let context =
        Mounted { base: Arc::new(consumer), at: SOURCE_DIR.to_owned(), mounted: Arc::new(build.template.clone()) };
    let ignore = ignore_file(&context, DOCKERFILE, "").expect("memory can be read");
    let image = evaluate(&Build {
        context: &context,
        dockerfile: build.dockerfile.as_bytes(),
        dockerfile_name: DOCKERFILE,
        ignore: ignore.as_ref().map(|(bytes, name)| (&**bytes, name.as_str())),
        build_args: &BTreeMap::new(),
        target: None,
        generated: None,
    });
    let Ok(image) = image else { return false };
    let bytes = |path: &str| match &image.entries.get(path)?.kind {
        BakedKind::File { content: Content::Context(from), .. } => context.read(from).ok(),
        BakedKind::File { content: Content::Bytes(bytes), .. } => Some(bytes.clone()),
        _ => None,
    };
    let mut dir = DESTINATION.trim_start_matches('/');
    if let Some(BakedKind::Link { target }) = image.entries.get(dir).map(|baked| &baked.kind) {
        dir = target.trim_start_matches('/');
    }
    build.identity().iter().all(|name| {
        let there = bytes(&format!("{dir}/{name}"));
        there.is_some_and(|there| Some(there) == build.template.read(name).ok())
    })
}

/// Lines that do something to what is baked, or nothing.
fn any_line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["config.yaml", "mcp_servers.yaml", "prompts/concierge.md", "prompts", "."]);
    let word = prop::sample::select(vec![
        "COPY ${TEMPLATE_DIR}/@ /opt/concierge-template/@",
        "COPY .bundle/templates/concierge/@ /opt/concierge-template/@",
        "COPY other/@ /opt/concierge-template/@",
        "COPY ${TEMPLATE_DIR} /opt/concierge-template",
        "COPY ${TEMPLATE_DIR} /stage",
        "COPY --from=0 /opt/concierge-template/@ /opt/concierge-template/@",
        "RUN rm -rf /opt/concierge-template/@",
        "RUN cp -r /stage/@ /opt/concierge-template/@",
        "RUN mv /opt/concierge-template/@ /stage",
        "RUN mv /stage /opt/concierge-template",
        "RUN ln -s /stage /opt/concierge-template",
        "RUN sed -i s/a/b/ /opt/concierge-template/@",
        "RUN touch /opt/concierge-template/@",
        "RUN echo words > /opt/concierge-template/@",
        "RUN mkdir -p /opt/concierge-template/@",
        "ARG TEMPLATE_DIR=other",
        "ARG TEMPLATE_DIR=.bundle/templates/concierge",
        "ENV TEMPLATE_DIR=.bundle/templates/concierge",
        "FROM scratch AS more",
        "FROM scratch",
        "WORKDIR /opt/concierge-template",
        "WORKDIR /",
        "COPY ${TEMPLATE_DIR}/@ .",
        "RUN rm -f @",
    ]);
    (word, name).prop_map(|(line, name)| line.replace('@', name))
}

static OLDEST: LazyLock<Fixture> = LazyLock::new(|| fixtures_in_sync().swap_remove(0));
static NEWEST: LazyLock<Fixture> = LazyLock::new(|| fixtures_in_sync().swap_remove(2));

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn green_means_that_the_bytes_are_there(lines in prop::collection::vec(any_line(), 1..10), onto_the_fixture: bool) {
        let mut build = NEWEST.clone();
        build.gate.identity.retain(|name| name != "fill-identity.sh");
        build.template = build.template.without("fill-identity.sh");
        build.dockerfile = if onto_the_fixture {
            OLDEST.dockerfile.clone() + &lines.join("\n")
        } else {
            format!("FROM scratch\nARG TEMPLATE_DIR=.bundle/templates/concierge\n{}\n", lines.join("\n"))
        };
        let report = build.verdict();
        if report.verdict == Verdict::InSync {
            prop_assert!(bytes_are_there(&build), "{}", build.dockerfile);
        }
        if report.verdict == Verdict::Drift {
            prop_assert!(!errors(&report).is_empty());
        }
    }
}
