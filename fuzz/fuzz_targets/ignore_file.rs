//! Any bytes as an ignore file: what it leaves is a part of the context, at the same paths.

#![no_main]

use std::collections::BTreeMap;

use drift_gate::dockerfile::{BakedKind, Content};
use drift_gate_fuzz::{build, context};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dockerfile = "FROM scratch\nCOPY . /all/\nCOPY --parents sub/**/*.md /parents/\n";
    let Ok(image) = build(&context(), dockerfile, Some(bytes), &BTreeMap::new()) else { return };
    for (path, baked) in &image.entries {
        let Some(path) = path.strip_prefix("all/") else { continue };
        if let BakedKind::File { content: Content::Context(from), .. } = &baked.kind {
            assert_eq!(from, path, "what is copied is not what was there");
        }
    }
});
