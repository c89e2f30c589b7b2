//! The values that a Dockerfile itself gives to a variable: for a pin that stands in one.

use super::BuildError;
use super::instructions::{Program, What};
use super::lexer;

/// Every default of an `ARG` and every value of an `ENV` with this name, in all stages, with its line. Quotes around a whole
/// value are gone; nothing is substituted.
///
/// # Errors
///
/// What `docker build` would refuse while reading the file.
pub fn declared(dockerfile: &[u8], name: &str) -> Result<Vec<(u32, String)>, BuildError> {
    let named = declarations(dockerfile)?.into_iter().filter(|(_, key, _)| key == name);
    Ok(named.map(|(line, _, value)| (line, value)).collect())
}

/// The same of every name: line, name and value.
///
/// # Errors
///
/// As [`declared`].
pub fn declarations(dockerfile: &[u8]) -> Result<Vec<(u32, String, String)>, BuildError> {
    let program = Program::read(&lexer::read(dockerfile)?)?;
    let mut found = Vec::new();
    let mut args = |line: u32, pairs: &[(String, Option<String>)]| {
        found.extend(pairs.iter().filter_map(|(key, value)| Some((line, key.clone(), unquoted(value.as_ref()?)))));
    };
    for (line, pairs) in &program.global {
        args(*line, pairs);
    }
    for instruction in program.stages.iter().flat_map(|stage| &stage.instructions) {
        match &instruction.what {
            What::Arg(pairs) => args(instruction.line, pairs),
            What::Env(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
                args(instruction.line, &pairs);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The Dockerfile with another value in the one place that gives this name a value; every other byte stays. `None` where
/// there is not exactly one such place, or the value is not spelled out there as it is read.
///
/// # Errors
///
/// As [`declared`].
pub fn redeclared(dockerfile: &[u8], name: &str, value: &str) -> Result<Option<Vec<u8>>, BuildError> {
    let found = declared(dockerfile, name)?;
    let ([(line, old)], Ok(text)) = (found.as_slice(), std::str::from_utf8(dockerfile)) else { return Ok(None) };
    let skipped = usize::try_from(*line).unwrap_or(usize::MAX).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    for (at, _) in text[start..].match_indices(name) {
        let behind = &text[start + at + name.len()..];
        let value_begins = behind.trim_start_matches([' ', '\t', '=']);
        let value_begins = value_begins.strip_prefix(['"', '\'']).unwrap_or(value_begins);
        let from = text.len() - value_begins.len();
        if !value_begins.starts_with(old.as_str()) {
            continue;
        }
        let changed = [&text[..from], value, &text[from + old.len()..]].concat().into_bytes();
        // The name may stand in a comment, or as the end of a longer one: what counts is what is read now.
        if declared(&changed, name).is_ok_and(|now| now == [(*line, value.to_owned())]) {
            return Ok(Some(changed));
        }
    }
    Ok(None)
}

fn unquoted(value: &str) -> String {
    let inside = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inside.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_found_wherever_it_stands_and_a_bare_arg_gives_none() {
        let dockerfile = "ARG SHA=abc OTHER=x\nFROM scratch\nARG SHA\n# ARG SHA=no\nENV A=1 \\\n  SHA=\"def\"\n";
        let found = declared(dockerfile.as_bytes(), "SHA").expect("a Dockerfile");
        assert_eq!(found, [(1, "abc".to_owned()), (5, "def".to_owned())]);
        assert_eq!(declared(dockerfile.as_bytes(), "SH").expect("a Dockerfile"), []);
        assert!(declared(b"SHA=abc\n", "SHA").is_err());
    }

    #[test]
    fn another_value_is_put_in_and_nothing_else_changes() {
        for (dockerfile, expected) in [
            ("ARG SHA=abc\nFROM scratch\n", "ARG SHA=new\nFROM scratch\n"),
            ("FROM scratch\r\nENV OLD_SHA=abc SHA=\"abc\"\r\n", "FROM scratch\r\nENV OLD_SHA=abc SHA=\"new\"\r\n"),
            (
                "FROM scratch\nARG A=1 \\\n  # SHA=abc\n  SHA='abc'\n# SHA='abc'\n",
                "FROM scratch\nARG A=1 \\\n  # SHA=abc\n  SHA='new'\n# SHA='abc'\n",
            ),
            ("FROM scratch\nENV SHA abc\n# ENV SHA abc\n", "FROM scratch\nENV SHA new\n# ENV SHA abc\n"),
            ("FROM scratch\nARG SHA=\nARG SHA\n", "FROM scratch\nARG SHA=new\nARG SHA\n"),
        ] {
            let changed = redeclared(dockerfile.as_bytes(), "SHA", "new").expect("a Dockerfile");
            assert_eq!(changed.as_deref(), Some(expected.as_bytes()), "{dockerfile}");
        }
        for dockerfile in ["FROM scratch\nARG SHA\n", "ARG SHA=a\nFROM scratch\nARG SHA=a\n"] {
            assert_eq!(redeclared(dockerfile.as_bytes(), "SHA", "new"), Ok(None), "{dockerfile}");
        }
    }
}
