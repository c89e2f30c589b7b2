//! Where a path leads when symbolic links are followed, within one tree.

use super::{Node, Tree, TreeError, join, split};

/// How many links a path may go through, as in Linux.
const MAX_LINKS: u32 = 40;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Led {
    /// To the file that is really here.
    File(String),
    /// To the directory that is really here; `""` is the root.
    Dir(String),
    /// To nothing.
    Missing,
    /// Out of the tree (an absolute target, too many `..`), or round in circles: what is there, this tree cannot say.
    Outside,
    /// To this submodule or below it: its files are not in this tree.
    Submodule(String),
}

/// Follows the links of `path`, the last name's too. Nothing outside the tree is ever meant: an absolute target is not
/// clamped to the root, because whoever opens it on a real system gets another file.
///
/// # Errors
/// As [`Tree::node`]; a link that leads nowhere is no error.
pub fn follow(tree: &dyn Tree, path: &str) -> Result<Led, TreeError> {
    let mut at = String::new();
    let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." if at.is_empty() => return Ok(Led::Outside),
            ".." => {
                at = split(&at).0.to_owned();
                continue;
            }
            _ => {}
        }
        let next = join(&at, &name);
        match tree.node(&next)? {
            None => return Ok(Led::Missing),
            Some(Node::Dir { .. }) => at = next,
            Some(Node::File { .. }) if todo.iter().all(String::is_empty) => return Ok(Led::File(next)),
            Some(Node::File { .. }) => return Ok(Led::Missing),
            Some(Node::Submodule { .. }) => return Ok(Led::Submodule(next)),
            Some(Node::Link { target }) => {
                links += 1;
                if links > MAX_LINKS || target.starts_with('/') {
                    return Ok(Led::Outside);
                }
                todo.extend(target.rsplit('/').map(str::to_owned));
            }
        }
    }
    Ok(Led::Dir(at))
}
