//! The frame around every page: head, style, policy, and how other people's text gets onto it.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use super::App;
use crate::report::safe::hidden;

/// No script, no frames, no foreign anything; forms come back here.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

pub(super) const STYLE_ROUTE: &str = "/style.css";
const STYLE: &str = include_str!("style.css");

/// Changes with the style, so that browsers may keep it for ever.
static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(STYLE)[..6]));

const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#30343b"/><path d="M3.5 6h9M3.5 10h5m2.5 0h1.5" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>"##;

/// `GET /style.css`.
pub(super) async fn style() -> Response {
    kept("text/css; charset=utf-8", STYLE)
}

/// `GET /favicon.svg`.
pub(super) async fn icon() -> Response {
    kept("image/svg+xml", ICON)
}

fn kept(media_type: &'static str, text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}

/// A whole page; `right` stands at the right of the top line.
pub(super) fn frame(base: &str, title: &str, right: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) " · drift-gate" }
                link rel="icon" href={ (base) "/favicon.svg" } type="image/svg+xml";
                link rel="stylesheet" href={ (base) (STYLE_ROUTE) "?" (*STYLE_VERSION) };
            }
            body {
                header.top {
                    a.brand href={ (base) "/" } { "drift-gate" }
                    div.right { (right) }
                }
                main { (content) }
            }
        }
    }
}

/// A page that only says something.
pub(super) fn message(app: &App, status: StatusCode, title: &str, text: &str) -> Response {
    let content = html! {
        section.plain { h1 { (title) } p { (text) } }
    };
    (status, frame(&app.base, title, &html! {}, &content)).into_response()
}

/// The login form, with what was wrong with the last try.
pub(super) fn login(app: &App, status: StatusCode, wrong: Option<&str>) -> Response {
    let content = html! {
        section.plain {
            h1 { "Dashboard" }
            @if app.settings.admin_token.is_some() {
                p { "It names every gated repository, so it asks for the admin token." }
                form.login method="post" action={ (app.base) "/login" } {
                    label for="token" { "Admin token" }
                    input #token type="password" name="token" autocomplete="current-password" required autofocus;
                    button type="submit" { "Open" }
                    @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
                }
            } @else {
                p { "It names every gated repository, so it needs a token: set " code { "[server] admin_token" }
                    " in the configuration and start the service again." }
            }
        }
    };
    (status, frame(&app.base, "Dashboard", &html! {}, &content)).into_response()
}

/// Other people's text in one line: control characters and those that turn the direction of text (a file name may hold
/// them) are shown, not obeyed. Escaping for HTML is the template's part.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => shown.push('\t'),
            '\n' => shown.push(' '),
            c if hidden(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A link, if the address is one that a browser should follow; else only its text.
pub(super) fn link(address: Option<&str>, content: &Markup) -> Markup {
    match address.filter(|address| address.starts_with("https://") || address.starts_with("http://")) {
        Some(address) => html! { a href=(address) { (content) } },
        None => content.clone(),
    }
}

/// A time as people say it: `20 s`, `4 min`.
pub(super) fn minutes(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// How long ago, in words, with the exact time for who points at it.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Secs, true)) title=(utc(at)) { (age(at, now)) }
    }
}

/// `2026-11-24 14:03:09 UTC`.
pub(super) fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `just now`, `3 minutes ago`; a clock that ran ahead is `just now` as well.
fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    let (count, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", counted(count, unit))
}

/// `1 file`, `2 files`, `0 files`.
pub(super) fn counted(count: impl Into<i128>, unit: &str) -> String {
    let count = count.into();
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{ending}")
}

/// `812 bytes`, `3.4 KB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => counted(bytes, "byte"),
        1000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn ages_read_as_people_say_them() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(400);
        let said = |seconds| age(now - TimeDelta::seconds(seconds), now);
        assert_eq!(said(-5), "just now");
        assert_eq!(said(59), "just now");
        assert_eq!(said(60), "1 minute ago");
        assert_eq!(said(3 * 3600), "3 hours ago");
        assert_eq!(said(40 * 86_400), "40 days ago");
    }

    #[test]
    fn a_name_cannot_turn_the_line_it_stands_in() {
        assert_eq!(plain("exe.\u{202e}gpj"), "exe.⟨U+202E⟩gpj");
        assert_eq!(plain("a\0b\nc"), "a⟨U+0000⟩b c");
        assert_eq!(plain("prompts/naïve — 日本.md"), "prompts/naïve — 日本.md");
    }

    #[test]
    fn only_web_addresses_become_links() {
        let text = html! { "x" };
        assert_eq!(link(Some("javascript:alert(1)"), &text).into_string(), "x");
        assert_eq!(
            link(Some("https://a/\"><b>"), &text).into_string(),
            r#"<a href="https://a/&quot;&gt;&lt;b&gt;">x</a>"#
        );
    }
}
