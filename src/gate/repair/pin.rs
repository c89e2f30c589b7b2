//! Moves the pin: the bytes of the one value, and no other byte of the file.
//!
//! The value is found by the reader that a verdict trusts, which knows the bytes that it stands at. The trap handled here: to
//! change a text may change what else is read (an anchor that others use, a plain text that becomes a number). So the edited
//! file is read again, and counts only where the pin alone says something else.

use std::ops::Range;
use std::sync::Arc;

use super::Edit;
use crate::config::{Binding, Format, PinAt, PinPath};
use crate::dockerfile;
use crate::gate::binding::{self, Bound};
use crate::gate::data::{self, Kind, Value};
use crate::tree::{Change, Edited, Led, Node, ObjectId, Tree, TreeError, follow};

/// The longest word that is taken for a pin that somebody wrote wrong, in bytes: a branch's name, a short SHA.
const LONGEST: usize = 200;

/// The edit of the consumer's tree that makes it pin `to`; else why there is none, in words that say what to write.
///
/// # Errors
/// As [`binding::read`].
pub(super) fn moved(binding: &Binding, tree: &Arc<dyn Tree>, to: &ObjectId) -> Result<Result<Edit, String>, TreeError> {
    let Binding::Pin { file, at, .. } = binding else { return Ok(Err("the gate pins nothing".to_owned())) };
    if matches!(at, PinAt::Submodule) {
        return Ok(Err(format!(
            "{file} is a submodule, and no forge lets a service write its commit: run `git -C {file} fetch origin`, `git -C \
             {file} checkout {to}` and `git add {file}`, and commit that"
        )));
    }
    let by_hand = |why: &str| Ok(Err(format!("{why}: write the source's commit {to} {}", binding::place(file, at))));
    let Led::File(path) = follow(tree.as_ref(), file)? else {
        return by_hand(&format!("{file} is no file that could be edited"));
    };
    tree.expect(&[path.as_str()])?;
    if tree.size(&path)? > data::LARGEST {
        return by_hand(&format!("{file} is larger than {} MiB", data::LARGEST >> 20));
    }
    let bytes = tree.read(&path)?;
    let Some(content) = written(at, &bytes, to.as_str()) else {
        return by_hand(&format!("the pin in {file} cannot be changed without changing something else"));
    };
    let mode = match tree.node(&path)? {
        Some(Node::File { mode }) => mode,
        _ => 0o644,
    };
    let change = Change::File { content: content.as_slice().into(), mode };
    let edited = Edited::new(Arc::clone(tree), [(path.clone(), change)]);
    match binding::read(binding, &edited)? {
        Bound::Pin { commit, .. } if commit == *to => {}
        Bound::Nothing(findings) => {
            let why: Vec<String> = findings.into_iter().map(|one| format!("{}; {}", one.message, one.fix)).collect();
            return Ok(Err(why.join("; ")));
        }
        _ => return by_hand(&format!("the pin in {file} does not read back")),
    }
    let was = Some(tree.blob_id(&path)?);
    Ok(Ok(Edit { path, content: Some(content), executable: mode & 0o111 != 0, was, in_place: true }))
}

/// A file with another pin; `None` where that cannot be written without changing something else, or nobody knows where it
/// stands. A pin that nobody can read (a branch's name) is a pin all the same: it stands where the pin belongs.
fn written(at: &PinAt, bytes: &[u8], to: &str) -> Option<Vec<u8>> {
    if let PinAt::Argument(name) = at {
        return dockerfile::redeclared(bytes, name, to).ok()?;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let put = |span: Range<usize>| [&text[..span.start], to, &text[span.end..]].concat();
    let new = match at {
        PinAt::Path { format, at } => in_data(*format, at, text, to)?,
        PinAt::Whole => {
            let word = text.trim();
            if word.len() > LONGEST || word.contains(char::is_whitespace) {
                return None;
            }
            let start = text.len() - text.trim_start().len();
            put(start..start + word.len())
        }
        PinAt::Regex(pattern) => {
            let only = |text: &str| {
                let mut groups = pattern.regex().captures_iter(text).filter_map(|found| found.get(1));
                let first = groups.next().map(|group| group.range())?;
                groups.next().is_none().then_some(first)
            };
            let span = only(text)?;
            let new = put(span.clone());
            (only(&new)? == (span.start..span.start + to.len())).then_some(new)?
        }
        PinAt::Argument(_) | PinAt::Submodule => return None,
    };
    Some(new.into_bytes())
}

fn in_data(format: Format, at: &PinPath, text: &str, to: &str) -> Option<String> {
    let before = data::parse(format, text).ok()?;
    let place = data::walk(&before, at).ok()?.pop()?;
    let (Kind::Text(old), span) = (&place.value.kind, place.value.span.clone()) else { return None };
    let token = text.get(span.clone()).filter(|token| !token.is_empty())?;
    // In the quotes that are there, if any; what is escaped in them, or would be no text without any, is quoted afresh.
    let as_before =
        (!old.is_empty() && token.matches(old.as_str()).count() == 1).then(|| token.replace(old.as_str(), to));
    as_before.into_iter().chain([format!("\"{to}\"")]).find_map(|token| {
        let new = [&text[..span.start], &token, &text[span.end..]].concat();
        let after = data::parse(format, &new).ok()?;
        let place = data::walk(&after, at).ok()?.pop()?;
        let moved = matches!(&place.value.kind, Kind::Text(text) if text == to);
        (moved && differences(&before, &after) == 1).then_some(new)
    })
}

/// In how many scalars two values differ; in several where not even their shape is the same.
fn differences(one: &Value, other: &Value) -> usize {
    match (&one.kind, &other.kind) {
        (Kind::List(one), Kind::List(other)) if one.len() == other.len() => {
            one.iter().zip(other).map(|(one, other)| differences(one, other)).sum()
        }
        (Kind::Object(one), Kind::Object(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other);
            pairs.map(|(one, other)| if one.0 == other.0 { differences(&one.1, &other.1) } else { 2 }).sum()
        }
        (Kind::List(_) | Kind::Object(_), _) | (_, Kind::List(_) | Kind::Object(_)) => 2,
        (one, other) => usize::from(one != other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Pattern;
    use crate::tree::Memory;

    const NEW: &str = "0123456789abcdef0123456789abcdef01234567";

    fn at(path: &str, format: Format) -> PinAt {
        PinAt::Path { format, at: PinPath::parse(path).unwrap() }
    }

    fn pattern(text: &str) -> PinAt {
        PinAt::Regex(Pattern::new(text).unwrap())
    }

    /// The file after the pin moved, with the new one shown as `NEW`.
    fn after(at: &PinAt, text: &str) -> Option<String> {
        written(at, text.as_bytes(), NEW).map(|bytes| String::from_utf8(bytes).unwrap().replace(NEW, "NEW"))
    }

    #[test]
    fn the_value_moves_and_everything_around_it_stays() {
        let old = "a".repeat(40);
        for (place, text) in [
            (
                at("t[name=x].ref", Format::Json),
                "\u{feff}{\r\n\t\"t\" : [ {\"ref\":\"OLD\" , \"name\":\"x\"} ],\"u\":{}\r\n}",
            ),
            (at("ref", Format::Json), "{\"also\": \"OLD\", \"ref\": \"OLD\"}"),
            (at("a.ref", Format::Yaml), "# OLD\r\na:   # the template\r\n  ref:   OLD   # of OLD\r\nb: OLD\r\n"),
            (at("a.ref", Format::Yaml), "é: 'ü'\na: {ref: 'OLD', x: \"OLD\"}\n"),
            (at("ref", Format::Yaml), "\u{feff}ref: !!str \"OLD\"\n"),
            (at("t[0].rev", Format::Toml), "# OLD\n[[t]] # x\nrev   = 'OLD' # OLD\n[[t]]\nrev = \"OLD\"\n"),
            (at("rev", Format::Toml), "\u{feff}rev = \"\"\"OLD\"\"\"\r\n"),
            (PinAt::Whole, "\n OLD\r\n\n"),
            (PinAt::Argument("SHA".into()), "ARG OLD_SHA=OLD SHA=\"OLD\"\r\nFROM scratch\r\n"),
            (pattern("^SHA=([0-9a-z]+)$"), "# SHA=OLD\r\nSHA=OLD\r\nX=OLD\r\n"),
        ] {
            let text = text.replace("OLD", &old);
            let moved = after(&place, &text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(moved.matches("NEW").count(), 1, "{moved}");
            assert_eq!(moved.replace("NEW", &old), text);
        }
    }

    #[test]
    fn what_was_no_commit_becomes_one() {
        for (place, before, expected) in [
            (at("ref", Format::Json), "{\"ref\": \"main\"}", "{\"ref\": \"NEW\"}"),
            (at("ref", Format::Json), "{\"ref\": \"\"}", "{\"ref\": \"NEW\"}"),
            (at("ref", Format::Json), "{\"ref\": \"m\\u0061in\"}", "{\"ref\": \"NEW\"}"),
            (at("ref", Format::Yaml), "ref: main # x\n", "ref: NEW # x\n"),
            (at("b", Format::Yaml), "a: &m main\nb: *m\n", "a: &m main\nb: \"NEW\"\n"),
            (PinAt::Whole, "main\n", "NEW\n"),
            (PinAt::Whole, "", "NEW"),
        ] {
            assert_eq!(after(&place, before).as_deref(), Some(expected), "{before}");
        }
    }

    #[test]
    fn a_commit_that_reads_as_a_number_is_quoted() {
        let number = "12345678901234567890123456789012345678e1";
        let moved = written(&at("ref", Format::Yaml), b"ref: main\n", number).unwrap();
        assert_eq!(String::from_utf8(moved).unwrap(), format!("ref: \"{number}\"\n"));
    }

    #[test]
    fn what_would_change_something_else_is_left_to_a_person() {
        for (place, text) in [
            // Others use the value, or the mapping that it stands in.
            (at("a", Format::Yaml), "a: &m main\nb: *m\n"),
            (at("b.ref", Format::Yaml), "a: &m {ref: main}\nb: *m\n"),
            (at("ref", Format::Json), "{\"ref\": 7}"),
            (at("ref", Format::Json), "{\"ref\": \"a\", \"ref\": \"b\"}"),
            (at("ref", Format::Json), "{\"ref\": \"a\"} // x"),
            (at("ref", Format::Yaml), "ref:\n"),
            (PinAt::Whole, "two words\n"),
            (PinAt::Argument("SHA".into()), "FROM scratch\nARG SHA\n"),
            (pattern("SHA=([0-9a-z]{3})"), "SHA=abc\n"),
            (pattern("SHA=([a-z]*)"), "SHA=a SHA=b"),
            (PinAt::Submodule, "main"),
        ] {
            assert_eq!(after(&place, text), None, "{text}");
        }
    }

    /// Text that says nothing in JSON.
    fn blank() -> impl Strategy<Value = String> {
        let one = prop::sample::select(vec![" ", "\t", "\n", "\r\n", "  \n"]);
        prop::collection::vec(one, 0..4).prop_map(|all| all.concat())
    }

    fn word() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9_é -]{0,12}"
    }

    /// Where a pin stands, what of the file is before it, and what behind it.
    fn places() -> impl Strategy<Value = (PinAt, String, String)> {
        let quote = |all: Vec<&'static str>| prop::sample::select(all);
        let end = || prop::sample::select(vec!["\n", "\r\n"]);
        let json = (blank(), word(), blank(), word(), any::<bool>()).prop_map(|(a, x, b, y, bom)| {
            let (x, y) = (serde_json::Value::from(x).to_string(), serde_json::Value::from(y).to_string());
            let bom = if bom { "\u{feff}" } else { "" };
            let entry = format!("{{\"n\":{x}}},{a}{{\"n\": \"me\",\"ref\"{b}:{a}\"");
            let before = format!("{bom}{a}{{\"x\":{b}{x},{a}\"t\":{b}[{entry}");
            (at("t[n=me].ref", Format::Json), before, format!("\"{b}}}]{a},\"y\":{y}}}{b}"))
        });
        let yaml =
            (word(), quote(vec!["'", "\"", ""]), end(), word(), any::<bool>()).prop_map(|(x, quote, end, y, flow)| {
                let (before, behind) = if flow {
                    (format!("# {x}{end}a: {{k: '{x}', ref: {quote}"), format!("{quote}}} # {y}{end}"))
                } else {
                    (format!("a:{end}  # {x}{end}  ref:   {quote}"), format!("{quote}   # {y}{end}  z: '{y}'{end}"))
                };
                (at("a.ref", Format::Yaml), before, behind)
            });
        let toml = (word(), quote(vec!["'", "\"", "'''", "\"\"\""]), end(), word()).prop_map(|(x, quote, end, y)| {
            let before = format!("# {x}{end}[a]{end}x = '{x}'{end}rev={quote}");
            (at("a.rev", Format::Toml), before, format!("{quote}# {y}{end}[b]{end}rev = '{y}'{end}"))
        });
        let whole = (blank(), blank()).prop_map(|(before, behind)| (PinAt::Whole, before, behind));
        let argument = (word(), quote(vec!["'", "\"", ""]), end()).prop_map(|(x, quote, end)| {
            let before = format!("# SHA={x}{end}ARG OTHER=x SHA={quote}");
            (PinAt::Argument("SHA".into()), before, format!("{quote} LAST=1{end}FROM scratch{end}# {x}{end}"))
        });
        let regex = (word(), end())
            .prop_map(|(x, end)| (pattern("^SHA=([0-9a-f]+)$"), format!("#{x}{end}SHA="), format!("{end}# {x}{end}")));
        prop_oneof![json, yaml, toml, whole, argument, regex]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_edited_file_differs_in_the_pin_and_in_no_other_byte(
            (at, before, behind) in places(),
            old in "[0-9a-f]{40}",
            new in "[0-9a-f]{40}",
        ) {
            let binding = Binding::Pin { file: "pin".into(), at, require: Default::default() };
            let tree: Arc<dyn Tree> = Arc::new(Memory::new().file("pin", format!("{before}{old}{behind}")));
            // Digits without a letter are no text in plain YAML.
            prop_assume!(matches!(binding::read(&binding, tree.as_ref()).unwrap(), Bound::Pin { .. }));
            let to = ObjectId::parse(&new).unwrap();
            let edit = moved(&binding, &tree, &to).unwrap().map_err(TestCaseError::fail)?;
            let after = String::from_utf8(edit.content.unwrap()).unwrap();
            let pin = after.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(behind.as_str()));
            // A commit that reads as a number brings quotes along.
            prop_assert!(pin == Some(&new) || pin == Some(&format!("\"{new}\"")), "{after:?}");
            let bound = binding::read(&binding, &Memory::new().file("pin", after)).unwrap();
            prop_assert!(matches!(&bound, Bound::Pin { commit, .. } if *commit == to), "{bound:?}");
        }

        #[test]
        fn whatever_a_file_says_it_is_edited_or_left_alone(
            (at, before, behind) in places(),
            noise in prop::collection::vec(any::<u8>(), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = format!("{before}main{behind}").into_bytes();
            let cut = cut.index(bytes.len() + 1);
            bytes.splice(cut..cut, noise);
            if let Some(after) = written(&at, &bytes, NEW) {
                let tree: Arc<dyn Tree> = Arc::new(Memory::new().file("pin", after));
                let binding = Binding::Pin { file: "pin".into(), at, require: Default::default() };
                let bound = binding::read(&binding, tree.as_ref()).unwrap();
                prop_assert!(matches!(&bound, Bound::Pin { commit, .. } if commit.as_str() == NEW), "{bound:?}");
            }
        }
    }
}
