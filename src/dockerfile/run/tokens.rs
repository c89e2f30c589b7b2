//! Cuts a shell script into words, operators and redirections, with quotes and variables seen as a shell sees them.
//!
//! Traps handled here: a number in front of `<` or `>` is a descriptor only where nothing stands between; what is in `$( )` may
//! hold quotes and parentheses of its own; here-documents, back-quotes, arithmetic and what bash adds are not followed, and
//! then no token at all is given.

use super::shell::{Part, RedirectKind, Word, is_name};

/// What a script is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Operator(&'static str),
    Redirect(u32, RedirectKind),
}

/// The tokens of a script, each with where it begins and ends; `None` where one is not followed.
pub(super) fn tokens(text: &str) -> Option<Vec<(Token, usize, usize)>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Some(tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// `None` when the text holds what is not followed; `Some(None)` at its end.
    fn next(&mut self) -> Option<Option<(Token, usize, usize)>> {
        loop {
            match self.peek() {
                Some(' ' | '\t') => {
                    self.bump();
                }
                Some('\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some('#') => {
                    let end = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += end;
                }
                _ => break,
            }
        }
        let start = self.at;
        let Some(c) = self.peek() else { return Some(None) };
        let token = match c {
            '\n' | ';' | '&' | '|' | '(' | ')' => Token::Operator(self.operator()?),
            '<' | '>' => self.redirect(None)?,
            c if c.is_ascii_digit() && self.descriptor().is_some() => {
                let (descriptor, length) = self.descriptor()?;
                self.at += length;
                self.redirect(Some(descriptor))?
            }
            _ => Token::Word(self.word()?),
        };
        Some(Some((token, start, self.at)))
    }

    fn descriptor(&self) -> Option<(u32, usize)> {
        let length = self.rest().find(|c: char| !c.is_ascii_digit())?;
        let follows = self.rest()[length..].starts_with(['<', '>']);
        follows.then(|| Some((self.rest()[..length].parse().ok()?, length)))?
    }

    fn operator(&mut self) -> Option<&'static str> {
        for operator in ["&&", "||", "\n", ";", "|", "(", ")"] {
            if self.rest().starts_with(operator) {
                self.at += operator.len();
                let doubled = operator == ";" && self.rest().starts_with(';');
                let piped = operator == "|" && self.rest().starts_with('&');
                return (!doubled && !piped).then_some(operator);
            }
        }
        // `&` alone: a job in the background.
        None
    }

    fn redirect(&mut self, descriptor: Option<u32>) -> Option<Token> {
        for (text, default, kind) in [
            (">>", 1, RedirectKind::Append),
            (">&", 1, RedirectKind::Duplicate),
            (">|", 1, RedirectKind::Write),
            (">", 1, RedirectKind::Write),
            ("<&", 0, RedirectKind::Duplicate),
        ] {
            if self.rest().starts_with(text) {
                self.at += text.len();
                return Some(Token::Redirect(descriptor.unwrap_or(default), kind));
            }
        }
        // Here-documents, `<>` and process substitution are not followed.
        if self.rest().starts_with("<<") || self.rest().starts_with("<>") || self.rest().starts_with("<(") {
            return None;
        }
        self.at += 1;
        Some(Token::Redirect(descriptor.unwrap_or(0), RedirectKind::Read))
    }

    fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.bump();
                    match self.bump()? {
                        '\n' => {}
                        c => push(&mut word, Part::Quoted(c.to_string())),
                    }
                }
                '\'' => {
                    self.bump();
                    let end = self.rest().find('\'')?;
                    let text = self.rest()[..end].to_owned();
                    self.at += end + 1;
                    push(&mut word, Part::Quoted(text));
                }
                '"' => self.double_quoted(&mut word)?,
                '`' => return None,
                '$' => {
                    let part = self.dollar(false)?;
                    push(&mut word, part);
                }
                '~' if word.0.is_empty() => {
                    self.bump();
                    push(&mut word, Part::Dynamic);
                }
                c => {
                    self.bump();
                    push(&mut word, Part::Plain(c.to_string()));
                }
            }
        }
        Some(word)
    }

    fn double_quoted(&mut self, word: &mut Word) -> Option<()> {
        self.bump();
        push(word, Part::Quoted(String::new()));
        loop {
            match self.peek()? {
                '"' => {
                    self.bump();
                    return Some(());
                }
                '`' => return None,
                '$' => {
                    let part = self.dollar(true)?;
                    push(word, part);
                }
                '\\' => {
                    self.bump();
                    match self.bump()? {
                        '\n' => {}
                        c @ ('"' | '\\' | '$' | '`') => push(word, Part::Quoted(c.to_string())),
                        c => push(word, Part::Quoted(format!("\\{c}"))),
                    }
                }
                c => {
                    self.bump();
                    push(word, Part::Quoted(c.to_string()));
                }
            }
        }
    }

    fn dollar(&mut self, quoted: bool) -> Option<Part> {
        self.bump();
        match self.peek() {
            Some('(') => {
                self.parenthesized()?;
                Some(Part::Dynamic)
            }
            Some('{') => {
                let end = self.rest().find('}')?;
                let inner = self.rest()[1..end].to_owned();
                if inner.contains(['{', '"', '\'', '`']) {
                    return None;
                }
                self.at += end + 1;
                Some(if is_name(&inner) { Part::Variable { name: inner, quoted } } else { Part::Dynamic })
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let end =
                    self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
                let name = self.rest()[..end].to_owned();
                self.at += end;
                Some(Part::Variable { name, quoted })
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.bump();
                Some(Part::Dynamic)
            }
            Some('\'' | '"') if !quoted => None,
            _ => Some(Part::Quoted("$".to_owned())),
        }
    }

    /// Passes over `( ... )` with what is nested and quoted in it.
    fn parenthesized(&mut self) -> Option<()> {
        let mut depth = 0u32;
        loop {
            match self.bump()? {
                '(' => depth += 1,
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
                '\\' => {
                    self.bump();
                }
                quote @ ('\'' | '"') => while self.bump()? != quote {},
                '`' | '#' => return None,
                _ => {}
            }
        }
    }
}

fn push(word: &mut Word, part: Part) {
    match (word.0.last_mut(), part) {
        (Some(Part::Quoted(text)), Part::Quoted(more)) | (Some(Part::Plain(text)), Part::Plain(more)) => {
            text.push_str(&more);
        }
        (_, part) => word.0.push(part),
    }
}
