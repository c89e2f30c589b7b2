//! What is under way, for people: a line for each kind with how many there are, and the first of them below it.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Utc};

use super::{From, Told};
use crate::controller::under_way::{Dirty, Leased, Parked, Several, Unsent};
use crate::report::safe::one_line;

const BOLD: Style = Style::new().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// All of it; ends with a line break.
pub(super) fn told(told: &Told) -> String {
    let now = &told.under_way;
    let mut out = match &told.from {
        From::Service { url } => format!("{DIM}the service at {url} says{DIM:#}\n"),
        From::Database { url, because } => {
            format!("{DIM}the database {} says; {}{DIM:#}\n", one_line(url), one_line(because))
        }
    };
    let oldest = now.dirty.first.first().and_then(|first| first.since);
    section(&mut out, "dirty", &now.dirty, oldest.map(|since| waits(since, now.at)), |row| dirty(row, now.at));
    section(&mut out, "leased", &now.leased, None, |row| leased(row, now.at));
    section(&mut out, "parked", &now.parked, None, |row| parked(row, now.at));
    let oldest = now.unsent.first.first().map(|first| waits(first.since, now.at));
    section(&mut out, "unsent", &now.unsent, oldest, |row| unsent(row, now.at));
    let gap = match &now.last_gap {
        None => "none".to_owned(),
        Some(gap) => format!(
            "{} ago: missed {}, repaired {}{}, oldest {}",
            span((now.at - gap.at).num_seconds()),
            gap.missed,
            gap.repaired,
            match gap.redelivered {
                0 => String::new(),
                sent => format!(", redelivered {sent}"),
            },
            span(gap.oldest_seconds)
        ),
    };
    let _ = writeln!(out, "{BOLD}{:9}{BOLD:#}{gap}", "last gap");
    out
}

/// How many, and a line for each of the first: its cells stand below each other.
fn section<T, const N: usize>(
    out: &mut String,
    name: &str,
    several: &Several<T>,
    oldest: Option<String>,
    cells: impl Fn(&T) -> [String; N],
) {
    // What is parked waits for a person; all else is a matter of time.
    let style = if name == "parked" && several.count > 0 { YELLOW } else { BOLD };
    let oldest = oldest.map_or_else(String::new, |oldest| format!(", the oldest for {oldest}"));
    let _ = writeln!(out, "{style}{name:9}{}{style:#}{oldest}", several.count);
    let rows: Vec<[String; N]> = several.first.iter().map(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in &rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let more = several.count.saturating_sub(rows.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "  {DIM}and {more} more{DIM:#}");
    }
}

fn dirty(row: &Dirty, now: DateTime<Utc>) -> [String; 3] {
    let failed = match (row.attempts, row.again_at) {
        (0, _) => String::new(),
        (attempts, Some(at)) => format!("{attempts} looks failed, again in {}", span((at - now).num_seconds())),
        (attempts, None) => format!("{attempts} looks failed, again now"),
    };
    [repository(&row.forge, &row.repository), row.since.map_or_else(String::new, |since| waits(since, now)), failed]
}

fn leased(row: &Leased, now: DateTime<Utc>) -> [String; 4] {
    let left = format!("{} left, by {}", span((row.until - now).num_seconds()), one_line(&row.by));
    let of = if row.work == "status" { short(&row.of) } else { one_line(&row.of).into_owned() };
    [one_line(&row.work).into_owned(), repository(&row.forge, &row.repository), of, left]
}

fn parked(row: &Parked, now: DateTime<Utc>) -> [String; 4] {
    let until =
        row.parked.until.map_or_else(String::new, |until| format!(" (again in {})", span((until - now).num_seconds())));
    let why = format!("{}{until}", one_line(&row.parked.why));
    [repository(&row.forge, &row.repository), short(&row.sha), one_line(&row.context).into_owned(), why]
}

fn unsent(row: &Unsent, now: DateTime<Utc>) -> [String; 6] {
    let tried = match (row.attempts, &row.trouble) {
        (0, _) => "not tried yet".to_owned(),
        (1, trouble) => format!("1 try: {}", one_line(trouble.as_deref().unwrap_or("no answer"))),
        (tries, trouble) => format!("{tries} tries: {}", one_line(trouble.as_deref().unwrap_or("no answer"))),
    };
    [
        repository(&row.forge, &row.repository),
        short(&row.sha),
        one_line(&row.context).into_owned(),
        one_line(&row.state).into_owned(),
        waits(row.since, now),
        tried,
    ]
}

fn repository(forge: &str, name: &str) -> String {
    format!("{}/{}", one_line(forge), one_line(name))
}

fn short(sha: &str) -> String {
    one_line(sha).chars().take(8).collect()
}

fn waits(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    span((now - since).num_seconds())
}

/// A time as people say it; a clock that ran ahead says 0 s.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::under_way::{LastGap, Parking, UnderWay};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
    }

    fn several<T>(count: u64, first: Vec<T>) -> Several<T> {
        Several { count, first }
    }

    /// The text without colours.
    fn shown(under_way: UnderWay) -> String {
        let from = From::Service { url: "http://127.0.0.1:8080".into() };
        anstream::adapter::strip_str(&told(&Told { from, under_way })).to_string()
    }

    #[test]
    fn nothing_under_way_is_six_lines() {
        let idle = UnderWay {
            at: at(0),
            dirty: several(0, vec![]),
            leased: several(0, vec![]),
            parked: several(0, vec![]),
            unsent: several(0, vec![]),
            last_gap: None,
        };
        let wanted = "the service at http://127.0.0.1:8080 says\n\
                      dirty    0\nleased   0\nparked   0\nunsent   0\nlast gap none\n";
        assert_eq!(shown(idle), wanted);
    }

    #[test]
    fn what_is_under_way_stands_in_columns() {
        let (forge, sha) = ("main".to_owned(), "0123456789".repeat(4));
        let dirty = |name: &str, attempts| Dirty {
            forge: forge.clone(),
            repository: name.to_owned(),
            since: Some(at(-240)),
            attempts,
            again_at: (attempts > 0).then(|| at(20)),
        };
        let parking = Parking {
            because: "overwritten".into(),
            why: "mallory writes over it\u{1b}[2J".into(),
            until: Some(at(3000)),
        };
        let parked = Parked {
            target: "t".into(),
            forge: forge.clone(),
            repository: "m/core".into(),
            sha: sha.clone(),
            context: "drift-gate".into(),
            parked: parking,
        };
        let unsent = Unsent {
            target: "t".into(),
            forge: forge.clone(),
            repository: "m/core".into(),
            sha: sha.clone(),
            context: "drift-gate".into(),
            state: "failure".into(),
            since: at(-600),
            attempts: 2,
            trouble: Some("502 Bad Gateway".into()),
        };
        let leased = Leased {
            work: "look".into(),
            forge: forge.clone(),
            repository: "m/core".into(),
            of: String::new(),
            by: "12-ab".into(),
            until: at(50),
        };
        let text = shown(UnderWay {
            at: at(0),
            dirty: several(102, vec![dirty("m/core", 0), dirty("m/template", 3)]),
            leased: several(1, vec![leased]),
            parked: several(1, vec![parked]),
            unsent: several(1, vec![unsent]),
            last_gap: Some(LastGap { at: at(-9000), missed: 3, repaired: 3, redelivered: 2, oldest_seconds: 240 }),
        });
        let wanted = "the service at http://127.0.0.1:8080 says
dirty    102, the oldest for 4 min
  main/m/core      4 min
  main/m/template  4 min  3 looks failed, again in 20 s
  and 100 more
leased   1
  look  main/m/core    50 s left, by 12-ab
parked   1
  main/m/core  01234567  drift-gate  mallory writes over it<U+001B>[2J (again in 50 min)
unsent   1, the oldest for 10 min
  main/m/core  01234567  drift-gate  failure  10 min  2 tries: 502 Bad Gateway
last gap 2 h ago: missed 3, repaired 3, redelivered 2, oldest 4 min
";
        assert_eq!(text, wanted);
    }
}
