//! What a comment asks for (pure): the command in its first line.
//!
//! Comments are other people's text, up to 64 KiB of it. Traps handled here: a quotation, a code span, a fence or an indented
//! block *shows* a command and gives none; a character that a reader does not see, or that turns the direction of the line, may
//! make one command look like another, so no word with one is a command; `until` that is no time would make a waiver without an
//! end, so it is refused.

use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::report::safe;

/// How a command is called in a comment.
pub const NAME: &str = "/drift-gate";

/// What a comment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Judge afresh, and read the configuration again.
    Check,
    /// Tell the report.
    Explain,
    /// Open or refresh what would end the drift.
    Rebuild,
    /// Let what stands against it pass.
    Waive(Waive),
    /// Take that back.
    Unwaive {
        /// Of this gate only.
        gate: Option<String>,
    },
    /// Tell what there is to say.
    Help,
}

/// What a waiver is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waive {
    /// Of this gate only.
    pub gate: Option<String>,
    /// One line, without what a reader would not see.
    pub reason: String,
    /// Unix milliseconds; `None`: no time of its own.
    pub until: Option<i64>,
}

/// What became of reading a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing for us.
    Nothing,
    /// A command.
    Command(Command),
    /// The word is no command.
    Unknown,
    /// A command that is missing something.
    Wrong {
        /// Which.
        command: &'static str,
        /// What, in words for people.
        why: String,
    },
}

/// The longest reason that is kept, in characters.
const REASON: usize = 300;
/// The longest first line that is read, in bytes.
const LINE: usize = 4096;
/// The longest waiver, in milliseconds: ten years.
const LONGEST: i64 = 3650 * DAY;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// What the first line of a comment asks for. `now` (Unix milliseconds) is when it was written: durations count from it.
pub fn parse(body: &str, now: i64) -> Said {
    let line = body.lines().next().unwrap_or_default();
    // Four spaces or a tab make it a block of code.
    let indent = line.len() - line.trim_start().len();
    if indent > 3 || line.starts_with('\t') {
        return Said::Nothing;
    }
    let Some((name, rest)) = word(line) else { return Said::Nothing };
    if !name.eq_ignore_ascii_case(NAME) {
        return Said::Nothing;
    }
    // Only a reason can be as long.
    if line.len() > LINE {
        return Said::Wrong { command: "waive", why: "the line is too long: say it in a sentence".to_owned() };
    }
    let Some((command, rest)) = word(rest) else { return Said::Command(Command::Help) };
    let alone = |command: Command| if rest.trim().is_empty() { Said::Command(command) } else { Said::Unknown };
    match command.to_ascii_lowercase().as_str() {
        "check" => alone(Command::Check),
        "explain" => alone(Command::Explain),
        "rebuild" => alone(Command::Rebuild),
        "help" => alone(Command::Help),
        "waive" => match waive(rest, now) {
            Ok(waive) => Said::Command(Command::Waive(waive)),
            Err(why) => Said::Wrong { command: "waive", why },
        },
        "unwaive" => match gate(rest) {
            Ok((gate, rest)) if rest.trim().is_empty() => Said::Command(Command::Unwaive { gate }),
            Ok(_) => Said::Unknown,
            Err(why) => Said::Wrong { command: "unwaive", why },
        },
        _ => Said::Unknown,
    }
}

/// The first word of a line and what follows it.
fn word(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let end = line.find(char::is_whitespace).unwrap_or(line.len());
    (end > 0).then(|| line.split_at(end))
}

/// `--gate NAME` or `--gate=NAME` in front, and what follows it.
fn gate(rest: &str) -> Result<(Option<String>, &str), String> {
    let Some((first, after)) = word(rest) else { return Ok((None, rest)) };
    let (name, after) = match first.split_once('=') {
        Some(("--gate", name)) => (name, after),
        None if first == "--gate" => word(after).ok_or("`--gate` needs the name of a gate behind it")?,
        _ if first.starts_with("--") => return Err("there is one option, `--gate NAME`".to_owned()),
        _ => return Ok((None, rest)),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
        return Err("`--gate` needs the name of a gate behind it".to_owned());
    }
    Ok((Some(name.to_owned()), after))
}

fn waive(rest: &str, now: i64) -> Result<Waive, String> {
    let (gate, rest) = gate(rest)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (words, until) = end(&words, now)?;
    let line: String = words.join(" ").chars().filter(|c| !safe::hidden(*c)).collect();
    let reason: String = line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
    if reason.is_empty() {
        return Err("a waiver needs a reason: `/drift-gate waive <reason> [until <date or duration>]`".to_owned());
    }
    Ok(Waive { gate, reason, until })
}

/// Takes `until ...` or `for ...` off the end of a reason.
fn end<'a, 'b>(words: &'a [&'b str], now: i64) -> Result<(&'a [&'b str], Option<i64>), String> {
    let last = |name: &str| words.iter().rposition(|word| word.eq_ignore_ascii_case(name));
    let ended = |at: usize, time: i64| {
        if time <= now {
            return Err("that time is over already".to_owned());
        }
        if time - now > LONGEST {
            return Err("that is longer than ten years: leave the time out".to_owned());
        }
        Ok((&words[..at], Some(time)))
    };
    if let Some(at) = last("until") {
        let time =
            date(&words[at + 1..]).or_else(|| duration(&words[at + 1..]).map(|length| now.saturating_add(length)));
        return match time {
            Some(time) => ended(at, time),
            None => Err("what stands behind `until` is no time: write `until 2026-12-24`, `until 3d` or \
                         `until 2026-12-24T18:00:00Z`, or say it in other words"
                .to_owned()),
        };
    }
    if let Some(at) = last("for") {
        let rest = &words[at + 1..];
        if let Some(length) = duration(rest) {
            return ended(at, now.saturating_add(length));
        }
        if rest.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
            return Err("what stands behind `for` is no duration: write `for 12h` or `for 3d`".to_owned());
        }
    }
    Ok((words, None))
}

/// A day, which ends with its last minute in UTC, or a moment as RFC 3339 writes it.
fn date(words: &[&str]) -> Option<i64> {
    let text = words.join(" ");
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text) {
        return Some(moment.timestamp_millis());
    }
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    Some(day.and_time(NaiveTime::from_hms_opt(23, 59, 59)?).and_utc().timestamp_millis())
}

/// `3d`, `1h30m`, `12 hours`, in milliseconds; never nothing.
fn duration(words: &[&str]) -> Option<i64> {
    let text = words.concat();
    let mut rest = text.as_str();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let length = match rest[..unit].to_ascii_lowercase().as_str() {
            "w" | "week" | "weeks" => 7 * DAY,
            "d" | "day" | "days" => DAY,
            "h" | "hour" | "hours" => 60 * 60 * 1000,
            "m" | "min" | "minute" | "minutes" => 60 * 1000,
            "s" | "sec" | "second" | "seconds" => 1000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(length)?)?;
        rest = &rest[unit..];
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-01 12:00 UTC.
    const NOW: i64 = 1_793_534_400_000;

    fn waived(line: &str) -> Waive {
        match parse(&format!("/drift-gate waive {line}"), NOW) {
            Said::Command(Command::Waive(waive)) => waive,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn wrong(line: &str) -> String {
        match parse(&format!("/drift-gate {line}"), NOW) {
            Said::Wrong { why, .. } => why,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn time(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    #[test]
    fn a_command_is_the_first_line_of_a_comment_in_any_case() {
        for body in ["/drift-gate check", "  /Drift-Gate   CHECK  \r\nthanks", "/drift-gate\u{a0}check\n\nmore"] {
            assert_eq!(parse(body, NOW), Said::Command(Command::Check), "{body:?}");
        }
        for (line, command) in [
            ("explain", Command::Explain),
            ("Rebuild", Command::Rebuild),
            ("help", Command::Help),
            ("", Command::Help),
            ("unwaive", Command::Unwaive { gate: None }),
            ("unwaive --gate agent", Command::Unwaive { gate: Some("agent".into()) }),
        ] {
            assert_eq!(parse(&format!("/drift-gate {line}"), NOW), Said::Command(command), "{line:?}");
        }
    }

    #[test]
    fn what_shows_a_command_gives_none() {
        for body in [
            "",
            "> /drift-gate check",
            "please\n/drift-gate check",
            "\n/drift-gate check",
            "`/drift-gate check`",
            "```\n/drift-gate check\n```",
            "~~~\n/drift-gate check",
            "    /drift-gate check",
            "\t/drift-gate check",
            "- /drift-gate check",
            "/drift-gates check",
            "//drift-gate check",
            "<!-- /drift-gate check -->",
            "\u{200b}/drift-gate check",
            "\u{202e}/drift-gate check",
        ] {
            assert_eq!(parse(body, NOW), Said::Nothing, "{body:?}");
        }
    }

    #[test]
    fn a_word_that_is_none_of_ours_is_unknown_and_never_nearly_ours() {
        for line in [
            "dance",
            "checkout",
            "check now",
            "explain --all",
            "unwaive all",
            "wa\u{200b}ive x",
            "\u{202e}evaiw x",
            "waive\u{0} x",
            "check\u{7f}",
            "help me",
        ] {
            assert_eq!(parse(&format!("/drift-gate {line}"), NOW), Said::Unknown, "{line:?}");
        }
    }

    #[test]
    fn a_waiver_has_a_reason_and_may_have_a_gate_and_an_end() {
        assert_eq!(waived("hot fix"), Waive { gate: None, reason: "hot fix".into(), until: None });
        let all = waived("--gate agent  hot   fix until 2026-12-24");
        assert_eq!((all.gate.as_deref(), all.reason.as_str()), (Some("agent"), "hot fix"));
        assert_eq!(all.until, Some(time("2026-12-24T23:59:59Z")));
        assert_eq!(waived("--gate=agent x").gate.as_deref(), Some("agent"));
        for (end, until) in [
            ("until 3d", NOW + 3 * DAY),
            ("for 12h", NOW + DAY / 2),
            ("for 3 days", NOW + 3 * DAY),
            ("for 1h30m", NOW + 90 * 60_000),
            ("until 1w", NOW + 7 * DAY),
            ("UNTIL 2026-12-24T18:00:00+01:00", time("2026-12-24T17:00:00Z")),
        ] {
            let waive = waived(&format!("the release {end}"));
            assert_eq!((waive.reason.as_str(), waive.until), ("the release", Some(until)), "{end}");
        }
        assert_eq!(waived("waits for the release").reason, "waits for the release");
        assert_eq!(waived("until it is fixed until 3d").reason, "until it is fixed");
    }

    #[test]
    fn a_time_that_is_none_makes_no_waiver_without_an_end() {
        for line in [
            "waive x until friday",
            "waive x until",
            "waive x until 2026-13-01",
            "waive x until 24.12.2026",
            "waive x until 3",
            "waive x until 0d",
            "waive x until 99999999999999999999d",
            "waive x until 2026-12-24T18:00",
        ] {
            assert!(wrong(line).contains("no time"), "{line}");
        }
        assert!(wrong("waive x for 12").contains("no duration"));
        assert!(wrong("waive x until 2026-01-01").contains("over already"));
        assert!(wrong("waive x until 4000-01-01").contains("ten years"));
        assert!(wrong("waive x for 9999w").contains("ten years"));
    }

    #[test]
    fn a_waiver_without_a_reason_is_none() {
        for line in [
            "waive",
            "waive   ",
            "waive until 3d",
            "waive --gate agent",
            "waive --gate agent for 2h",
            "waive \u{202e}\u{200b}",
        ] {
            assert!(wrong(line).contains("needs a reason"), "{line}");
        }
        assert!(wrong("waive --gate").contains("name of a gate"));
        assert!(wrong("waive --gate ../x y").contains("name of a gate"));
        assert!(wrong("waive --force x").contains("one option"));
        assert!(wrong("unwaive --all").contains("one option"));
    }

    #[test]
    fn a_reason_is_one_short_line_that_hides_nothing() {
        let reason = waived("say \u{202e}evil\u{2066} @everyone\u{0}\u{1b}[31m <!-- x -->").reason;
        assert_eq!(reason, "say evil @everyone[31m <!-- x -->");
        assert_eq!(waived(&"ä".repeat(1_000)).reason.chars().count(), 300);
        assert!(wrong(&format!("waive {}", "x".repeat(64 << 10))).contains("too long"));
        let long = format!("/drift-gate check\n{}", "x".repeat(64 << 10));
        assert_eq!(parse(&long, NOW), Said::Command(Command::Check));
    }
}
