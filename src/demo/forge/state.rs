//! All that the stand-in remembers, and who may see it. One lock guards the whole: a stand-in has few users.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::apps::{App, Check};
use super::bare::Bare;
use super::model::{Access, Account, AccountId, Issue, Kind, Pull, Repo, RepoId, Scopes, Team, Token, now};
use super::refusal::Refusal;
use crate::demo::hooks::Post;

/// Whoever asks: nobody in particular, or a user.
pub type Viewer = Option<AccountId>;

/// The stand-in's memory.
pub struct State {
    /// The address that people and programs reach it by, without a slash at its end.
    pub base: String,
    folder: PathBuf,
    accounts: Vec<Account>,
    pub(super) teams: Vec<Team>,
    tokens: HashMap<String, Token>,
    /// GitHub Apps.
    pub apps: Vec<App>,
    /// What they wrote.
    pub checks: Vec<Check>,
    pub(super) repos: BTreeMap<RepoId, Repo>,
    /// Where a repository was before it was renamed: its owner, and its name in lower case.
    pub(super) former: HashMap<(AccountId, String), RepoId>,
    numbers: BTreeMap<Numbered, u64>,
    pub(super) post: Post,
}

/// What is numbered over the whole forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Numbered {
    /// Repositories.
    Repo,
    /// Issues, and pull requests as issues.
    Issue,
    /// Pull requests.
    Pull,
    /// Comments.
    Comment,
    /// Statuses.
    Status,
    /// Hooks.
    Hook,
    /// Labels.
    Label,
    /// Teams.
    Team,
    /// GitHub Apps.
    App,
    /// Their installations.
    Installation,
    /// Checks.
    Check,
}

impl State {
    /// An empty forge whose repositories will be below `folder`.
    pub fn new(base: String, folder: &Path, post: Post) -> Self {
        Self {
            base,
            folder: folder.to_owned(),
            accounts: Vec::new(),
            teams: Vec::new(),
            tokens: HashMap::new(),
            apps: Vec::new(),
            checks: Vec::new(),
            repos: BTreeMap::new(),
            former: HashMap::new(),
            numbers: BTreeMap::new(),
            post,
        }
    }

    /// The next number of a kind.
    pub fn number(&mut self, kind: Numbered) -> u64 {
        let number = self.numbers.entry(kind).or_default();
        *number += 1;
        *number
    }

    fn add_account(&mut self, login: &str, kind: Kind) -> Result<AccountId, Refusal> {
        if self.account_named(login).is_some() {
            return Err(Refusal::Invalid(format!("user already exists [name: {login}]")));
        }
        if !is_name(login) {
            return Err(Refusal::Invalid(format!(
                "name is invalid [{login}]: must be valid alpha or numeric or dash(-_)"
            )));
        }
        let id = self.accounts.len() as AccountId + 1;
        self.accounts.push(Account { id, login: login.to_owned(), created: now(), kind });
        Ok(id)
    }

    /// Makes a user.
    pub fn add_user(&mut self, login: &str, site_admin: bool) -> Result<AccountId, Refusal> {
        self.add_account(login, Kind::Person { site_admin })
    }

    /// Makes the user of an App, whose name no person could have.
    pub(super) fn add_bot(&mut self, login: &str) -> AccountId {
        let id = self.accounts.len() as AccountId + 1;
        let kind = Kind::Person { site_admin: false };
        self.accounts.push(Account { id, login: login.to_owned(), created: now(), kind });
        id
    }

    /// Makes an organization that `owner` owns.
    pub fn add_organization(&mut self, login: &str, owner: AccountId) -> Result<AccountId, Refusal> {
        self.add_account(login, Kind::Organization { owners: vec![owner] })
    }

    /// Makes a token for a user.
    pub fn add_token(&mut self, account: AccountId, scopes: Scopes) -> Result<String, Refusal> {
        let mut secret = [0u8; 20];
        getrandom::fill(&mut secret).map_err(|error| Refusal::Broken(error.to_string()))?;
        let token = hex::encode(secret);
        self.keep_token(token.clone(), Token { account, scopes, ends: None, installation: None });
        Ok(token)
    }

    pub(super) fn keep_token(&mut self, token: String, kept: Token) {
        self.tokens.insert(token, kept);
    }

    /// Every token of an installation ends now.
    pub fn end_tokens(&mut self) {
        self.tokens.retain(|_, token| token.installation.is_none());
    }

    /// Whose token it is.
    pub fn token(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token).filter(|token| token.ends.is_none_or(|ends| ends > now()))
    }

    /// A user or organization; every stored number is one.
    pub fn account(&self, id: AccountId) -> Result<&Account, Refusal> {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index.and_then(|index| self.accounts.get(index)).ok_or_else(|| Refusal::Broken(format!("no account {id}")))
    }

    /// The user or organization of a name.
    pub fn account_named(&self, login: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.login.eq_ignore_ascii_case(login))
    }

    /// The user whose address stands in a commit.
    pub fn account_of_email(&self, email: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| !email.is_empty() && account.email().eq_ignore_ascii_case(email))
    }

    /// What commits of a user are signed with.
    pub fn signature(&self, account: AccountId) -> Result<git2::Signature<'static>, Refusal> {
        let account = self.account(account)?;
        Ok(git2::Signature::now(&account.login, &account.email())?)
    }

    /// All repositories, by id.
    pub fn repos(&self) -> impl Iterator<Item = &Repo> {
        self.repos.values()
    }

    /// The repository of an id.
    pub fn repo(&self, id: RepoId) -> Result<&Repo, Refusal> {
        self.repos.get(&id).ok_or_else(Refusal::not_found)
    }

    pub(super) fn repo_mut(&mut self, id: RepoId) -> Result<&mut Repo, Refusal> {
        self.repos.get_mut(&id).ok_or_else(Refusal::not_found)
    }

    /// The repository of a name; [`Refusal::Moved`] with its present name where it had that name once.
    pub fn repo_named(&self, owner: &str, name: &str) -> Result<&Repo, Refusal> {
        let owner = self.account_named(owner).ok_or_else(Refusal::not_found)?.id;
        let named = |repo: &&Repo| repo.owner == owner && repo.name.eq_ignore_ascii_case(name);
        if let Some(repo) = self.repos.values().find(named) {
            return Ok(repo);
        }
        match self.former.get(&(owner, name.to_lowercase())) {
            Some(id) => Err(Refusal::Moved(self.full_name(self.repo(*id)?)?)),
            None => Err(Refusal::not_found()),
        }
    }

    /// `owner/name`.
    pub fn full_name(&self, repo: &Repo) -> Result<String, Refusal> {
        Ok(format!("{}/{}", self.account(repo.owner)?.login, repo.name))
    }

    /// Where a repository's objects are. Its name does not matter, so that renaming moves nothing.
    pub fn path(&self, id: RepoId) -> PathBuf {
        self.folder.join(format!("{id}.git"))
    }

    /// A repository's objects and references.
    pub fn bare(&self, id: RepoId) -> Result<Bare, Refusal> {
        Bare::open(&self.path(id))
    }

    /// How far someone gets in a repository.
    pub fn access(&self, repo: &Repo, viewer: Viewer) -> Access {
        let public = if repo.private { Access::None } else { Access::Read };
        let Some(viewer) = viewer.and_then(|viewer| self.account(viewer).ok()) else { return public };
        let owns = match self.account(repo.owner).map(|owner| &owner.kind) {
            Ok(Kind::Organization { owners }) => owners.contains(&viewer.id),
            _ => repo.owner == viewer.id,
        };
        if owns || viewer.is_site_admin() {
            return Access::Owner;
        }
        repo.collaborators.get(&viewer.id).copied().unwrap_or(Access::None).max(public)
    }

    /// An issue or pull request.
    pub fn issue(&self, repo: RepoId, number: u64) -> Result<&Issue, Refusal> {
        self.repo(repo)?.issues.get(&number).ok_or_else(Refusal::not_found)
    }

    pub(super) fn issue_mut(&mut self, repo: RepoId, number: u64) -> Result<&mut Issue, Refusal> {
        self.repo_mut(repo)?.issues.get_mut(&number).ok_or_else(Refusal::not_found)
    }

    /// A pull request with what makes it one.
    pub fn pull(&self, repo: RepoId, number: u64) -> Result<(&Issue, &Pull), Refusal> {
        let issue = self.issue(repo, number)?;
        issue.pull.as_ref().map(|pull| (issue, pull)).ok_or_else(Refusal::not_found)
    }
}

/// Whether an account or repository may have this name: it becomes a part of addresses.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !name.ends_with(".git")
}
