//! Any word with any values of its variables, as an argument and as the body of a heredoc.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use drift_gate_fuzz::{build, context};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    word: &'a str,
    a: &'a str,
    b: &'a str,
    backtick: bool,
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let escape = if input.backtick { "# escape=`\n" } else { "" };
    let line = input.word.replace(['\n', '\r'], " ");
    let word = input.word;
    let dockerfile = format!(
        "{escape}FROM scratch\nARG A\nARG B\nENV C={line}\nCOPY <<END /body\n{word}\nEND\nCOPY a.txt /d/{line}\n"
    );
    let values = BTreeMap::from([("A".to_owned(), input.a.to_owned()), ("B".to_owned(), input.b.to_owned())]);
    // Whether it builds is not the question here.
    let _ = build(&context(), &dockerfile, None, &values);
});
