//! Values that both sides say: sets and maps, whatever files they stand in.

use super::kinds::{consumer_pull, told, written};
use super::*;

fn gate_of(source: &str, consumer: &str, more: &str) -> Gate {
    written(&format!(
        "[[gate.check]]\nkind = \"values\"\nsource = {{ file = \"source\", {source} }}\nconsumer = {{ file = \"consumer\", {consumer} }}\n{more}\n"
    ))
}

fn compared(gate: &Gate, source: &str, consumer: &str) -> Vec<String> {
    told(&branch_of(gate, Memory::new().file("consumer", consumer), Memory::new().file("source", source)))
}

#[test]
fn an_array_of_a_script_says_what_a_list_of_the_source_says() {
    let gate = gate_of(
        "at = \"patterns[*].id\", format = \"yaml\"",
        "regex = \"'([^']+)'\", within = '(?s)^PATTERNS=\\((.*?)^\\)'",
        "least = 2",
    );
    let source = "patterns:\n  - {id: aws, regex: AKIA}\n  - {id: slack, regex: xox}\n";
    let script = "echo 'not this'\nPATTERNS=(\n  'aws'\n  'slack' # twice\n  'slack'\n)\necho 'nor this'\n";
    let report = branch_of(&gate, Memory::new().file("consumer", script), Memory::new().file("source", source));
    assert_eq!((told(&report), report.verdict, report.files_compared), (vec![], Verdict::InSync, 1));
    assert_eq!(
        compared(&gate, source, &script.replace("'aws'", "'gcp'")),
        [
            "consumer lacks `aws`, which source of the source says",
            "consumer says `gcp`, source of the source does not: line 3",
        ]
    );
}

#[test]
fn colours_of_two_style_sheets_are_compared_by_name() {
    let gate = gate_of(
        "css = [\":root\"]",
        "css = [\"@media (prefers-color-scheme: light)\", \":root\"]",
        "only = [\"--bg\", \"--fg*\"]\nleast = 3",
    );
    let tokens = ":root { --bg: #fff; --fg: #000; --fg-muted: #777; --space: 4px }";
    let app = "@media (prefers-color-scheme: light) {\n:root {\n--bg: #fff;\n--fg: #000;\n--fg-muted: #777;\n--radius: 2px }}\n";
    assert_eq!(compared(&gate, tokens, app), [""; 0]);
    assert_eq!(
        compared(&gate, tokens, &app.replace("--fg: #000", "--fg: #111")),
        ["consumer says `--fg` is `#111`, source of the source says `#000`: line 4"]
    );
}

#[test]
fn an_empty_extraction_is_never_equal() {
    let gate = gate_of("css = [\":root\"]", "css = [\":root\"]", "");
    let none = "body { color: red }";
    assert_eq!(
        compared(&gate, none, none),
        [
            "consumer does not give the values that the gate compares: 0 were found, the gate wants at least 1",
            "source of the source does not give the values that the gate compares: 0 were found, the gate wants at least 1",
        ]
    );
    let more = gate_of("css = [\":root\"]", "css = [\":root\"]", "least = 2");
    let one = ":root { --a: 1 }";
    assert_eq!(
        said(&branch_of(&more, Memory::new().file("consumer", one), Memory::new().file("source", one))),
        ["values-too-few consumer", "values-too-few source"]
    );
}

#[test]
fn a_subset_may_lack_values_and_may_not_add_any() {
    let gate =
        gate_of("at = \"providers\", format = \"json\"", "at = \"use\", format = \"toml\"", "compare = \"subset\"");
    let source = "{\"providers\": [\"anthropic\", \"openai\", \"google\"]}";
    assert_eq!(compared(&gate, source, "use = ['openai']"), [""; 0]);
    assert_eq!(
        compared(&gate, source, "use = ['openai',\n'acme']"),
        ["consumer says `acme`, source of the source does not: line 2"]
    );
}

#[test]
fn numbers_and_texts_are_the_same_value_where_they_are_written_the_same() {
    let gate = gate_of("at = \"ports\", format = \"json\"", "regex = 'EXPOSE (\\d+)'", "");
    assert_eq!(compared(&gate, "{\"ports\": [8080, 9090.0]}", "EXPOSE 8080\r\nEXPOSE 9090\r\n"), [""; 0]);
}

#[test]
fn an_object_gives_names_with_values_and_a_list_is_compared_with_its_names() {
    let maps = gate_of("at = \"limits\", format = \"json\"", "at = \"limits\", format = \"yaml\"", "");
    let source = "{\"limits\": {\"cpu\": 2, \"tags\": {\"b\": 1, \"a\": 2}}}";
    assert_eq!(compared(&maps, source, "limits:\n  tags: {a: 2, b: 1}\n  cpu: 2\n"), [""; 0]);
    assert_eq!(
        compared(&maps, source, "limits:\n  tags: {a: 2, b: 1}\n  cpu: 4\n"),
        ["consumer says `cpu` is `4`, source of the source says `2`: line 3"]
    );
    let names = gate_of("at = \"limits\", format = \"json\"", "regex = 'limit (\\w+)'", "");
    assert_eq!(compared(&names, source, "limit cpu\nlimit tags\n"), [""; 0]);
}

#[test]
fn what_cannot_be_read_gives_no_values_and_says_why() {
    let gate = gate_of("at = \"a\", format = \"json\"", "at = \"a[*].b\", format = \"yaml\"", "");
    let good = ("{\"a\": [1]}", "a: [{b: 1}]\n");
    assert_eq!(compared(&gate, good.0, good.1), [""; 0]);
    for (source, consumer, expected) in [
        (
            "{\"a\": [1],}",
            good.1,
            "source of the source does not give the values that the gate compares: it is not JSON: line 1: a key in double quotes is missing",
        ),
        (
            "{\"a\": [1], \"c\": {\"d\": 1, \"d\": 2}}",
            good.1,
            "source of the source does not give the values that the gate compares: it is not JSON: line 1: the key `d` stands there twice; keep one",
        ),
        (
            "{\"b\": [1]}",
            good.1,
            "source of the source does not give the values that the gate compares: it has no key `a`",
        ),
        (
            "{\"a\": [null]}",
            good.1,
            "source of the source does not give the values that the gate compares: a value is null, which says nothing",
        ),
        (
            good.0,
            "a:\n- {b: 1}\n- {c: 1}\n",
            "consumer does not give the values that the gate compares: it has no key `b`: line 3",
        ),
        (
            good.0,
            "a: {b: 1}\n",
            "consumer does not give the values that the gate compares: it has no list where one is expected: line 1",
        ),
        (
            good.0,
            "a:\n- {b: {x: 1}}\n- {b: 1}\n",
            "consumer does not give the values that the gate compares: at `a[*].b` stand objects and other values: they do not make one set",
        ),
    ] {
        assert_eq!(compared(&gate, source, consumer), [expected]);
    }
    let gone = branch_of(&gate, Memory::new().file("x", "x"), Memory::new().file("source", good.0));
    assert_eq!(told(&gone), ["consumer does not give the values that the gate compares: it does not exist"]);
    let twice = gate_of("regex = '\"(\\w+)\"', within = 'X=\\[(.*)\\]'", "regex = '\"(\\w+)\"'", "");
    assert_eq!(
        compared(&twice, "X=[\"a\"]\nX=[\"b\"]\n", "\"a\""),
        [
            "source of the source does not give the values that the gate compares: `X=\\[(.*)\\]` matches more than once in it"
        ]
    );
}

#[test]
fn a_pull_request_answers_for_the_value_that_it_adds() {
    let gate = gate_of("at = \"a\", format = \"json\"", "regex = '\"(\\w+)\"'", "");
    let source = Memory::new().file("source", "{\"a\": [\"x\"]}");
    let base = Memory::new().file("consumer", "\"x\" \"old\"\n");
    let moved = base.clone().file("consumer", "\n\n\"old\" \"x\"\n");
    assert_eq!(consumer_pull(&gate, source.clone(), base.clone(), moved).verdict, Verdict::InSync);
    let report = consumer_pull(&gate, source, base.clone(), base.file("consumer", "\"x\" \"old\" \"new\"\n"));
    assert_eq!(told(&report), ["consumer says `new`, source of the source does not: line 1"]);
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn many_differences_are_told_in_few_and_too_many_values_are_undecided() {
    let gate = gate_of("regex = '(\\w+)'", "regex = '(\\w+)'", "");
    let many: String = (0..200).map(|n| format!("v{n}\n")).collect();
    let said = compared(&gate, "a", &format!("a {many}"));
    assert_eq!((said.len(), said.last().map(String::as_str)), (51, Some("150 more values of consumer differ")));
    let too_many: String = (0..10_001).map(|n| format!("v{n}\n")).collect();
    let said = compared(&gate, "a", &too_many);
    assert_eq!(said, ["undecided: consumer: it gives 10001 values, at most 10000 are compared"]);
}
