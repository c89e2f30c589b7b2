//! `Depends-On:` lines of a pull request's text: the pull requests of other repositories that it belongs together with (pure).
//!
//! Traps handled here: a text may be 64 KiB of such lines, or quote one; so few are taken, and none from quoted text or a code
//! fence. What a line names is a text of a person: it is held against what is known and never fetched.

/// Lines of one pull request that count; more say nothing.
const MOST: usize = 8;
/// The longest reference, in bytes.
const LONGEST: usize = 300;

/// What `Depends-On:` lines name, as written: `owner/repo#12`, or the address of a pull request. In order, each once.
pub fn depends_on(body: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in body.lines() {
        let line = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let name = line.split_once(':').filter(|(key, _)| key.trim_end().eq_ignore_ascii_case("depends-on"));
                let name = name.map(|(_, name)| name.trim()).filter(|name| is_reference(name));
                if let Some(name) = name
                    && found.len() < MOST
                    && !found.iter().any(|one| one == name)
                {
                    found.push(name.to_owned());
                }
            }
        }
    }
    found
}

fn is_reference(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(|c| c.is_ascii_graphic())
}

/// A reference as repository and number, where it is written so: `owner/repo#12`.
pub fn named(reference: &str) -> Option<(&str, u64)> {
    let (repo, number) = reference.split_once('#')?;
    super::RepoName::parse(repo)?;
    Some((repo, number.parse().ok()?))
}

/// The number at the end of a reference that is an address.
pub fn number_of_address(reference: &str) -> Option<u64> {
    reference.contains("://").then(|| reference.trim_end_matches('/').rsplit('/').next()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_a_pull_request_are_found_in_any_case() {
        let body = "Adds hooks.\r\n\r\nDepends-On: molecule/core#12\r\n  depends-on :  https://git.example.org/molecule/edge/pulls/7 \n\
                    Depends-On: molecule/core#12\n";
        assert_eq!(depends_on(body), ["molecule/core#12", "https://git.example.org/molecule/edge/pulls/7"]);
    }

    #[test]
    fn quoted_and_fenced_lines_and_nonsense_name_nothing() {
        for body in [
            "> Depends-On: molecule/core#12",
            "```\nDepends-On: molecule/core#12\n```",
            "~~~ text\n```\nDepends-On: molecule/core#12\n~~~",
            "Depends-On:",
            "Depends-On: two words",
            "Depends-On: molecule/core#12\u{202e}",
            "This Depends-On: molecule/core#12",
            "Depends on molecule/core#12",
        ] {
            assert!(depends_on(body).is_empty(), "{body:?}");
        }
        assert!(depends_on(&format!("Depends-On: {}", "x".repeat(301))).is_empty());
        let many: String = (0..10_000).map(|number| format!("Depends-On: molecule/core#{number}\n")).collect();
        assert_eq!(depends_on(&many).len(), 8);
    }

    #[test]
    fn a_reference_is_a_repository_with_a_number_or_an_address_that_ends_with_one() {
        assert_eq!(named("molecule/core#12"), Some(("molecule/core", 12)));
        for other in ["#12", "core#12", "molecule/core#", "molecule/core#-1", "a/b/c#1", "molecule/core"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(number_of_address("https://git.example.org/molecule/core/pulls/12/"), Some(12));
        assert_eq!(number_of_address("molecule/core/12"), None);
        assert_eq!(number_of_address("https://git.example.org/molecule/core/pulls/new"), None);
    }
}
