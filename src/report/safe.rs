//! Text from repositories, made fit to be shown: what a reader would not see is written out.
//!
//! A file name may hold a line break that begins a command, or a mark that lets the rest of a line run backwards. In a
//! report these stand as `<U+202E>`: nothing is dropped, nothing acts.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with control characters, marks of direction and what has no width written out. Line breaks stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, |c| c != '\n' && hidden(c))
}

/// The same on one line: line breaks are written out too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, hidden)
}

fn shown(text: &str, hides: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hides) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            let _ = write!(out, "<U+{:04X}>", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a reader would not see the character, or it would act on what stands around it.
pub fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hide_or_act_is_written_out() {
        assert_eq!(one_line("a\u{202e}b\n::error::x\u{1b}[2J"), "a<U+202E>b<U+000A>::error::x<U+001B>[2J");
        assert_eq!(visible("one\ntwo\r"), "one\ntwo<U+000D>");
        assert!(matches!(visible("prompts/Größe — ü.md"), Cow::Borrowed(_)), "letters are left alone");
    }
}
