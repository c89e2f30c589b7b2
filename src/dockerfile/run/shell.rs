//! Reads as much of a shell script as can be followed without running it.
//!
//! Simple commands with their words, redirections and assignments, joined by `&&`, `||`, `;`, newlines; groups in `( )`
//! and `{ }`; `if`, `for` over words, and `!`. Anything else (functions, `case`, `while`, background jobs, here-documents)
//! makes the script one that is not followed: [`parse`] answers `None`, and the whole text is looked through instead.
//!
//! Trap handled here: what is quoted is not a reserved word, not a pattern, and not split.

use super::tokens::{Token, tokens};

/// How deep groups may nest.
const MAX_DEPTH: u32 = 32;

/// A list of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script(pub Vec<Chain>);

/// Commands joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub first: Step,
    pub rest: Vec<(Join, Step)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
}

/// A command, and its text for messages and for looking through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub negated: bool,
    pub what: Command,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Simple(Simple),
    Group {
        script: Script,
        subshell: bool,
    },
    If {
        arms: Vec<(Script, Script)>,
        otherwise: Option<Script>,
    },
    For {
        name: String,
        words: Vec<Word>,
        body: Script,
    },
    /// Commands joined by `|`, or something after a group: not followed.
    Opaque,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub descriptor: u32,
    pub kind: RedirectKind,
    pub target: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedirectKind {
    Write,
    Append,
    Read,
    Duplicate,
}

/// A word, in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As it is; not a pattern.
    Quoted(String),
    /// As it is, but `*`, `?` and `[` are a pattern.
    Plain(String),
    Variable {
        name: String,
        quoted: bool,
    },
    /// Something that is known only when it runs.
    Dynamic,
}

/// Words that change the shell itself, in ways that are not followed.
const SHELL_CHANGERS: [&str; 21] = [
    "umask", "alias", "unalias", "eval", ".", "source", "exec", "trap", "read", "unset", "shift", "ulimit", "command",
    "builtin", "local", "declare", "typeset", "readonly", "break", "continue", "return",
];

impl Script {
    /// Whether a command changes how the following ones are read or what they do.
    pub fn changes_the_shell(&self) -> bool {
        self.0
            .iter()
            .any(|chain| chain.first.changes_the_shell() || chain.rest.iter().any(|(_, step)| step.changes_the_shell()))
    }
}

impl Step {
    fn changes_the_shell(&self) -> bool {
        match &self.what {
            Command::Simple(simple) => {
                simple.words.first().is_some_and(|word| word.bare().is_none_or(|name| SHELL_CHANGERS.contains(&name)))
            }
            Command::Group { script, .. } => script.changes_the_shell(),
            Command::If { arms, otherwise } => {
                arms.iter().any(|(condition, body)| condition.changes_the_shell() || body.changes_the_shell())
                    || otherwise.as_ref().is_some_and(Script::changes_the_shell)
            }
            Command::For { body, .. } => body.changes_the_shell(),
            Command::Opaque => false,
        }
    }
}

impl Word {
    /// The text of a word without quotes and variables: what a reserved word must be.
    fn bare(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Plain(text)] => Some(text),
            _ => None,
        }
    }
}

/// Reads a script; `None` when it holds something that is not followed.
pub(super) fn parse(text: &str) -> Option<Script> {
    if text.contains('\r') {
        return None;
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, depth: 0 };
    let script = parser.script(&[])?;
    (parser.at == tokens.len()).then_some(script)
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [(Token, usize, usize)],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _, _)| token)
    }

    fn operator(&self) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Operator(operator)) => Some(operator),
            _ => None,
        }
    }

    fn reserved(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => word.bare(),
            _ => None,
        }
    }

    fn take_operator(&mut self, operator: &str) -> Option<()> {
        (self.operator() == Some(operator)).then(|| self.at += 1)
    }

    fn take_reserved(&mut self, word: &str) -> Option<()> {
        (self.reserved() == Some(word)).then(|| self.at += 1)
    }

    fn skip_separators(&mut self) {
        while matches!(self.operator(), Some(";" | "\n")) {
            self.at += 1;
        }
    }

    fn skip_newlines(&mut self) {
        while self.operator() == Some("\n") {
            self.at += 1;
        }
    }

    /// Reads up to the end, a closing parenthesis or one of the reserved words.
    fn script(&mut self, stops: &[&str]) -> Option<Script> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut chains = Vec::new();
        loop {
            self.skip_separators();
            let stopped = self.peek().is_none()
                || self.operator() == Some(")")
                || self.reserved().is_some_and(|word| stops.contains(&word));
            if stopped {
                break;
            }
            chains.push(self.chain()?);
            if !matches!(self.operator(), None | Some(";" | "\n" | ")")) {
                return None;
            }
        }
        self.depth -= 1;
        Some(Script(chains))
    }

    fn chain(&mut self) -> Option<Chain> {
        let first = self.step()?;
        let mut rest = Vec::new();
        loop {
            let join = match self.operator() {
                Some("&&") => Join::And,
                Some("||") => Join::Or,
                _ => return Some(Chain { first, rest }),
            };
            self.at += 1;
            self.skip_newlines();
            rest.push((join, self.step()?));
        }
    }

    fn step(&mut self) -> Option<Step> {
        let start = self.tokens.get(self.at)?.1;
        let negated = self.take_reserved("!").is_some();
        let mut what = self.command()?;
        while self.operator() == Some("|") {
            self.at += 1;
            self.skip_newlines();
            self.command()?;
            what = Command::Opaque;
        }
        let end = self.tokens.get(self.at.checked_sub(1)?)?.2;
        Some(Step { negated, what, text: self.text.get(start..end)?.to_owned() })
    }

    fn command(&mut self) -> Option<Command> {
        let group = if self.take_operator("(").is_some() {
            let script = self.script(&[])?;
            self.take_operator(")")?;
            Command::Group { script, subshell: true }
        } else {
            match self.reserved() {
                Some("{") => {
                    self.at += 1;
                    let script = self.script(&["}"])?;
                    self.take_reserved("}")?;
                    Command::Group { script, subshell: false }
                }
                Some("if") => self.conditional()?,
                Some("for") => self.for_loop()?,
                Some("case" | "while" | "until" | "function" | "select" | "[[" | "time" | "coproc") => return None,
                Some("then" | "else" | "elif" | "fi" | "do" | "done" | "esac" | "}" | "!" | "in") => return None,
                _ => return self.simple().map(Command::Simple),
            }
        };
        // A redirection of a whole group is not followed.
        let mut opaque = false;
        while let Some(Token::Redirect(..)) = self.peek() {
            self.at += 2;
            opaque = true;
        }
        Some(if opaque { Command::Opaque } else { group })
    }

    fn conditional(&mut self) -> Option<Command> {
        let mut arms = Vec::new();
        let mut otherwise = None;
        self.at += 1;
        loop {
            let condition = self.script(&["then"])?;
            self.take_reserved("then")?;
            let body = self.script(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            if self.take_reserved("elif").is_some() {
                continue;
            }
            if self.take_reserved("else").is_some() {
                otherwise = Some(self.script(&["fi"])?);
            }
            self.take_reserved("fi")?;
            return Some(Command::If { arms, otherwise });
        }
    }

    fn for_loop(&mut self) -> Option<Command> {
        self.at += 1;
        let name = self.reserved().filter(|name| is_name(name))?.to_owned();
        self.at += 1;
        self.take_reserved("in")?;
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            words.push(word.clone());
            self.at += 1;
        }
        self.skip_separators();
        self.take_reserved("do")?;
        let body = self.script(&["done"])?;
        self.take_reserved("done")?;
        Some(Command::For { name, words, body })
    }

    fn simple(&mut self) -> Option<Simple> {
        let mut simple = Simple::default();
        loop {
            match self.peek() {
                Some(Token::Word(word)) => {
                    let word = word.clone();
                    self.at += 1;
                    match assignment(&word).filter(|_| simple.words.is_empty()) {
                        Some(assignment) => simple.assignments.push(assignment),
                        None => simple.words.push(word),
                    }
                }
                Some(&Token::Redirect(descriptor, kind)) => {
                    self.at += 1;
                    let Some(Token::Word(target)) = self.peek() else { return None };
                    simple.redirects.push(Redirect { descriptor, kind, target: target.clone() });
                    self.at += 1;
                }
                _ => break,
            }
        }
        // `name (`: a function.
        if self.operator() == Some("(") {
            return None;
        }
        let empty = simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty();
        (!empty).then_some(simple)
    }
}

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Plain(first)) = word.0.first() else { return None };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut parts = word.0.clone();
    parts[0] = Part::Quoted(value.to_owned());
    for part in &mut parts {
        // A value is neither split nor a pattern.
        match part {
            Part::Plain(text) => *part = Part::Quoted(std::mem::take(text)),
            Part::Variable { quoted, .. } => *quoted = true,
            _ => {}
        }
    }
    Some((name.to_owned(), Word(parts)))
}
