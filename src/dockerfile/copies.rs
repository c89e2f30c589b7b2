//! The COPY and ADD instructions of a Dockerfile as they are written: for whoever puts another one beside them.

use super::BuildError;
use super::instructions::whitespace_words;
use super::lexer::{self, json_strings};

/// A COPY or ADD, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copying {
    /// Its first line, counted from 1.
    pub line: u32,
    /// Its last line.
    pub end: u32,
    /// The instruction in the case that it is written in.
    pub keyword: String,
    /// `--chmod=0644`, without quotes that were around it.
    pub flags: Vec<String>,
    /// The sources and, last, the destination; nothing is substituted. At least two.
    pub words: Vec<String>,
    /// The words are a JSON array.
    pub json: bool,
}

/// Every COPY and ADD that names files, in all stages, in the order of the file. Those with a heredoc are left out, and those
/// that another image would run (`ONBUILD`).
///
/// # Errors
///
/// What `docker build` would refuse while cutting the file into instructions.
pub fn copies(dockerfile: &[u8]) -> Result<Vec<Copying>, BuildError> {
    let script = lexer::read(dockerfile)?;
    let copies = script.statements.into_iter().filter(|one| matches!(one.name().as_str(), "COPY" | "ADD"));
    let plain = copies.filter(|one| one.heredocs.is_empty()).map(|one| {
        let strings = json_strings(&one.rest).and_then(Result::ok);
        let json = strings.is_some();
        let words = strings.unwrap_or_else(|| whitespace_words(&one.rest));
        Copying { line: one.line, end: one.end, keyword: one.keyword, flags: one.flags, words, json }
    });
    Ok(plain.filter(|copying| copying.words.len() > 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_told_with_its_lines_flags_and_words() {
        let dockerfile = "\
FROM scratch AS base
copy --chmod=0644 ${DIR}/a \\
  # and the other
  ${DIR}/b \\
  /opt/
COPY [\"a b\", \"/c\"]
COPY <<EOF /made
COPY x /y
EOF
# COPY no /no
ADD z /
";
        let found = copies(dockerfile.as_bytes()).expect("a Dockerfile");
        let told = found.iter().map(|one| (one.line, one.end, one.keyword.as_str(), one.words.join(" "), one.json));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (2, 5, "copy", "${DIR}/a ${DIR}/b /opt/".to_owned(), false),
                (6, 6, "COPY", "a b /c".to_owned(), true),
                (11, 11, "ADD", "z /".to_owned(), false),
            ]
        );
        assert_eq!(found[0].flags, ["--chmod=0644"]);
    }
}
