//! What the readers of data promise, format by format.

use super::*;

fn yaml(text: &str) -> Value {
    parse(Format::Yaml, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(format: Format, text: &str) -> String {
    parse_all(format, text).expect_err("it must be refused").to_string()
}

/// Where two texts are not the same data; empty where they are.
fn differs(format: Format, source: &str, copy: &str) -> String {
    let read = |text| parse_all(format, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    difference(&read(source), &read(copy))
        .map_or_else(String::new, |found| format!("{} {} (line {})", found.path, found.words, found.line))
}

#[test]
fn order_of_keys_spaces_and_comments_do_not_count_and_everything_else_does() {
    assert_eq!(differs(Format::Json, "{\"a\": 1.50, \"b\": [true]}", "{\"b\":[true],\n\"a\":15e-1}"), "");
    assert_eq!(differs(Format::Yaml, "# head\na: 1\nb: [x, 'y']\n", "b:\n  - x\n  - y\na: 1 # one\n"), "");
    assert_eq!(differs(Format::Toml, "a = 1\n[b]\nc = \"x\"\n", "b.c = 'x'\na = 1\n"), "");
    for (format, source, copy, expected) in [
        (Format::Json, "{\"a\": 1}", "{\n\"a\": 2}", "a is 2, the source says 1 (line 2)"),
        (Format::Json, "{\"a\": {\"b\": 1}}", "{\"a\": {}}", "a.b is missing (line 1)"),
        (Format::Json, "{}", "{\n\"a\": 2}", "a is not in the source (line 2)"),
        (Format::Json, "[1, 2]", "[2, 1]", "[0] is 2, the source says 1 (line 1)"),
        (Format::Json, "[1]", "[1, 2]", " has 2 entries, the source has 1 (line 1)"),
        (
            Format::Json,
            "9007199254740992",
            "9007199254740993",
            " is 9007199254740993, the source says 9007199254740992 (line 1)",
        ),
        (Format::Json, "\"1\"", "1", " is 1, the source says \"1\" (line 1)"),
        (Format::Json, "null", "0", " is 0, the source says null (line 1)"),
        (Format::Yaml, "a: yes", "a: true", "a is true, the source says \"yes\" (line 1)"),
        (Format::Yaml, "a: 1", "a: 1.0", "a is 1, the source says 1 (line 1)"),
        (Format::Yaml, "a: 1\n---\nb: 2\n", "a: 1\n", " 1 documents, the source has 2 (line 1)"),
        (Format::Yaml, "1: x", "'1': x", "!!int 1 is missing (line 1)"),
        (
            Format::Toml,
            "a = 2026-01-01",
            "a = '2026-01-01'",
            "a is \"2026-01-01\", the source says 2026-01-01 (line 1)",
        ),
    ] {
        assert_eq!(differs(format, source, copy), expected, "{source} and {copy}");
    }
}

#[test]
fn yaml_means_what_its_core_schema_says() {
    for (text, kind) in [
        ("~", Kind::Null),
        ("Null", Kind::Null),
        ("no", Kind::Text("no".into())),
        ("'true'", Kind::Text("true".into())),
        ("0x1F", Kind::Number("31".into())),
        ("0o17", Kind::Number("15".into())),
        ("017", Kind::Number("17".into())),
        ("-12", Kind::Number("-12".into())),
        ("1e3", Kind::Float("1000".into())),
        ("-.INF", Kind::Float("-.inf".into())),
        ("1_000", Kind::Text("1_000".into())),
        ("2026-01-01", Kind::Text("2026-01-01".into())),
        ("!!str 12", Kind::Text("12".into())),
        ("! 12", Kind::Text("12".into())),
        ("!!float 12", Kind::Float("12".into())),
        ("|\n  a\n  b\n", Kind::Text("a\nb\n".into())),
        ("e5", Kind::Text("e5".into())),
    ] {
        assert_eq!(yaml(text).kind, kind, "{text}");
    }
    let merged = yaml("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n");
    assert_eq!(canonical(&merged), r#"{"a":{"x":1},"b":{"<<":{"x":1},"y":2}}"#);
}

#[test]
fn what_two_readers_could_take_differently_is_refused_with_its_line() {
    for (format, text, expected) in [
        (Format::Json, "{\"a\": 1,\n\"a\": 1}", "line 2: the key `a` stands there twice; keep one"),
        (Format::Json, "{} // a bot was here", "line 1: text after the end of the JSON value; remove it"),
        (Format::Yaml, "a: {b: 1, b: 2}", "line 1: the key `b` stands there twice; keep one"),
        (
            Format::Yaml,
            "a: 1\n\nb: !secret x\n",
            "line 3: the tag `!secret` changes what the value means: it cannot be compared",
        ),
        (Format::Yaml, "[a]: 1", "line 1: a key is a list or an object: nothing can be compared by it"),
        (Format::Yaml, "a: *nobody", "line 1: "),
        (Format::Yaml, "a: &a [*a]", "line 1: an alias of what is not closed yet: the value would hold itself"),
        (Format::Yaml, "a: !!int x", "line 1: `x` is not what its tag says"),
        (Format::Yaml, "a: 1\n b: [", "line 2: "),
        (Format::Toml, "a = 1\na = 2\n", "line 2: duplicate key"),
        (Format::Toml, "a = \n", "line 1: "),
    ] {
        let said = refused(format, text);
        assert!(said.starts_with(expected), "{text}: {said}");
    }
    assert_eq!(parse(Format::Yaml, "a: 1\n---\nb: 2\n").expect_err("two").line, 3);
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    assert!(refused(Format::Yaml, &bomb).contains("more than 1000000 values"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 1000].join(", "));
    assert!(refused(Format::Yaml, &long).contains("more than 1000000 values"));
    let chain: String = (0..2000).map(|n| format!("a{}: &a{} [*a{n}]\n", n + 1, n + 1)).collect();
    assert!(refused(Format::Yaml, &format!("a0: &a0 x\n{chain}")).contains("too deep"));
    for format in [Format::Json, Format::Yaml, Format::Toml] {
        let deep = if format == Format::Toml { format!("a = {}", "[".repeat(100_000)) } else { "[".repeat(100_000) };
        assert!(parse(format, &deep).is_err());
    }
    assert!(parse(Format::Yaml, &"- ".repeat(10_000)).is_err());
}

#[test]
fn values_know_their_lines_in_every_format() {
    let line = |value: &Value, key: &str| match &value.kind {
        Kind::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value.line),
        _ => None,
    };
    for (format, text) in [
        (Format::Json, "\u{feff}{\n\n\"a\": 1,\n\"b\": {}}"),
        (Format::Yaml, "\u{feff}# x\n\na: 1\nb:  {}\n"),
        (Format::Toml, "\u{feff}# x\n\na = 1\n[b]\nc = 1\n"),
    ] {
        let value = parse(format, text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((line(&value, "a"), line(&value, "b")), (Some(3), Some(4)), "{text}");
    }
}
