//! Answers that a forge need not give twice, and how much it lets us ask.
//!
//! GitHub marks its answers with an `ETag`; asked with it, it says 304 without a body where nothing changed, and does not count
//! that request. Each answer says how many requests are left and when the count begins anew. Gitea and Forgejo do neither.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

/// Answers that are remembered; beyond it all are forgotten.
const MOST: usize = 4_096;
/// The largest that is, in bytes.
const LARGEST: usize = 256 * 1024;

/// How much a forge lets us ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests in a period.
    pub limit: u64,
    /// How many are left of them.
    pub remaining: u64,
    /// Until the count begins anew.
    pub left: Duration,
}

/// One forge's answers.
#[derive(Default)]
pub(super) struct Remembered {
    answers: Mutex<HashMap<Uri, Kept>>,
    /// One for each installation of an App, else one.
    budgets: Mutex<HashMap<Option<u64>, (Budget, SystemTime)>>,
}

#[derive(Clone)]
struct Kept {
    etag: HeaderValue,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Remembered {
    /// What to send along so that an unchanged answer need not be given.
    pub fn etag(&self, uri: &Uri) -> Option<HeaderValue> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(uri).map(|kept| kept.etag.clone())
    }

    /// The answer as if it had been given: a 304 is what was remembered, anything else that has a mark is.
    pub fn answer(
        &self,
        uri: &Uri,
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if status == StatusCode::NOT_MODIFIED
            && let Some(kept) = answers.get(uri)
        {
            return (StatusCode::OK, kept.headers.clone(), kept.body.clone());
        }
        match headers.get(header::ETAG) {
            Some(etag) if status == StatusCode::OK && body.len() <= LARGEST => {
                if answers.len() >= MOST {
                    answers.clear();
                }
                let kept = Kept { etag: etag.clone(), headers: headers.clone(), body: body.clone() };
                answers.insert(uri.clone(), kept);
            }
            _ => drop(answers.remove(uri)),
        }
        (status, headers, body)
    }

    /// Notes what an answer says of the budget, an installation's or the only one.
    pub fn note(&self, whose: Option<u64>, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let told = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), number("x-ratelimit-reset"));
        let (Some(limit), Some(remaining), Some(reset)) = told else { return };
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(reset).saturating_sub(since);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.insert(whose, (Budget { limit, remaining, left }, now));
    }

    /// The budget as the last answer told it, of several the scarcest; `None` where none did, or where that is over.
    pub fn budget(&self) -> Option<Budget> {
        let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = budgets.values().filter_map(|(budget, at)| {
            let left = budget.left.checked_sub(at.elapsed().unwrap_or_default())?;
            Some(Budget { left, ..*budget })
        });
        lasting.min_by_key(|budget| budget.remaining)
    }
}
