//! Checks of every kind and pins in every place: what they mean, and what is said about those that cannot be.

use super::*;

/// A gate of a repository's own file, its first six lines; the check begins at line 7.
const GATE: &str = r#"[[gate]]
name = "contracts"
source = { url = "https://git.example.org/molecule/contracts", branch = "main" }
binding = { follow = true }

[[gate.check]]
"#;

fn checked(check: &str) -> Check {
    let config = Config::parse_laptop(&format!("{GATE}{check}\n"), ".drift-gate.toml");
    let gate = config.unwrap_or_else(|error| panic!("{error}")).gates.remove(0);
    assert!(gate.identity.is_empty());
    gate.checks.into_iter().next().expect("a check")
}

/// What is said about a check.
fn of_check(check: &str) -> Vec<String> {
    said_on_a_laptop(&format!("{GATE}{check}\n"))
}

fn bound(binding: &str) -> Binding {
    let text =
        format!("{GATE}kind = \"mirror\"\nfile = \"a\"\ncopies = [\"a\"]\n").replace("{ follow = true }", binding);
    let config = Config::parse_laptop(&text, ".drift-gate.toml");
    config.unwrap_or_else(|error| panic!("{error}")).gates.remove(0).binding
}

/// What is said about a binding, in line 4.
fn of_binding(binding: &str) -> Vec<String> {
    let text = format!("{GATE}kind = \"mirror\"\nfile = \"a\"\ncopies = [\"a\"]\n");
    said_on_a_laptop(&text.replace("{ follow = true }", binding))
}

#[track_caller]
fn each_says(rows: &[(&str, &str)], said: impl Fn(&str) -> Vec<String>) {
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let is = said(text);
        if is != [*expected] {
            wrong.push(format!("{text}\n  expected {expected}\n  said     {}", is.join("\n           ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mirror_means_a_file_or_a_folder_and_its_copies() {
    let mirror = |what, copies: &[&str], compare| {
        Check::Mirror(Mirror { what, copies: copies.iter().map(|copy| (*copy).to_owned()).collect(), compare })
    };
    assert_eq!(
        checked("kind = \"mirror\"\nfile = \"./a.json\"\ncopies = [\"b.json\", \"c/d.json\"]\ncompare = \"json\""),
        mirror(Mirrored::File("a.json".into()), &["b.json", "c/d.json"], Compare::Data(Format::Json))
    );
    let whole = Mirrored::Folder { path: String::new(), include: vec!["**".into()], exclude: vec!["*.md".into()] };
    assert_eq!(
        checked("kind = \"mirror\"\nfolder = \".\"\nexclude = [\"*.md\"]\ncopies = [\"vendor/x/\"]"),
        mirror(whole, &["vendor/x"], Compare::Bytes)
    );
}

#[test]
fn a_mirror_that_compares_nothing_or_two_things_is_refused() {
    each_says(
        &[
            (
                "kind = \"mirror\"\nfile = \"a\"",
                "6:1: [[gate.check]] has no `copies` => add `copies = [\"internal/providers.yaml\"]`",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\ncopies = []",
                "9:10: `copies` is empty: nothing would be compared => name the copies in the consumer: `copies = [\"internal/providers.yaml\"]`",
            ),
            (
                "kind = \"mirror\"\ncopies = [\"a\"]",
                "6:1: the mirror does not say what of the source is copied => add `file = \"providers.yaml\"` or `folder = \"fixtures\"`",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\nfolder = \"b\"\ncopies = [\"a\"]",
                "9:10: a mirror is of a `file` or of a `folder`, not of both => remove one of them",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\ninclude = [\"*\"]\ncopies = [\"a\"]",
                "9:12: `include` and `exclude` need a `folder`: `file` is one file => write `folder` instead of `file`, or remove it",
            ),
            (
                "kind = \"mirror\"\nfile = \"../a\"\ncopies = [\"a\"]",
                "8:8: `file` leaves the repository by `..` => write a path below the repository's root, without `..`",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\ncopies = [\".\"]",
                "9:11: `copies` is the repository's root => name a file or folder in it",
            ),
            (
                "kind = \"mirror\"\nfolder = \"a\"\ninclude = [\"b/\"]\ncopies = [\"a\"]",
                "9:12: `include` has the glob `b/`, which matches no file => write `b/**` for everything in the folder",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\ncopies = [\"a\"]\ncompare = \"jsn\"",
                "10:11: `compare` cannot be `jsn` => write `compare = \"json\"`",
            ),
            (
                "kind = \"mirror\"\nfile = \"a\"\ncopies = [\"a\"]\ndockerfile = \"a\"",
                "10:1: unknown key `dockerfile` in [[gate.check]] => [[gate.check]] knows `compare`, `copies`, `exclude`, `file`, `folder`, `include`, `kind`",
            ),
        ],
        of_check,
    );
}

const BAKE: &str = "kind = \"bake\"\ndockerfile = \"D\"\nsource_dir = \"s\"\ndestination = \"/d\"\n";

/// What is said about a bake with more in it, in line 11.
fn of_bake(more: &str) -> Vec<String> {
    said_on_a_laptop(&format!("{GATE}{BAKE}{more}\n").replacen("\n\n", "\nidentity = [\"a\"]\n\n", 1))
}

#[test]
fn a_bake_says_which_stage_is_built_and_what_its_context_is() {
    let bake = |more: &str| {
        let text = format!("{GATE}{BAKE}{more}\n").replacen("\n\n", "\nidentity = [\"a\"]\n\n", 1);
        let config = Config::parse_laptop(&text, ".drift-gate.toml").unwrap_or_else(|error| panic!("{error}"));
        let Check::Bake(bake) = &config.gates[0].checks[0] else { panic!("a bake") };
        bake.clone()
    };
    let plain = bake("");
    assert_eq!((plain.target, plain.git_context, plain.generated), (None, false, vec![]));
    assert_eq!(bake("target = \"runtime\"").target.as_deref(), Some("runtime"));
    assert!(bake("git_context = true").git_context);
    assert_eq!(bake("generated = [\"canvas/out/**\", \"VERSION\"]").generated, ["canvas/out/**", "VERSION"]);
    each_says(
        &[
            (
                "target = \"0\"",
                "12:10: `target` is not the name of a stage => write the name behind `AS` in its FROM, for example `runtime`; a stage without one gets a name first",
            ),
            (
                "git_context = \"true\"",
                "12:15: `git_context` must be a boolean, found a string => write `git_context = true` or `false`",
            ),
            (
                "generated = [\"out/\"]",
                "12:14: `generated` has the glob `out/`, which matches no file => write `out/**` for everything in the folder",
            ),
            (
                "generated = [\"out/**\"]\ngit_context = true",
                "12:14: `generated` and `git_context = true` exclude each other => keep one: a builder that clones its context from git gets nothing that was made beside it",
            ),
        ],
        of_bake,
    );
}

const VALUES: &str = "kind = \"values\"\nsource = { file = \"a.json\", at = \"a[*].b\" }\n";

#[test]
fn values_are_taken_out_in_one_way_on_each_side() {
    let Check::Values(values) = checked(&format!(
        "{VALUES}consumer = {{ file = \"b.sh\", regex = '\"(.*)\"', within = '(?s)X=(.*)' }}\ncompare = \"subset\"\nonly = [\"x*\"]\nleast = 3"
    )) else {
        panic!("values")
    };
    let at = PinPath::parse_place("a[*].b").unwrap();
    assert_eq!(
        values.source,
        ValuesSide { file: "a.json".into(), extract: Extract::Path { format: Format::Json, at } }
    );
    let pattern = |text: &str| Pattern::new(text).unwrap();
    let within = Some(pattern("(?s)X=(.*)"));
    assert_eq!(values.consumer.extract, Extract::Regex { pattern: pattern("\"(.*)\""), within });
    assert_eq!(
        (values.relation, values.least, values.only.as_slice()),
        (Relation::Subset, 3, ["x*".to_owned()].as_slice())
    );
    let Check::Values(values) = checked(&format!("{VALUES}consumer = {{ file = \"b.css\", css = [\"@theme\"] }}"))
    else {
        panic!("values")
    };
    assert_eq!((values.relation, values.least), (Relation::Equal, 1), "an empty extraction is never enough");
    assert_eq!(values.consumer.extract, Extract::Css(vec!["@theme".into()]));
}

#[test]
fn values_that_nobody_could_take_out_are_refused() {
    let side = |side: &str| of_check(&format!("{VALUES}consumer = {{ {side} }}"));
    each_says(
        &[
            (
                "file = \"b.css\"",
                "9:12: `consumer` says in one way where the values are: by `at`, by `regex` or by `css` => write for example `consumer = { file = \"providers.json\", at = \"providers[*].name\" }`",
            ),
            (
                "file = \"b.json\", at = \"a\", css = [\":root\"]",
                "9:12: `consumer` says in one way where the values are: by `at`, by `regex` or by `css` => write for example `consumer = { file = \"providers.json\", at = \"providers[*].name\" }`",
            ),
            ("at = \"a\"", "9:12: `consumer` has no `file` => add `file = \"providers.json\"`"),
            (
                "file = \"b.lock\", at = \"a\"",
                "9:21: the name of `b.lock` does not say what it holds => add `format = \"json\"`, `\"yaml\"` or `\"toml\"`",
            ),
            (
                "file = \"b.sh\", regex = 'x', format = \"json\"",
                "9:51: `format` needs `at`: nothing else is read as data => remove it",
            ),
            (
                "file = \"b.json\", at = \"a[*\"",
                "9:36: `at` is no path to a value: expected `=` and the field's value behind `a[*` => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
            ),
            ("file = \"b.sh\", regex = 'x'", "9:37: `regex` has no group => put what is meant in `( )`"),
            (
                "file = \"b.sh\", regex = '(x)(y)'",
                "9:37: `regex` has 2 groups => keep one `( )` around what is meant; write the others as `(?: )`",
            ),
            (
                "file = \"b.sh\", regex = '(x'",
                "9:37: `regex` does not parse: unclosed group => write it as in the `regex` crate, in single quotes so that TOML leaves `\\` alone: '^SHA=([0-9a-f]+)$'",
            ),
            (
                "file = \"b.sh\", regex = '(\\w{999}{999})'",
                "9:37: `regex` needs too much memory => write it as in the `regex` crate, in single quotes so that TOML leaves `\\` alone: '^SHA=([0-9a-f]+)$'",
            ),
            (
                "file = \"b.css\", css = [\":root\"], within = '(x)'",
                "9:56: `within` needs a `regex`: it says where to look for it => add `regex`, or remove it",
            ),
            (
                "file = \"b.css\", css = []",
                "9:36: `css` names no block => write at-rules and selector, from outside to inside: `css = [\":root\"]`",
            ),
        ],
        side,
    );
    let long = format!("file = \"b.sh\", regex = '({})'", "x".repeat(1000));
    assert!(side(&long)[0].starts_with("9:37: `regex` is longer than 1000 characters"));
    let consumer = "consumer = { file = \"b.css\", css = [\":root\"] }";
    each_says(
        &[
            (
                "least = 0",
                "10:9: `least` is 0: an empty extraction is never equal, and 10000 values are the most => write how many values each side must give, at least `least = 1`",
            ),
            (
                "least = 10001",
                "10:9: `least` is 10001: an empty extraction is never equal, and 10000 values are the most => write how many values each side must give, at least `least = 1`",
            ),
            ("least = -1", "10:9: `least` cannot be -1 => write `least = 1`"),
            ("least = \"1\"", "10:9: `least` must be an integer, found a string => write `least = 1`"),
            ("compare = \"sub\"", "10:11: `compare` cannot be `sub` => write `compare = \"equal\"` or `\"subset\"`"),
        ],
        |line| of_check(&format!("{VALUES}{consumer}\n{line}")),
    );
}

#[test]
fn absent_means_paths_or_something_in_a_file() {
    assert_eq!(checked("kind = \"absent\"\npaths = [\"a/**\"]"), Check::Absent(Absent::Paths(vec!["a/**".into()])));
    let at = PinPath::parse_place("a[name=b]").unwrap();
    assert_eq!(
        checked("kind = \"absent\"\nfile = \"a.yml\"\nat = \"a[name=b]\""),
        Check::Absent(Absent::InFile { file: "a.yml".into(), what: Retired::Path { format: Format::Yaml, at } })
    );
    let regex = Retired::Regex(Pattern::new("x").unwrap());
    assert_eq!(
        checked("kind = \"absent\"\nfile = \"a\"\nregex = \"x\""),
        Check::Absent(Absent::InFile { file: "a".into(), what: regex })
    );
    let one_way = "6:1: the check says in one way what must be absent => write `paths = [\"legacy/**\"]`, or `file` with `at` or with `regex`";
    each_says(
        &[
            ("kind = \"absent\"", one_way),
            ("kind = \"absent\"\nfile = \"a\"", one_way),
            ("kind = \"absent\"\nfile = \"a\"\npaths = [\"a\"]", one_way),
            ("kind = \"absent\"\nfile = \"a.json\"\nat = \"a\"\nregex = \"x\"", one_way),
            (
                "kind = \"absent\"\npaths = []",
                "8:9: `paths` is empty: nothing would be looked for => name what must stay gone: `paths = [\"legacy/**\"]`",
            ),
            (
                "kind = \"absent\"\nfile = \"a\"\nregex = \"\"",
                "9:9: `regex` is empty, which matches everywhere => write it as in the `regex` crate, in single quotes so that TOML leaves `\\` alone: '^SHA=([0-9a-f]+)$'",
            ),
        ],
        of_check,
    );
}

#[test]
fn a_pin_stands_in_data_in_a_file_of_its_own_in_a_dockerfile_or_where_a_pattern_finds_it() {
    let at = |format, path| PinAt::Path { format, at: PinPath::parse(path).unwrap() };
    for (binding, file, expected) in [
        ("{ pin = \"a.json\", at = \"x.y\" }", "a.json", at(Format::Json, "x.y")),
        ("{ pin = \"a.yml\", at = \"x\" }", "a.yml", at(Format::Yaml, "x")),
        ("{ pin = \"a.toml\", at = \"x[0]\" }", "a.toml", at(Format::Toml, "x[0]")),
        ("{ pin = \"versions\", at = \"x\" }", "versions", at(Format::Json, "x")),
        ("{ pin = \"uv.lock\", format = \"toml\", at = \"x\" }", "uv.lock", at(Format::Toml, "x")),
        ("{ pin = \".sha\", whole = true }", ".sha", PinAt::Whole),
        ("{ pin = \"Dockerfile\", argument = \"SHA\" }", "Dockerfile", PinAt::Argument("SHA".into())),
        ("{ pin = \"b.sh\", regex = 'S=(.*)' }", "b.sh", PinAt::Regex(Pattern::new("S=(.*)").unwrap())),
        ("{ submodule = \"vendor/x/\" }", "vendor/x", PinAt::Submodule),
    ] {
        let require = std::collections::BTreeMap::new();
        assert_eq!(bound(binding), Binding::Pin { file: file.into(), at: expected, require }, "{binding}");
    }
}

#[test]
fn a_pin_in_two_places_or_in_none_is_refused() {
    each_says(
        &[
            (
                "{ pin = \"a.json\", at = \"x\", whole = true }",
                "4:11: the pin is said to stand in more than one place => keep one of `at`, `whole`, `argument` and `regex`",
            ),
            (
                "{ pin = \"a\", whole = false }",
                "4:32: `whole = false` says nothing => write `whole = true`, or where the pin stands",
            ),
            (
                "{ pin = \"a\", submodule = \"b\", whole = true }",
                "4:11: the commit is pinned either in a file or by a submodule => keep one: `pin` for a file, or `submodule`",
            ),
            (
                "{ submodule = \"b\", follow = true }",
                "4:11: a gate either pins or follows, not both => write `{ pin = \"manifest.json\", at = \"templates[name=agent].ref\" }` or `{ follow = true }`",
            ),
            (
                "{ submodule = \"b\", require = { a = \"b\" } }",
                "4:40: `require` needs `at`: nothing stands beside a submodule => remove it",
            ),
            (
                "{ pin = \"a\", whole = true, require = { a = \"b\" } }",
                "4:48: `require` needs `at`: what stands beside the pin is known in data only => remove it",
            ),
            (
                "{ pin = \"a\", whole = true, format = \"json\" }",
                "4:47: `format` needs `at`: nothing else is read as data => remove it",
            ),
            (
                "{ pin = \"a\", argument = \"A B\" }",
                "4:35: `argument` is not the name of an `ARG` or `ENV` => write its name alone, for example `TEMPLATE_SHA`",
            ),
            ("{ pin = \"a\", regex = 'S=.*' }", "4:32: `regex` has no group => put what is meant in `( )`"),
            (
                "{ pin = \"a.json\", at = \"x[*]\" }",
                "4:34: `at` is no path to a value: `[*]` means several values, a pin is one => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
            ),
        ],
        of_binding,
    );
}

#[test]
fn a_check_of_the_pin_needs_one_and_a_bake_needs_an_identity() {
    let pin = "kind = \"pin\"\nrequires = [\"a\"]";
    assert_eq!(
        of_check(pin),
        ["6:1: a check of kind `pin` in a gate that pins nothing => remove it, or write a `binding` with a pin"]
    );
    let pinned = format!("{GATE}{pin}\n").replace("{ follow = true }", "{ pin = \"a\", whole = true }");
    let config = Config::parse_laptop(&pinned, ".drift-gate.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.gates[0].checks, [Check::Pin(Pin { requires: vec!["a".into()] })]);
    let bake = "kind = \"bake\"\ndockerfile = \"D\"\nsource_dir = \"s\"\ndestination = \"/d\"";
    let expected = "1:1: [[gate]] has no `identity` => add `identity = [\"config.yaml\", \"prompts/**\"]`";
    assert_eq!(of_check(bake), [expected]);
    assert_eq!(of_check(&format!("kind = \"absent\"\npaths = [\"a\"]\n[[gate.check]]\n{bake}")), [expected]);
    let empty = format!("{GATE}{pin}\n").replace("\n\n[[gate.check]]", "\nidentity = []\n[[gate.check]]");
    assert!(said_on_a_laptop(&empty)[0].starts_with("5:12: `identity` is empty"));
}
