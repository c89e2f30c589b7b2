//! Directories that nothing concerns are not looked into: that must not lose a file that does.

use proptest::prelude::*;

use crate::config::{Config, Gate};
use crate::gate::checks::{concerns, concerns_below};

/// A gate with these lists and checks.
fn gate(lists: [&str; 2], checks: &str) -> Gate {
    let [identity, ignore] = lists;
    let text = format!(
        r#"
        [[gate]]
        name = "one"
        source = {{ url = "https://git.example.org/molecule/template", branch = "main" }}
        binding = {{ follow = true }}
        {identity}
        {ignore}
        {checks}
        "#
    );
    let config = Config::parse_laptop(&text, "drift-gate.toml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    config.gates.into_iter().next().expect("a gate")
}

const BAKE: &str = "[[gate.check]]\nkind = \"bake\"\ndockerfile = \"D\"\nsource_dir = \"d\"\ndestination = \"/d\"\n";
const MIRROR: &str = "[[gate.check]]\nkind = \"mirror\"\nfile = \"a/b\"\ncopies = [\"x\"]\n";
const FOLDER: &str = "[[gate.check]]\nkind = \"mirror\"\nfolder = \"a/b\"\ninclude = [\"**/a\"]\ncopies = [\"x\"]\n";
const VALUES: &str = "[[gate.check]]\nkind = \"values\"\nsource = { file = \"b/a/b\", at = \"k\", format = \"json\" }\n\
    consumer = { file = \"x\", at = \"k\", format = \"json\" }\n";
const ABSENT: &str = "[[gate.check]]\nkind = \"absent\"\npaths = [\"b/a\"]\n";

proptest! {
    #[test]
    fn no_file_that_concerns_a_gate_is_in_a_directory_that_does_not(
        identity in prop_oneof![Just(""), Just("identity = ['a/*']"), Just("identity = ['**/b']"), Just("identity = ['a/b/**']")],
        ignore in prop_oneof![Just(""), Just("ignore = ['**']"), Just("ignore = ['b/**']"), Just("ignore = ['*/a/**', 'a/*']")],
        checks in prop_oneof![Just(BAKE), Just(MIRROR), Just(FOLDER), Just(VALUES), Just(ABSENT)],
        path in "[ab](/[ab]){1,3}",
    ) {
        prop_assume!(!(checks == BAKE && identity.is_empty()));
        let gate = gate([identity, ignore], checks);
        if concerns(&gate, &path) {
            for (at, _) in path.match_indices('/') {
                prop_assert!(concerns_below(&gate, &path[..at]), "{path} concerns it, {} does not", &path[..at]);
            }
        }
    }
}

#[test]
fn what_is_ignored_as_a_whole_is_not_looked_into() {
    let gate = gate(["identity = ['a/x']", "ignore = ['**']"], MIRROR);
    assert!(concerns_below(&gate, "a"), "the identity is in there");
    assert!(!concerns_below(&gate, "b"));
    let named = self::gate(["", ""], VALUES);
    assert!(concerns_below(&named, "b/a"), "the values are in there");
    assert!(!concerns_below(&named, "a"));
}
