//! RUN.
use super::BuildError;
use super::files::Mystery;
use super::instructions::Run;
use super::stage::Running;

pub(super) fn run(stage: &mut Running<'_, '_>, line: u32, run: &Run, from: &[Option<usize>]) -> Result<(), BuildError> {
    let _ = (run, from);
    let mystery = Mystery { line, reason: "a command runs".into() };
    stage.state.files.forget::<&str>(&[], &mystery);
    Ok(())
}
