//! What a forge answers when it does not do as it is asked.

/// A refusal, with the status that HTTP says for it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 400.
    #[error("{0}")]
    Bad(String),
    /// 401.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404 for what an address names; also for what the caller may not know of.
    #[error("{message}")]
    NotFound {
        /// The answer's `message`.
        message: String,
        /// The one entry of the answer's `errors`, which is null without it.
        detail: Option<String>,
    },
    /// 404 for what a request names besides.
    #[error("{0}")]
    Missing(String),
    /// 405: the state of things forbids it.
    #[error("{0}")]
    NotAllowed(String),
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 412.
    #[error("{0}")]
    Precondition(&'static str),
    /// 422.
    #[error("{0}")]
    Invalid(String),
    /// 423: the repository is archived.
    #[error("{0}")]
    Locked(String),
    /// 500. Gitea tells only administrators why; the log knows.
    #[error("{0}")]
    Broken(String),
    /// 301 to a repository's new name.
    #[error("moved to {0}")]
    Moved(String),
}

impl Refusal {
    /// The usual 404.
    pub fn not_found() -> Self {
        Self::NotFound { message: "not found".to_owned(), detail: None }
    }

    /// The usual 404, with what it is about.
    pub fn no_such(detail: String) -> Self {
        Self::NotFound { message: "not found".to_owned(), detail: Some(detail) }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        match self {
            Self::Bad(_) => 400,
            Self::Unauthorized(_) => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound { .. } | Self::Missing(_) => 404,
            Self::NotAllowed(_) => 405,
            Self::Conflict(_) => 409,
            Self::Precondition(_) => 412,
            Self::Invalid(_) => 422,
            Self::Locked(_) => 423,
            Self::Broken(_) => 500,
            Self::Moved(_) => 301,
        }
    }
}

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        Self::Broken(error.message().to_owned())
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
