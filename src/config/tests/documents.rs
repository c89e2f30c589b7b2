//! The example and the schema: what a person copies and what an editor reads say what the parser does.

use std::collections::BTreeSet;

use super::*;

/// The example with every commented key and heading taken as if it were written.
fn uncommented() -> String {
    EXAMPLE.lines().map(|line| shown(line).unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// What stands behind the `#` of a key or heading that is commented out.
fn shown(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

fn example() -> Config {
    Config::parse(EXAMPLE, "example").unwrap_or_else(|error| panic!("{error}"))
}

fn as_json(text: &str) -> Json {
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()
}

fn published() -> Json {
    serde_json::from_str(&schema()).unwrap()
}

#[test]
fn the_example_is_a_configuration() {
    let config = example();
    assert_eq!(config.gates.iter().map(|gate| gate.name.as_str()).collect::<Vec<_>>(), ["platform-agent-identity"]);
    // All that it only shows is right as well.
    let all = Config::parse_laptop(&uncommented(), "example").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all.gates.len(), 9);
    assert_eq!(all.gates[0].digest, config.gates[0].digest);
}

#[test]
fn every_key_that_there_is_stands_in_the_example() {
    let (mut known, mut there) = (BTreeSet::new(), BTreeSet::new());
    collect(&published(), None, "", &mut known);
    collect(&published(), Some(&as_json(&uncommented())), "", &mut there);
    let missing: Vec<&String> = known.difference(&there).collect();
    assert!(known.len() > 40, "{known:?}");
    assert!(missing.is_empty(), "the example says nothing of {missing:?}");
}

#[test]
fn the_page_about_the_configuration_has_a_row_for_every_key_with_its_default() {
    let page = include_str!("../../../docs/configuration.md");
    let mut tables = Vec::new();
    tables_of(&published(), &mut tables);
    assert!(tables.len() > 7, "{tables:?}");
    for (key, schema) in tables {
        let row = |line: &&str| line.starts_with(&format!("| `{key}` |"));
        let mut rows = page.lines().filter(row).peekable();
        assert!(rows.peek().is_some(), "docs/configuration.md has no row for `{key}`");
        if let Some(default) = schema.get("default") {
            let default = format!("| `{}` |", toml_text(default));
            assert!(rows.any(|row| row.contains(&default)), "docs/configuration.md: `{key}` has the default {default}");
        }
    }
}

/// Every key of a table that is not itself written as one (`[server]`, `[[gate]]`).
fn tables_of(schema: &Json, keys: &mut Vec<(String, Json)>) {
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        if !["server", "store", "forge", "repository", "gate"].contains(&key.as_str()) {
            keys.push((key.clone(), schema.clone()));
        }
        tables_of(schema, keys);
    }
    kinds(schema).for_each(|(_, table)| tables_of(table, keys));
    [&schema["items"], &schema["additionalProperties"]]
        .into_iter()
        .filter(|one| one.is_object())
        .for_each(|one| tables_of(one, keys));
}

/// The tables of a schema that has one for each `kind`.
fn kinds(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let tables = schema["oneOf"].as_array().into_iter().flatten();
    tables.filter_map(|table| Some((table["properties"]["kind"]["const"].as_str()?, table)))
}

/// The keys of a schema, or those of them that a value has. A secret is one thing wherever it stands, and so is where a side
/// says its values.
fn collect(schema: &Json, value: Option<&Json>, path: &str, keys: &mut BTreeSet<String>) {
    let path = match &schema["properties"] {
        _ if schema["title"] == "Secret" => "secret",
        Json::Object(keys) if keys.contains_key("css") => "side",
        // The keys of the pull request are the same in every repair that opens one.
        Json::Object(keys) if keys.contains_key("auto_merge") => "repair",
        _ => path,
    };
    for (kind, table) in kinds(schema) {
        if value.is_none_or(|value| value["kind"] == kind) {
            collect(table, value, &format!("{path}.{kind}"), keys);
        }
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let inner = value.map(|value| value.get(key));
        if inner == Some(None) {
            continue;
        }
        let path = format!("{path}.{key}");
        keys.insert(path.clone());
        collect(schema, inner.flatten(), &path, keys);
    }
    let (items, more) = (&schema["items"], &schema["additionalProperties"]);
    match value {
        None => {
            let inner = [items, more].into_iter().filter(|schema| schema.is_object());
            inner.for_each(|schema| collect(schema, None, path, keys));
        }
        Some(Json::Array(values)) => values.iter().for_each(|value| collect(items, Some(value), path, keys)),
        Some(Json::Object(fields)) => fields.values().for_each(|value| collect(more, Some(value), path, keys)),
        Some(_) => {}
    }
}

#[test]
fn to_uncomment_a_default_changes_nothing() {
    let meaning =
        |config: &Config| format!("{:?} {:?} {:?} {:?}", config.server, config.store, config.forges, config.gates);
    let before = meaning(&example());
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let end = lines.iter().position(|line| *line == "#[[gate]]").expect("further gates are commented out");
    let (mut defaults, mut choices) = (0, Vec::new());
    for (at, line) in lines.iter().enumerate().take(end) {
        let Some(key_and_value) = shown(line) else { continue };
        let mut with_it = lines.clone();
        with_it[at] = key_and_value;
        let config = Config::parse(&with_it.join("\n"), "example").unwrap_or_else(|error| panic!("{error}"));
        if meaning(&config) == before {
            defaults += 1;
        } else {
            choices.push(key_and_value.split(' ').next().unwrap());
        }
    }
    // What has no default can only be shown as a choice.
    assert_eq!(choices, ["admin_token", "link_secret", "commands", "issues"]);
    assert!(defaults > 10, "{defaults}");
}

#[test]
fn the_schema_says_the_parser_s_defaults() {
    let mut defaults = Vec::new();
    let gate = &published()["properties"]["gate"]["items"];
    for (table, schema) in
        [("[server]", &published()["properties"]["server"]), ("[store]", &published()["properties"]["store"])]
    {
        for (key, schema) in schema["properties"].as_object().unwrap() {
            defaults.extend(schema.get("default").map(|value| (format!("{table}\n"), key.clone(), toml_text(value))));
        }
    }
    let checks = &gate["properties"]["check"]["items"];
    let bake = kinds(checks).find(|(kind, _)| *kind == "bake").expect("a kind").1;
    for (before, schema) in [("ignore = [", gate), ("destination = ", bake)] {
        for (key, schema) in schema["properties"].as_object().unwrap() {
            defaults.extend(schema.get("default").map(|value| (before.to_owned(), key.clone(), toml_text(value))));
        }
    }
    assert_eq!(defaults.len(), 21, "{defaults:?}");
    let base = with("[forge.main]", "[store]\n[forge.main]").replace("ignore = [\"README.md\"]\n", "ignore = []\n");
    let meaning = |text: &str| {
        let config = good(text);
        format!("{:?} {:?} {:?}", config.server, config.store, config.gates)
    };
    for (place, key, value) in defaults {
        let line = format!("{key} = {value}");
        let text = match key.as_str() {
            "ignore" => base.clone(),
            _ if place.starts_with('[') => base.replace(&place, &format!("{place}{line}\n")),
            _ => base.replace(&place, &format!("{line}\n{place}")),
        };
        assert_eq!(meaning(&text), meaning(&base), "{line}");
    }
}

#[test]
fn the_schema_is_one_of_draft_2020_12_with_words_for_every_key() {
    let schema = published();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "drift-gate.toml");
    well_formed(&schema, "#");
}

/// Every table closed, every key with a type and a sentence, every keyword with a value of its kind.
fn well_formed(schema: &Json, at: &str) {
    let types = ["object", "array", "string", "boolean", "integer"];
    assert!(types.iter().any(|one| schema["type"] == *one), "{at}: type {}", schema["type"]);
    kinds(schema).for_each(|(kind, table)| well_formed(table, &format!("{at}/{kind}")));
    for (keyword, value) in schema.as_object().unwrap() {
        let at = format!("{at}/{keyword}");
        match keyword.as_str() {
            "type" | "$schema" | "title" | "description" | "const" | "format" => {
                assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{at}")
            }
            "default" => assert!(accepts(schema, value), "{at} is not what the key takes"),
            "examples" => value.as_array().unwrap().iter().for_each(|one| assert!(accepts(schema, one), "{at}")),
            "enum" | "oneOf" => assert!(value.as_array().is_some_and(|items| !items.is_empty()), "{at}"),
            "minItems" | "minimum" => assert!(value.is_u64(), "{at}"),
            "required" => {
                let keys = value.as_array().unwrap();
                assert!(
                    kinds(schema).next().is_some()
                        || keys.iter().all(|key| schema["properties"].get(key.as_str().unwrap()).is_some()),
                    "{at}"
                );
            }
            "dependentRequired" | "if" | "then" => assert!(value.is_object(), "{at}"),
            "items" => well_formed(value, &at),
            "additionalProperties" => match value {
                Json::Object(fields) if fields.len() > 1 => well_formed(value, &at),
                other => assert!(*other == false || *other == serde_json::json!({ "type": "string" }), "{at}: {other}"),
            },
            "properties" => {
                for (key, schema) in value.as_object().unwrap() {
                    let at = format!("{at}/{key}");
                    let sentence = schema["description"].as_str().unwrap_or_default();
                    assert!(sentence.ends_with('.') && !sentence.contains(['\n', '\u{2014}']), "{at}: {sentence}");
                    well_formed(schema, &at);
                }
            }
            other => panic!("{at}: is `{other}` a keyword?"),
        }
    }
    if schema["type"] == "object" && kinds(schema).next().is_none() {
        assert!(schema.get("additionalProperties").is_some(), "{at} is open to any key");
    }
}

/// Whether a schema of these few keywords allows a value.
fn accepts(schema: &Json, value: &Json) -> bool {
    let has = |keys: &Json| keys.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some());
    schema.as_object().unwrap().iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => match value {
            Json::Object(_) => rule == "object",
            Json::Array(_) => rule == "array",
            Json::String(_) => rule == "string",
            Json::Bool(_) => rule == "boolean",
            Json::Number(_) => rule == "integer",
            Json::Null => false,
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "const" => rule == value,
        "if" => !accepts(rule, value) || accepts(&schema["then"], value),
        "contains" => value.as_array().is_none_or(|items| items.iter().any(|item| accepts(rule, item))),
        "minimum" => value.as_u64() >= rule.as_u64(),
        "required" => has(rule),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| accepts(rule, item))),
        "oneOf" => rule.as_array().unwrap().iter().filter(|one| accepts(one, value)).count() == 1,
        "dependentRequired" => {
            rule.as_object().unwrap().iter().all(|(key, others)| value.get(key).is_none() || has(others))
        }
        "properties" => rule
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, schema)| value.get(key).is_none_or(|value| accepts(schema, value))),
        "additionalProperties" => value.as_object().is_none_or(|fields| {
            let others = fields.iter().filter(|(key, _)| schema["properties"].get(key.as_str()).is_none());
            others.into_iter().all(|(_, value)| rule.is_object() && accepts(rule, value))
        }),
        "$schema" | "title" | "description" | "default" | "examples" | "format" | "then" => true,
        other => panic!("the schema uses `{other}`, and this test does not know what it means"),
    })
}

#[test]
fn the_schema_takes_the_example_and_the_parser_agrees_with_it_on_every_change() {
    let (schema, mut whole) = (published(), as_json(&uncommented()));
    // Else two gates have one name as soon as both leave their consumer out.
    let last = whole["gate"].as_array_mut().and_then(|gates| gates.last_mut()).expect("gates");
    last["name"] = "last".into();
    assert!(accepts(&schema, &as_json(EXAMPLE)) && accepts(&schema, &whole));
    let mut places = Vec::new();
    pointers(&whole, String::new(), &mut places);
    let mut changes = 0;
    for place in &places {
        let (table, key) = place.rsplit_once('/').unwrap();
        // What only shows when parts are seen together is the parser's alone.
        let named_elsewhere =
            ["/gate", "/forge", "/forge/main"].contains(&place.as_str()) || place.ends_with("/format");
        for change in ["remove", "number", "empty list", "unknown key"] {
            let mut changed = whole.clone();
            match (change, changed.pointer_mut(place).unwrap()) {
                ("remove", _) if named_elsewhere => continue,
                ("remove", _) => match changed.pointer_mut(table).unwrap() {
                    Json::Object(fields) => drop(fields.remove(key)),
                    _ => continue,
                },
                ("number", value) => *value = 7.into(),
                ("empty list", Json::Array(items)) => items.clear(),
                ("unknown key", Json::Object(fields)) if !takes_any_key(place) => {
                    fields.insert("surprise".to_owned(), true.into());
                }
                _ => continue,
            }
            let text = toml::to_string(&changed).unwrap();
            let parsed = Config::parse_laptop(&text, "changed");
            assert_eq!(accepts(&schema, &changed), parsed.is_ok(), "{change} {place}: {parsed:?}");
            changes += 1;
        }
    }
    assert!(changes > 150, "{changes}");
}

/// Tables whose keys are the operator's.
fn takes_any_key(place: &str) -> bool {
    place == "/forge" || place.ends_with("/build_args") || place.ends_with("/require") || place.ends_with("/inputs")
}

/// Every value below this one, as JSON pointers.
fn pointers(value: &Json, at: String, places: &mut Vec<String>) {
    match value {
        Json::Object(fields) => fields.iter().for_each(|(key, value)| pointers(value, format!("{at}/{key}"), places)),
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| pointers(value, format!("{at}/{index}"), places));
        }
        _ => {}
    }
    if !at.is_empty() {
        places.push(at);
    }
}
