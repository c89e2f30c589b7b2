//! Evaluate, bring what was missing, evaluate again: how a pure function reads repositories that are not all here.

use std::future::Future;

use crate::tree::{Need, TreeError};

/// How often an evaluation may come back for more objects. Each time it names all that it lacks at that point: the pin,
/// then both trees, then contents, then history.
const ROUNDS: usize = 24;

/// Why there is no answer.
#[derive(Debug)]
pub enum Stopped<E> {
    /// The evaluation could not be run, or what it lacks could not be brought.
    By(E),
    /// It failed for another reason than a missing object.
    Failed(TreeError),
    /// It asked for objects again and again.
    Endless,
}

/// Calls `evaluate` until it has all that it reads, and `bring` for what it says is not here. Both are called afresh each
/// time, so that neither holds on to what the other changes.
///
/// # Errors
/// See [`Stopped`].
pub async fn until_here<T, E, A, B>(
    mut evaluate: impl FnMut() -> A,
    mut bring: impl FnMut(Need) -> B,
) -> Result<T, Stopped<E>>
where
    A: Future<Output = Result<Result<T, TreeError>, E>>,
    B: Future<Output = Result<(), E>>,
{
    for _ in 0..ROUNDS {
        match evaluate().await.map_err(Stopped::By)? {
            Ok(answer) => return Ok(answer),
            Err(TreeError::NotHere(need)) => bring(need).await.map_err(Stopped::By)?,
            Err(error) => return Err(Stopped::Failed(error)),
        }
    }
    Err(Stopped::Endless)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::tree::Objects;

    fn lacks(count: usize) -> TreeError {
        TreeError::NotHere(Need { repository: format!("{count}").into(), objects: Objects::Blobs(Vec::new()) })
    }

    #[tokio::test]
    async fn it_goes_on_until_all_is_here_and_not_for_ever() {
        let brought = RefCell::new(Vec::new());
        let bring = async |need: Need| {
            brought.borrow_mut().push(need.repository);
            Ok::<(), ()>(())
        };
        let evaluate = async || {
            let count = brought.borrow().len();
            Ok(if count < 2 { Err(lacks(count)) } else { Ok(count) })
        };
        assert_eq!(until_here(evaluate, bring).await.expect("two rounds"), 2);
        let never = async || Ok::<Result<(), _>, ()>(Err(lacks(0)));
        assert!(matches!(until_here(never, async |_| Ok(())).await, Err(Stopped::Endless)));
        assert!(matches!(until_here(never, async |_| Err(())).await, Err(Stopped::By(()))));
    }
}
