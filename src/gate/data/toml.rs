//! TOML as data, by the `toml` crate's parser: it refuses doubled keys and bounds nesting by itself.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Invalid, Kind, Value, number};

/// Reads a file.
pub fn parse(text: &str) -> Result<Value, Invalid> {
    let (length, text) = (text.len(), text.strip_prefix('\u{feff}').unwrap_or(text));
    let lines = Lines {
        skipped: length - text.len(),
        starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
    };
    match DeTable::parse(text) {
        Ok(table) => Ok(Value { line: 1, span: 0..length, kind: Kind::Object(members(table.get_ref(), &lines)) }),
        Err(error) => {
            let line = error.span().map_or(1, |span| lines.of(span.start));
            Err(Invalid { line, what: error.message().to_owned() })
        }
    }
}

struct Lines {
    /// Bytes of the file before the parser's first.
    skipped: usize,
    starts: Vec<usize>,
}

impl Lines {
    fn of(&self, at: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= at)).unwrap_or(u32::MAX)
    }
}

fn members(table: &DeTable<'_>, lines: &Lines) -> Vec<(String, Value)> {
    let mut members: Vec<(usize, String, Value)> = table
        .iter()
        .map(|(key, item)| (key.span().start, key.get_ref().to_string(), value(item, key.span().start, lines)))
        .collect();
    members.sort_by_key(|(at, ..)| *at);
    members.into_iter().map(|(_, key, value)| (key, value)).collect()
}

fn value(item: &Spanned<DeValue<'_>>, key: usize, lines: &Lines) -> Value {
    let kind = match item.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let text = integer.as_str();
            let decimal = match integer.radix() {
                10 => number::normal(text),
                radix => number::decimal(text, radix),
            };
            Kind::Number(decimal.unwrap_or_else(|| integer.to_string()))
        }
        DeValue::Float(float) => {
            let text = float.as_str();
            Kind::Float(number::normal(text).unwrap_or_else(|| text.trim_start_matches('+').to_owned()))
        }
        DeValue::Boolean(value) => Kind::Bool(*value),
        DeValue::Datetime(time) => Kind::Date(time.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| value(item, item.span().start, lines)).collect()),
        DeValue::Table(table) => Kind::Object(members(table, lines)),
    };
    // A table that several headings make up begins where its first key does.
    let at = if matches!(kind, Kind::Object(_)) { key } else { item.span().start };
    let span = item.span();
    Value { line: lines.of(at), span: span.start + lines.skipped..span.end + lines.skipped, kind }
}
