//! Whether a file has the shape of the schema: known keys, right types, nothing required left out. Finds every fault in one
//! pass, each with its place, where a deserializer would stop at the first.
//!
//! It walks the parsed file along the very schema that `drift-gate config schema` prints, and gives back what is left when the
//! faulty parts are taken out: an optional key is dropped; a table that lacks a required one goes as a whole. So what means
//! nothing is not judged for its meaning, and the rest still is.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Document, Problem};

/// Kinds of checks that the design has and this version does not: refused, since ignoring them would judge less than the file
/// says.
const NOT_BUILT_CHECKS: [&str; 1] = ["image"];

/// Lists of tables that may be a single table: `[gate.repair]`.
const MAY_BE_ALONE: [&str; 1] = ["repair"];

/// Samples of what stands in a list of secrets.
const SECRETS: [&str; 2] = ["[{ env = \"VARIABLE\" }]", "[{ file = \"/path\" }]"];

const NAME_THE_FORGE: &str = "name the forge in its heading: `[forge.main]`";

/// How alike an unknown key and a known one must be for "did you mean" (0 to 1).
const ALIKE: f64 = 0.75;

type Value<'i> = Spanned<DeValue<'i>>;

/// What is left of a file, and what was wrong with it.
pub(super) struct Shaped<'i> {
    /// Deserializes without error.
    pub table: Spanned<DeTable<'i>>,
    pub problems: Vec<Problem>,
    /// Every name that a forge has, also of those that were taken out; `None` where what should be forges is something else.
    pub forges: Option<BTreeSet<String>>,
}

/// Takes out of a file what the schema does not allow. What stands where a secret belongs is covered in `document`.
pub(super) fn shape<'i, 'a>(table: Spanned<DeTable<'i>>, schema: &'a Json, document: &'a mut Document) -> Shaped<'i> {
    let span = table.span();
    let table = table.into_inner();
    let forges = match table.get("forge").map(Spanned::get_ref) {
        None => Some(BTreeSet::new()),
        Some(DeValue::Table(forges)) if not_a_table(forges).is_none() => {
            Some(forges.keys().map(|name| name.get_ref().to_string()).collect())
        }
        Some(_) => None,
    };
    let mut walk = Walk { document, problems: Vec::new(), path: Vec::new(), name: String::new(), parents: Vec::new() };
    let table = walk.properties(table, &span, schema).unwrap_or_default();
    Shaped { table: Spanned::new(span, table), problems: walk.problems, forges }
}

struct Walk<'a> {
    document: &'a mut Document,
    problems: Vec<Problem>,
    /// The keys down to the value that is looked at; `*` for a name of the operator's choice.
    path: Vec<&'a str>,
    /// What the operator wrote for the `*`.
    name: String,
    /// The keys of the tables around the one that is looked at, outermost first.
    parents: Vec<(String, Vec<String>)>,
}

impl<'a> Walk<'a> {
    /// What is left of a value; `None` when nothing usable is.
    fn value<'i>(&mut self, value: Value<'i>, schema: &'a Json, key: &str) -> Option<Value<'i>> {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(_) => {}
            DeValue::Array(_) if !is_secret(schema) => {}
            _ if is_secret(schema) => {
                self.secret_itself(&value, key, ["{ env = \"VARIABLE\" }", "{ file = \"/path\" }"]);
                return None;
            }
            _ if is_secret(&schema["items"]) => {
                self.secret_itself(&value, key, SECRETS);
                return None;
            }
            _ => {}
        }
        match (schema["type"].as_str(), value.into_inner()) {
            (Some("object"), DeValue::Table(table)) if kinds(schema).next().is_some() => {
                self.of_kind(table, &span, schema)
            }
            (Some("object"), DeValue::Table(table)) => {
                let table = match &schema["additionalProperties"] {
                    items @ Json::Object(_) => self.named(table, items),
                    _ => self.properties(table, &span, schema),
                };
                table.map(|table| Spanned::new(span, DeValue::Table(table)))
            }
            // One of them may be written as the table that it is.
            (Some("array"), DeValue::Table(table)) if MAY_BE_ALONE.contains(&key) => {
                let item = self.item(Spanned::new(span.clone(), DeValue::Table(table)), &schema["items"], key)?;
                Some(Spanned::new(span, DeValue::Array([item].into_iter().collect())))
            }
            (Some("array"), DeValue::Array(items)) => {
                let were = items.len();
                let tables = schema["items"]["type"] == "object" && !is_secret(&schema["items"]);
                let left: Vec<Value<'i>> =
                    items.into_iter().filter_map(|item| self.item(item, &schema["items"], key)).collect();
                let usable = if tables { were == 0 || !left.is_empty() } else { were == left.len() };
                usable.then(|| Spanned::new(span, DeValue::Array(left.into_iter().collect())))
            }
            (Some("string"), DeValue::String(text)) => self.word(text, span, schema, key),
            (Some("boolean"), value @ DeValue::Boolean(_)) => Some(Spanned::new(span, value)),
            (Some("integer"), DeValue::Integer(number)) => {
                if u64::from_str_radix(number.as_str(), number.radix()).is_err() {
                    let help = format!("write {}", sample(key, schema, &self.path));
                    self.wrong(span, format!("`{key}` cannot be {number}"), help);
                    return None;
                }
                Some(Spanned::new(span, DeValue::Integer(number)))
            }
            (expected, found) => {
                let expected = expected.unwrap_or("value");
                self.wrong_type(expected, Spanned::new(span, found), schema, key);
                None
            }
        }
    }

    /// A table whose `kind` says which keys it has. What is left becomes `{ KIND = { ... } }`.
    fn of_kind<'i>(&mut self, mut table: DeTable<'i>, span: &Range<usize>, schema: &'a Json) -> Option<Value<'i>> {
        let known: Vec<&str> = kinds(schema).map(|(kind, _)| kind).collect();
        let write = format!("`kind = {}`", one_of(&known));
        let Some(kind) = table.get("kind") else {
            // A misspelled `kind` is told once.
            let near = table.keys().find(|key| nearest(key.get_ref(), std::iter::once("kind")).is_some());
            match near {
                Some(key) => {
                    let message = format!("unknown key `{}` in {}", key.get_ref(), self.table_name());
                    self.wrong(key.span(), message, "did you mean `kind`?");
                }
                None => {
                    self.wrong(span.clone(), format!("{} has no `kind`", self.table_name()), format!("add {write}"));
                }
            }
            return None;
        };
        let (name, at) = (text_of(kind).to_owned(), kind.span());
        if self.path.last() == Some(&"check") && NOT_BUILT_CHECKS.contains(&name.as_str()) {
            let help = format!("write {write}, or remove this [[gate.check]]");
            self.wrong(at, format!("checks of kind `{name}` are not built yet"), help);
            return None;
        }
        let Some((kind, schema)) = kinds(schema).find(|(kind, _)| *kind == name) else {
            let near = nearest(&name, known.iter().copied());
            let help = near.map_or_else(|| format!("write {write}"), |near| format!("write `kind = \"{near}\"`"));
            let message = match kind.get_ref() {
                DeValue::String(_) => format!("`kind` cannot be `{name}`"),
                other => format!("`kind` must be a string, found {}", type_of(other)),
            };
            self.wrong(at, message, help);
            return None;
        };
        let left = self.properties(std::mem::take(&mut table), span, schema).map(|mut left| {
            left.remove("kind");
            let mut tagged = DeTable::new();
            let inner = Spanned::new(span.clone(), DeValue::Table(left));
            tagged.insert(Spanned::new(at, kind.to_owned().into()), inner);
            tagged
        })?;
        Some(Spanned::new(span.clone(), DeValue::Table(left)))
    }

    /// What is left of one item of an array.
    fn item<'i>(&mut self, item: Value<'i>, schema: &'a Json, key: &str) -> Option<Value<'i>> {
        let of_tables = schema["type"] == "object";
        let fits = match item.get_ref() {
            DeValue::Table(_) => of_tables,
            DeValue::String(_) => !of_tables,
            _ => false,
        };
        if fits {
            return self.value(item, schema, key);
        }
        if is_secret(schema) {
            self.secret_itself(&item, key, SECRETS);
            return None;
        }
        let found = type_of(item.get_ref());
        let (items, help) = match item.get_ref() {
            _ if of_tables => ("tables", format!("begin each with `[[{}]]`", self.path.join("."))),
            DeValue::Array(_) | DeValue::Table(_) => ("strings", format!("write `{key} = [\"...\"]`")),
            _ => ("strings", format!("write `\"{}\"`", self.document.slice(&item.span()))),
        };
        self.wrong(item.span(), format!("`{key}` must hold {items}, found {found}"), help);
        None
    }

    /// A table with keys of the schema's choice.
    fn properties<'i>(&mut self, table: DeTable<'i>, span: &Range<usize>, schema: &'a Json) -> Option<DeTable<'i>> {
        let known = schema["properties"].as_object()?;
        let also = if meets(&table, &schema["if"]) { &schema["then"]["required"] } else { &Json::Null };
        let keys = || schema["required"].as_array().into_iter().chain(also.as_array()).flatten();
        let required = |key: &str| keys().any(|one| one == key);
        let missing = || known.iter().filter(|(key, _)| required(key) && !table.contains_key(key.as_str()));
        let mut usable = missing().next().is_none();
        // A misspelled key is told once, not as missing as well.
        let meant: BTreeSet<&str> = table.keys().filter_map(|key| nearest(key.get_ref(), names(known))).collect();
        for (key, schema) in missing().filter(|(key, _)| !meant.contains(key.as_str())) {
            let sample = sample(key, schema, &self.path);
            self.wrong(span.clone(), format!("{} has no `{key}`", self.table_name()), format!("add {sample}"));
        }
        self.parents.push((self.table_name(), known.keys().cloned().collect()));
        let mut left = DeTable::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some((known, its_schema)) = known.get_key_value(name) else {
                let meant = nearest(name, names(known)).map(|near| &known[near]);
                if meant.is_none_or(|schema| is_secret(schema) || is_secret(&schema["items"])) {
                    self.cover(&value);
                }
                self.unknown(name, key.span());
                continue;
            };
            let holds_one = its_schema["properties"].as_object().is_some_and(|keys| keys.values().any(is_secret));
            let is_table = matches!(value.get_ref(), DeValue::Table(_));
            if is_secret(schema) && !matches!(value.get_ref(), DeValue::String(_)) || holds_one && !is_table {
                self.cover(&value);
            }
            self.path.push(known);
            let value = self.value(value, its_schema, known);
            self.path.pop();
            match value {
                Some(value) => drop(left.insert(key, value)),
                None => usable &= !required(known) && !is_secret(schema),
            }
        }
        self.parents.pop();
        usable.then_some(left)
    }

    /// A table with keys of the operator's choice.
    fn named<'i>(&mut self, table: DeTable<'i>, schema: &'a Json) -> Option<DeTable<'i>> {
        if let Some((key, span)) = not_a_table(&table).filter(|_| schema["type"] == "object") {
            table.values().for_each(|value| self.cover(value));
            let message = format!("`{key}` stands in [forge], which holds forges by their names");
            self.wrong(span, message, NAME_THE_FORGE);
            return None;
        }
        let mut left = DeTable::new();
        let were = table.len();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            self.name.clone_from(&name);
            self.path.push("*");
            if let Some(value) = self.value(value, schema, &name) {
                left.insert(key, value);
            }
            self.path.pop();
        }
        // A table of tables can do with the good ones; of a table of texts each one counts.
        let usable = schema["type"] == "object" || were == left.len();
        usable.then_some(left)
    }

    /// A text, perhaps one of a few.
    fn word<'i>(
        &mut self,
        text: std::borrow::Cow<'i, str>,
        span: Range<usize>,
        schema: &Json,
        key: &str,
    ) -> Option<Value<'i>> {
        let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        if !allowed.is_empty() && !allowed.contains(&text.as_ref()) {
            let near = nearest(&text, allowed.iter().copied());
            let choice = near.map_or_else(|| one_of(&allowed), |near| format!("\"{near}\""));
            self.wrong(span, format!("`{key}` cannot be `{text}`"), format!("write `{key} = {choice}`"));
            return None;
        }
        Some(Spanned::new(span, DeValue::String(text)))
    }

    fn wrong_type(&mut self, expected: &str, found: Value<'_>, schema: &Json, key: &str) {
        let span = found.span();
        let (article, name) = match expected {
            "object" => ("a", "table"),
            "array" | "integer" => ("an", expected),
            other => ("a", other),
        };
        let message = format!("`{key}` must be {article} {name}, found {}", type_of(found.get_ref()));
        let written = self.document.slice(&span).to_owned();
        let help = match (expected, found.get_ref()) {
            ("array", DeValue::Table(_)) if is_secret(&schema["items"]) => {
                self.cover(&found);
                format!("write {}", sample(key, schema, &self.path))
            }
            ("array", DeValue::Table(_)) if schema["items"]["type"] == "object" => {
                format!("write `[[{}]]`, with two brackets", self.path.join("."))
            }
            ("array", DeValue::String(_)) if schema["items"]["type"] == "string" => {
                format!("write `{key} = [{written}]`")
            }
            ("object", _) if self.path == ["forge"] => NAME_THE_FORGE.to_owned(),
            ("object", _) if self.path == [key] => format!("write it as a table that begins with `[{key}]`"),
            ("string", DeValue::Integer(_)) if self.path.last() == Some(&"*") => {
                format!("write `{key} = \"{written}\"`")
            }
            _ => format!("write {}", sample(key, schema, &self.path)),
        };
        self.wrong(span, message, help);
    }

    fn secret_itself(&mut self, value: &Value<'_>, key: &str, [variable, file]: [&str; 2]) {
        self.cover(value);
        let help = format!(
            "write `{key} = {variable}` or `{key} = {file}`; if a secret stands here, replace it where it came from"
        );
        self.wrong(value.span(), format!("`{key}` says where a secret is, not the secret itself"), help);
    }

    fn unknown(&mut self, key: &str, span: Range<usize>) {
        let Some(((table, known), around)) = self.parents.split_last() else { return };
        let help = if let Some(near) = nearest(key, known.iter().map(String::as_str)) {
            format!("did you mean `{near}`?")
        } else if let Some((owner, _)) = around.iter().rev().find(|(_, keys)| keys.iter().any(|one| one == key)) {
            format!("it belongs to {owner}: write it above the heading of {table}")
        } else {
            let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
            format!("{table} knows {}", known.join(", "))
        };
        let message = format!("unknown key `{key}` in {table}");
        self.wrong(span, message, help);
    }

    /// How the table that is looked at is called in messages.
    fn table_name(&self) -> String {
        match self.path.as_slice() {
            [] => "the file".to_owned(),
            ["gate"] | ["gate", "check" | "repair"] => format!("[[{}]]", self.path.join(".")),
            ["server"] | ["store"] => format!("[{}]", self.path.join(".")),
            ["forge", "*"] => format!("[forge.{}]", self.name),
            [.., last] => format!("`{last}`"),
        }
    }

    fn wrong(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(at, message, help));
    }

    /// Hides every text in a value: nobody knows what an operator put there.
    fn cover(&mut self, value: &Value<'_>) {
        match value.get_ref() {
            DeValue::Table(table) => table.values().for_each(|value| self.cover(value)),
            DeValue::Array(items) => items.iter().for_each(|value| self.cover(value)),
            _ => self.document.cover(value.span()),
        }
    }
}

fn names(properties: &serde_json::Map<String, Json>) -> impl Iterator<Item = &str> {
    properties.keys().map(String::as_str)
}

/// The first key of a table that holds no table.
fn not_a_table(table: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let stray = table.iter().filter(|(_, value)| !matches!(value.get_ref(), DeValue::Table(_)));
    let first = stray.map(|(key, _)| key).min_by_key(|key| key.span().start)?;
    Some((first.get_ref().to_string(), first.span()))
}

fn is_secret(schema: &Json) -> bool {
    schema["title"] == "Secret"
}

/// Whether one of the checks of a gate is of the kind that the schema's condition names.
fn meets(table: &DeTable<'_>, condition: &Json) -> bool {
    condition["properties"].as_object().is_some_and(|properties| {
        properties.iter().all(|(key, wanted)| {
            let kind = &wanted["contains"]["properties"]["kind"]["const"];
            let items = table.get(key.as_str()).and_then(|value| value.get_ref().as_array());
            items.is_some_and(|items| {
                items.iter().any(|item| item.get_ref().get("kind").is_some_and(|one| text_of(one) == kind))
            })
        })
    })
}

/// The tables that a table may be, by their `kind`.
fn kinds(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let tables = schema["oneOf"].as_array().into_iter().flatten();
    tables.filter_map(|table| Some((table["properties"]["kind"]["const"].as_str()?, table)))
}

fn text_of<'t>(value: &'t Value<'_>) -> &'t str {
    value.get_ref().as_str().unwrap_or_default()
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// What an operator could write for a key.
fn sample(key: &str, schema: &Json, path: &[&str]) -> String {
    if schema["items"]["type"] == "object" && !is_secret(&schema["items"]) {
        let mut path = path.to_vec();
        if path.last() != Some(&key) {
            path.push(key);
        }
        return format!("`[[{}]]`", path.join("."));
    }
    let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let value = match (schema["examples"].get(0), schema.get("default")) {
        _ if !allowed.is_empty() => one_of(&allowed),
        (Some(example), _) => super::toml_text(example),
        (None, Some(Json::Bool(_))) => "true` or `false".to_owned(),
        (None, Some(default)) => super::toml_text(default),
        (None, None) => "\"...\"".to_owned(),
    };
    format!("`{key} = {value}`")
}

fn one_of(allowed: &[&str]) -> String {
    let quoted: Vec<String> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join("` or `")
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = known.map(|known| (strsim::normalized_damerau_levenshtein(word, known), known));
    alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, known)| known)
}
