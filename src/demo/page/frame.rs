//! What stands around every page.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// A whole page that looks again after `refresh` seconds, if at all.
pub fn frame(title: &str, refresh: Option<u32>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) " · stand-in forge" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header { a href="/" { "stand-in forge" } " plays the forge for drift-gate" }
                main { (content) }
            }
        }
    }
}

/// A page that only says something.
pub fn message(status: StatusCode, words: &str) -> Markup {
    let title = status.canonical_reason().unwrap_or("Error");
    frame(title, None, &html! { section { h1 { (title) } p.soft { (words) } } })
}
