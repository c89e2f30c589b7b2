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
    let program = Program::read(&lexer::read(dockerfile)?)?;
    let mut found = Vec::new();
    let mut args = |line: u32, pairs: &[(String, Option<String>)]| {
        let named = pairs.iter().filter(|(key, _)| key == name);
        found.extend(named.filter_map(|(_, value)| Some((line, unquoted(value.as_ref()?)))));
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
}
