//! YAML 1.2 as data, from the parser's events: every document, comments left out, aliases spelled out.
//!
//! Plain scalars mean what the core schema says: `yes` is a text, `0o17` an integer. `<<` is a key as any other. The traps:
//! a few aliases of aliases can stand for billions of values (a budget), a value can hold itself (refused by the same
//! parser), and a tag of somebody's own changes what a value means (refused).

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{DEPTH, Invalid, Kind, MOST_VALUES, Value, number};

/// A text of this length weighs as much as one value more.
const TEXT: usize = 32;

/// Reads all documents of a file.
pub fn parse(text: &str) -> Result<Vec<Value>, Invalid> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str(bare);
    let mut reader = Reader {
        skipped: text.len() - bare.len(),
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        values: 0,
    };
    for next in parser {
        let (event, span) = next.map_err(|error| invalid(error.marker().line(), error.kind().to_string()))?;
        reader.event(event, &span)?;
    }
    Ok(reader.documents)
}

fn invalid(line: usize, what: impl Into<String>) -> Invalid {
    Invalid { line: u32::try_from(line).unwrap_or(u32::MAX), what: what.into() }
}

/// A list or object that is not closed yet.
struct Open {
    line: u32,
    start: usize,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Value>),
    /// The members, and the key whose value comes next.
    Object(Vec<(String, Value)>, Option<String>),
}

struct Reader {
    /// Bytes of the file before the parser's first.
    skipped: usize,
    documents: Vec<Value>,
    open: Vec<Open>,
    /// What an alias stands for, how many values that is, and how deep it goes.
    anchors: HashMap<usize, (Value, usize, u32)>,
    values: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Invalid> {
        let at = span.start.line();
        let line = u32::try_from(at).unwrap_or(u32::MAX);
        let bytes = span.byte_range().unwrap_or_default();
        let bytes = bytes.start + self.skipped..bytes.end + self.skipped;
        let start = bytes.start;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let kind = scalar(&text, plain, tag.as_deref()).map_err(|what| invalid(at, what))?;
                self.value(Value { line, span: bytes, kind }, anchor, at)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Open { line, start, anchor, inside: Inside::List(Vec::new()) }, tag.as_deref(), "seq", at)
            }
            Event::MappingStart(_, anchor, tag) => {
                let inside = Inside::Object(Vec::new(), None);
                self.begin(Open { line, start, anchor, inside }, tag.as_deref(), "map", at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Err(invalid(at, "a list or object ends that never began"));
                };
                let kind = match open.inside {
                    Inside::List(items) => Kind::List(items),
                    Inside::Object(members, _) => Kind::Object(members),
                };
                let span = open.start..bytes.end.max(open.start);
                self.value(Value { line: open.line, span, kind }, open.anchor, at)
            }
            Event::Alias(id) => {
                let Some((value, count, depth)) = self.anchors.get(&id) else {
                    return Err(invalid(at, "an alias of what is not closed yet: the value would hold itself"));
                };
                if self.values + count > MOST_VALUES {
                    return Err(invalid(at, format!("aliases make more than {MOST_VALUES} values of it")));
                }
                if u32::try_from(self.open.len()).unwrap_or(u32::MAX) + depth > DEPTH {
                    return Err(invalid(at, "lists and objects lie too deep in each other"));
                }
                self.values += count;
                let mut value = value.clone();
                (value.line, value.span) = (line, bytes);
                self.put(value, at)
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => Ok(()),
            // Asked for by options that are not set.
            _ => Err(invalid(at, "something that is no YAML value")),
        }
    }

    fn begin(&mut self, open: Open, tag: Option<&Tag>, fitting: &str, at: usize) -> Result<(), Invalid> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(fitting)) {
            return Err(invalid(at, own_tag(tag)));
        }
        self.open.push(open);
        if self.open.len() > DEPTH as usize {
            return Err(invalid(at, "lists and objects lie too deep in each other"));
        }
        Ok(())
    }

    /// A value that is written here.
    fn value(&mut self, value: Value, anchor: usize, at: usize) -> Result<(), Invalid> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(invalid(at, format!("it holds more than {MOST_VALUES} values")));
        }
        if anchor != 0 {
            let (count, depth) = extent(&value);
            self.values += count;
            if self.values > MOST_VALUES {
                return Err(invalid(at, format!("anchors make more than {MOST_VALUES} values of it")));
            }
            self.anchors.insert(anchor, (value.clone(), count, depth));
        }
        self.put(value, at)
    }

    fn put(&mut self, value: Value, at: usize) -> Result<(), Invalid> {
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.documents.push(value),
            Some(Inside::List(items)) => items.push(value),
            Some(Inside::Object(_, key @ None)) => {
                let Some(name) = key_text(&value) else {
                    return Err(invalid(at, "a key is a list or an object: nothing can be compared by it"));
                };
                *key = Some(name);
            }
            Some(Inside::Object(members, key)) => {
                if let Some(key) = key.take() {
                    members.push((key, value));
                }
            }
        }
        Ok(())
    }
}

/// How much a value weighs when it is spelled out once more, and how deep it goes. A long text weighs more than a short one:
/// else a single one with many aliases would take all memory.
fn extent(value: &Value) -> (usize, u32) {
    let all = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(extent).fold((1, 0), |(count, depth), (more, deeper)| (count + more, depth.max(deeper)))
    };
    let (count, depth) = match &value.kind {
        Kind::List(items) => all(&mut items.iter()),
        Kind::Object(members) => {
            let (count, depth) = all(&mut members.iter().map(|(_, value)| value));
            (count + members.iter().map(|(key, _)| key.len() / TEXT).sum::<usize>(), depth)
        }
        Kind::Text(text) => (1 + text.len() / TEXT, 0),
        _ => (1, 0),
    };
    (count, depth + 1)
}

/// A key as text. What is no text says so, so that `1` and `"1"` stay two keys.
fn key_text(value: &Value) -> Option<String> {
    Some(match &value.kind {
        Kind::Text(text) => text.clone(),
        Kind::Null => "!!null".into(),
        Kind::Bool(value) => format!("!!bool {value}"),
        Kind::Number(text) => format!("!!int {text}"),
        Kind::Float(text) | Kind::Date(text) => format!("!!float {text}"),
        Kind::List(_) | Kind::Object(_) => return None,
    })
}

fn own_tag(tag: &Tag) -> String {
    format!("the tag `{}` changes what the value means: it cannot be compared", super::shortened(&tag.original()))
}

/// What a scalar means by the core schema.
fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Kind, String> {
    let Some(tag) = tag else {
        return Ok(if plain { resolved(text) } else { Kind::Text(text.to_owned()) });
    };
    let kind = match tag.core_suffix() {
        _ if tag.original() == "!" => Kind::Text(text.to_owned()),
        Some("str") => Kind::Text(text.to_owned()),
        Some("int" | "float" | "bool" | "null") => resolved(text),
        _ => return Err(own_tag(tag)),
    };
    let fits = match tag.core_suffix() {
        Some("int") => matches!(kind, Kind::Number(_)),
        Some("float") => matches!(kind, Kind::Float(_) | Kind::Number(_)),
        Some("bool") => matches!(kind, Kind::Bool(_)),
        Some("null") => kind == Kind::Null,
        _ => true,
    };
    match kind {
        _ if !fits => Err(format!("`{}` is not what its tag says", super::shortened(text))),
        Kind::Number(text) if tag.is_yaml_core_schema_tag("float") => Ok(Kind::Float(text)),
        kind => Ok(kind),
    }
}

fn resolved(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(".nan".into()),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Kind::Float(if negative { "-.inf" } else { ".inf" }.into());
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            let spelled = || number::decimal(digits, radix).unwrap_or_else(|| text.to_ascii_lowercase());
            return if fits { Kind::Number(spelled()) } else { Kind::Text(text.to_owned()) };
        }
    }
    match number::normal(text) {
        Some(number) if unsigned.bytes().all(|b| b.is_ascii_digit()) => Kind::Number(number),
        Some(number) => Kind::Float(number),
        None => Kind::Text(text.to_owned()),
    }
}
