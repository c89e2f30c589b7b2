//! A first line as the path of a pin, the rest as the file of data that it leads into, in each format. A pin that is found
//! in JSON is really there, as another reader of JSON sees it.

#![no_main]

use std::collections::BTreeMap;

use drift_gate::config::{Binding, Format, PinAt, PinPath, PinStep};
use drift_gate::gate::binding::{Bound, read};
use drift_gate::tree::Memory;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (path, data) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(at) = PinPath::parse(path) else { return };
    assert_eq!(PinPath::parse(&at.to_string()).as_ref(), Ok(&at), "a path reads as it is written");
    let bound = |format| {
        let at = PinAt::Path { format, at: at.clone() };
        let binding = Binding::Pin { file: "manifest".to_owned(), at, require: BTreeMap::new() };
        read(&binding, &Memory::new().file("manifest", data)).expect("memory can be read")
    };
    bound(Format::Yaml);
    bound(Format::Toml);
    let Bound::Pin { commit, cause } = bound(Format::Json) else { return };
    let root: Value = serde_json::from_str(data.trim_start_matches('\u{feff}')).expect("a pin is found only in JSON");
    assert_eq!(look(&root, at.steps()), Some(commit.as_str()));
    let line = data.lines().nth(cause.line.expect("a pin has a line") as usize - 1);
    assert!(line.is_some_and(|line| line.contains('"')), "the pin is not on its line");
});

fn look<'a>(mut value: &'a Value, steps: &[PinStep]) -> Option<&'a str> {
    for step in steps {
        value = match step {
            PinStep::Key(key) => value.get(key)?,
            PinStep::Index(index) => value.get(index)?,
            PinStep::Select { key, value: wanted } => {
                value.as_array()?.iter().find(|item| item.get(key).and_then(Value::as_str) == Some(wanted))?
            }
            PinStep::Each => return None,
        };
    }
    value.as_str()
}
