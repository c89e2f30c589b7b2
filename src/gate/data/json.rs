//! JSON as data: RFC 8259 and no more, with nothing after the end.

use super::{DEPTH, Invalid, Kind, Value, number};

/// Reads one value and nothing after it.
pub fn parse(text: &str) -> Result<Value, Invalid> {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { length: text.len(), rest, line: 1, depth: 0 };
    let value = reader.value()?;
    reader.blank();
    match reader.rest.chars().next() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("text after the end of the JSON value; remove it")),
    }
}

struct Reader<'a> {
    /// Of the whole file, in bytes.
    length: usize,
    rest: &'a str,
    line: u32,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> Invalid {
        Invalid { line: self.line, what: what.to_owned() }
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    fn blank(&mut self) {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let skipped = &self.rest[..self.rest.len() - trimmed.len()];
        self.line += u32::try_from(skipped.matches('\n').count()).unwrap_or(u32::MAX);
        self.rest = trimmed;
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Result<Value, Invalid> {
        self.blank();
        let (line, start) = (self.line, self.at());
        let kind = match self.rest.chars().next() {
            None => return Err(self.wrong("the file ends where a value should begin")),
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Kind::Text(self.text()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(_) if self.take("null") => Kind::Null,
            Some(_) if self.take("true") => Kind::Bool(true),
            Some(_) if self.take("false") => Kind::Bool(false),
            Some(other) => return Err(self.wrong(&format!("`{other}` does not begin a JSON value"))),
        };
        Ok(Value { line, span: start..self.at(), kind })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Kind, Invalid>) -> Result<Kind, Invalid> {
        self.rest = &self.rest[1..];
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong("lists and objects lie too deep in each other"));
        }
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn list(&mut self) -> Result<Kind, Invalid> {
        let mut items = Vec::new();
        self.blank();
        if self.take("]") {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value()?);
            self.blank();
            if self.take("]") {
                return Ok(Kind::List(items));
            }
            if !self.take(",") {
                return Err(self.wrong("`,` or `]` is missing"));
            }
        }
    }

    fn object(&mut self) -> Result<Kind, Invalid> {
        let mut members = Vec::new();
        self.blank();
        if self.take("}") {
            return Ok(Kind::Object(members));
        }
        loop {
            self.blank();
            if !self.rest.starts_with('"') {
                return Err(self.wrong("a key in double quotes is missing"));
            }
            let key = self.text()?;
            self.blank();
            if !self.take(":") {
                return Err(self.wrong(&format!("`:` is missing after \"{key}\"")));
            }
            members.push((key, self.value()?));
            self.blank();
            if self.take("}") {
                return Ok(Kind::Object(members));
            }
            if !self.take(",") {
                return Err(self.wrong("`,` or `}` is missing"));
            }
        }
    }

    fn number(&mut self) -> Result<Kind, Invalid> {
        let end =
            self.rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        if !is_number(number) {
            return Err(self.wrong(&format!("`{number}` is not a number")));
        }
        self.rest = rest;
        Ok(Kind::Number(number::normal(number).unwrap_or_else(|| number.to_owned())))
    }

    /// Finds the closing quote; what is between is serde's to unescape.
    fn text(&mut self) -> Result<String, Invalid> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => {
                    let (quoted, rest) = self.rest.split_at(end + 1);
                    let text = serde_json::from_str(quoted).map_err(|_| self.wrong("a text with a wrong escape"))?;
                    self.rest = rest;
                    return Ok(text);
                }
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        Err(self.wrong("a text is not closed"))
    }
}

/// Whether a text is a number as RFC 8259 writes it, of whatever size.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines() {
        let value = parse("{\n  \"a\": [1,\n    \"x\\n\"],\n  \"a\": null}\n").expect("JSON");
        let Kind::Object(members) = value.kind else { panic!("an object") };
        assert_eq!(members.len(), 2, "doubled keys are kept");
        let Kind::List(items) = &members[0].1.kind else { panic!("a list") };
        assert_eq!(items[1], Value { line: 3, span: 17..22, kind: Kind::Text("x\n".into()) });
        assert_eq!(members[1].1.line, 4);
    }

    #[test]
    fn numbers_of_any_size_are_numbers() {
        for text in ["0", "-0", "1e999", "10.50E-7", &"9".repeat(400), "\u{feff}1"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("{\n\"a\": 1,\n}", 3),
            ("{}\n// Triggered by a bot", 2),
            ("[1 2]", 1),
            ("\"open", 1),
            ("\"\\", 1),
            ("{a: 1}", 1),
            ("01", 1),
            ("nul", 1),
            ("[1.]", 1),
            ("[-]", 1),
            ("[1e]", 1),
            ("[+1]", 1),
            ("[.5]", 1),
            ("\u{feff}\u{feff}1", 1),
        ] {
            assert_eq!(parse(text).expect_err(text).line, line, "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    use proptest::prelude::*;

    /// Texts that are JSON, or nearly.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\"b\": 1",
            "\"\\u0061\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\x\"",
            "\\",
            "null",
            "true",
            "fals",
            "0",
            "-0",
            "12",
            "01",
            "1.5",
            "1.",
            ".5",
            "1e2",
            "1E-2",
            "1e",
            "-",
            "+1",
            " ",
            "\n",
            "\t",
            "\r",
            "\u{feff}",
            "\u{a0}",
            "é",
            "\u{1}",
            "\0",
            "//",
            "/* */",
            "'",
            "NaN",
        ]);
        let leaf = prop::sample::select(vec!["1", "\"x\"", "null", "[]", "{}", "-0.5e+1"]).prop_map(str::to_owned);
        let value = leaf.prop_recursive(4, 32, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , ")));
            let key = prop::sample::select(vec!["a", "b", "\\u0061", "é"]);
            let object = prop::collection::vec((key, inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}\n", members.join(",\n"))
            });
            prop_oneof![list, object]
        });
        prop_oneof![
            prop::collection::vec(piece.clone(), 0..10).prop_map(|pieces| pieces.concat()),
            (value.clone(), piece, any::<prop::sample::Index>()).prop_map(|(mut text, piece, at)| {
                let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
                text.insert_str(places[at.index(places.len())], piece);
                text
            }),
            value,
        ]
    }

    /// A number to compare by: ours are text of one form, `5` for `0.5e+1`; the other reader's are floats, nearly.
    fn digits(number: f64) -> serde_json::Value {
        format!("{:.9e}", number + 0.0).into()
    }

    /// The other reader's value with its numbers as [`digits`].
    fn floats(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value as Json;
        match value {
            Json::Number(number) => digits(number.as_f64().expect("a float")),
            Json::Array(items) => items.into_iter().map(floats).collect(),
            Json::Object(members) => members.into_iter().map(|(key, value)| (key, floats(value))).collect(),
            other => other,
        }
    }

    /// The same value without lines; of doubled keys the last one, as serde takes it.
    fn plain(value: &Value) -> serde_json::Value {
        match &value.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(value) => (*value).into(),
            Kind::Number(text) => digits(text.parse().expect("a number")),
            Kind::Float(_) | Kind::Date(_) => panic!("not in JSON"),
            Kind::Text(text) => text.as_str().into(),
            Kind::List(items) => items.iter().map(plain).collect(),
            Kind::Object(members) => members.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_reads_what_another_reader_reads_and_refuses_what_that_refuses(text in nearly_json()) {
            let other = serde_json::from_str::<serde_json::Value>(text.strip_prefix('\u{feff}').unwrap_or(&text));
            match (parse(&text), other) {
                // Numbers have no bounds here.
                (Ok(_), Err(error)) if error.to_string().contains("out of range") => {}
                (Ok(value), Ok(other)) => prop_assert_eq!(plain(&value), floats(other)),
                (Err(error), Err(_)) => {
                    let lines = u32::try_from(text.split('\n').count()).expect("few lines");
                    prop_assert!((1..=lines).contains(&error.line), "{error}");
                }
                (ours, other) => prop_assert!(false, "{text:?}: {ours:?} and {other:?}"),
            }
        }
    }
}
