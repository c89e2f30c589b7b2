//! Any text as a Dockerfile: it is read without a panic, and read the same way twice.

#![no_main]

use std::collections::BTreeMap;

use drift_gate_fuzz::{build, context};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let none = BTreeMap::new();
    let (one, other) = (build(&context(), text, None, &none), build(&context(), text, None, &none));
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.entries, other.entries);
            assert_eq!(one.unknown, other.unknown);
            assert_eq!(one.assumptions, other.assumptions);
        }
        (one, other) => assert_eq!(one.err(), other.err()),
    }
});
