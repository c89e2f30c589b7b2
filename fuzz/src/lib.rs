//! What the targets have in common: a build context, and what must hold of every image.

use std::collections::BTreeMap;

use drift_gate::dockerfile::{BakedKind, Build, BuildError, Content, Image, Limits, evaluate_within};
use drift_gate::tree::{Memory, Tree};

/// Smaller than those of the service, so that an input is done with quickly.
const LIMITS: Limits = Limits { paths: 20_000, bytes: 16 << 20, steps: 1_000_000 };

/// A small context with one of everything: files, folders, links that lead somewhere, nowhere, round and out.
pub fn context() -> Memory {
    Memory::new()
        .file("a.txt", "A")
        .file("b.md", "B")
        .file(".hid", "H")
        .file("sub/x.md", "X")
        .file("sub/deep/z.md", "Z")
        .executable("bin/run.sh", "#!/bin/sh\ncp -r /d /e\n")
        .file("[l].txt", "L")
        .link("link", "sub")
        .link("sub/up", "../a.txt")
        .link("round", "round")
        .link("gone", "nowhere")
        .link("out", "../../etc/passwd")
}

/// Evaluates a build, and holds what must be true of whatever comes out.
pub fn build(
    context: &dyn Tree,
    dockerfile: &str,
    ignore: Option<&[u8]>,
    build_args: &BTreeMap<String, String>,
) -> Result<Image, BuildError> {
    let build = Build {
        context,
        dockerfile: dockerfile.as_bytes(),
        dockerfile_name: "Dockerfile",
        ignore: ignore.map(|bytes| (bytes, ".dockerignore")),
        build_args,
        target: None,
        generated: None,
    };
    let image = evaluate_within(&build, LIMITS)?;
    let lines = 1 + dockerfile.matches('\n').count() as u32;
    for (path, baked) in &image.entries {
        assert!(is_clean(path), "{path:?} is no path of an image");
        assert!((1..=lines).contains(&baked.line), "{path:?} comes from line {}", baked.line);
        match &baked.kind {
            BakedKind::File { content: Content::Context(from), mode } => {
                assert!(*mode <= 0o7777, "{path:?} has mode {mode:o}");
                assert!(context.read(from).is_ok(), "{path:?} comes from {from:?}, which is not in the context");
            }
            BakedKind::File { mode, .. } | BakedKind::Dir { mode } => assert!(*mode <= 0o7777, "{path:?}: {mode:o}"),
            BakedKind::Link { .. } => {}
        }
    }
    for unknown in &image.unknown {
        assert!(unknown.path.is_empty() || is_clean(&unknown.path), "{:?} is no path of an image", unknown.path);
    }
    Ok(image)
}

fn is_clean(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}
