//! Modes as `--chmod` and `chmod` write them: octal, or symbolic (`u=rw,go=r`, `a+rX`).
//!
//! Trap handled here: clauses add up before they apply, so `X` looks at the mode the file had at first.

/// A change of mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(u32),
    Symbolic(Vec<Step>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Add(u32),
    Remove(u32),
    /// Executable where it is a directory or executable for anybody.
    AddSearch(u32),
    /// Copies the bits of user, group or others (shift 6, 3, 0) to `who` (each a shift), with `+`, `-` or `=`.
    CopyBits {
        from: u32,
        to: [bool; 3],
        operator: u8,
    },
}

const ALL: u32 = 0o7777;
const PERMISSIONS: u32 = 0o777;
const STICKY: u32 = 0o1000;

/// Reads the value of `--chmod`.
pub(super) fn parse_flag(text: &str) -> Result<Change, String> {
    let octal = || Err(format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"));
    if text.bytes().all(|b| matches!(b, b'0'..=b'7')) {
        return match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= ALL => Ok(Change::Set(mode)),
            _ => octal(),
        };
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return octal();
    }
    symbolic(text, 0).ok_or_else(|| format!("invalid chmod parameter: '{text}'"))
}

/// Reads a symbolic mode; a clause without `ugoa` spares the bits of `umask`. `None` when it is none.
pub(super) fn symbolic(text: &str, umask: u32) -> Option<Change> {
    let mut steps = Vec::new();
    for clause in text.split(',') {
        let operators = clause.find(['+', '-', '='])?;
        let (who_text, mut rest) = clause.split_at(operators);
        let mut who = 0;
        for c in who_text.chars() {
            who |= match c {
                'a' => 0o6777,
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o0007,
                _ => return None,
            };
        }
        while !rest.is_empty() {
            let operator = rest.as_bytes()[0];
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
            action(operator, &rest[1..end], who, umask, &mut steps)?;
            rest = &rest[end..];
        }
    }
    Some(Change::Symbolic(steps))
}

fn action(operator: u8, permissions: &str, who: u32, umask: u32, steps: &mut Vec<Step>) -> Option<()> {
    let only_others = who != 0 && who & !0o7 == 0;
    let (mut bits, mut search, mut sticky) = (0, false, false);
    let mut copies = Vec::new();
    for c in permissions.chars() {
        match c {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            'X' if operator == b'-' => bits |= 0o111,
            'X' => search = true,
            's' if !only_others => bits |= 0o6000,
            't' if !only_others => sticky = true,
            's' | 't' => {}
            'u' => copies.push(6),
            'g' => copies.push(3),
            'o' => copies.push(0),
            _ => return None,
        }
    }
    let scope = if who == 0 { !umask & ALL } else { who };
    let sticky = if sticky { STICKY } else { 0 };
    if operator == b'=' && copies.is_empty() {
        steps.push(Step::Remove(if who == 0 { 0o6777 } else { who } | sticky));
    }
    let bits = (bits & scope) | sticky;
    match operator {
        b'-' if bits != 0 => steps.push(Step::Remove(bits)),
        b'+' | b'=' if bits != 0 => steps.push(Step::Add(bits)),
        _ => {}
    }
    if search {
        steps.push(Step::AddSearch(0o111 & scope));
    }
    let to = if who == 0 { [true; 3] } else { [who & 0o700 != 0, who & 0o070 != 0, who & 0o007 != 0] };
    steps.extend(copies.into_iter().map(|from| Step::CopyBits { from, to, operator }));
    Some(())
}

impl Change {
    /// The mode after the change.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let steps = match self {
            Self::Set(mode) => return *mode,
            Self::Symbolic(steps) => steps,
        };
        let mut new = mode;
        for step in steps {
            match *step {
                Step::Add(bits) => new |= bits,
                Step::Remove(bits) => new &= !bits,
                Step::AddSearch(bits) if is_dir || mode & 0o111 != 0 => new |= bits,
                Step::AddSearch(_) => {}
                Step::CopyBits { from, to, operator } => new = copy_bits(new, from, to, operator),
            }
        }
        new
    }
}

fn copy_bits(mode: u32, from: u32, to: [bool; 3], operator: u8) -> u32 {
    let value = mode >> from & 0o7;
    let mut mode = mode;
    for (shift, wanted) in [6, 3, 0].into_iter().zip(to) {
        if !wanted {
            continue;
        }
        match operator {
            b'+' => mode |= value << shift,
            b'-' => mode &= !(value << shift),
            _ => mode = (mode & !(0o7 << shift)) | value << shift,
        }
    }
    mode & (ALL | PERMISSIONS)
}
