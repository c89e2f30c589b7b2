//! Colours only where they are wanted, and readers that go away.

use std::io::Read;
use std::process::Stdio;

use crate::world::{World, command, said};

fn drifting() -> World {
    let world = World::in_sync();
    world.template.write("config.yaml", "name: Caretaker\n");
    world
}

#[test]
fn no_colour_where_there_is_no_terminal() {
    let world = drifting();
    let plain = world.check(&[]).is(1);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    // Somebody may want it all the same, and NO_COLOR has the last word.
    let mut check = command(&world.core.dir);
    check.args(["check", "--source", "../template"]).env("CLICOLOR_FORCE", "1");
    let colourful = said(&mut check).is(1);
    assert!(colourful.starts_with("\u{1b}[1m\u{1b}[31mdrift[stale]\u{1b}[0m"), "{colourful:?}");
    let without: String = strip(&colourful);
    assert_eq!(without, plain);
    let no_colour = said(check.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE")).is(1);
    assert_eq!(no_colour, plain);
}

/// Text without the sequences that colour it.
fn strip(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn a_reader_that_goes_away_ends_the_output_quietly() {
    let world = drifting();
    for (words, code) in
        [(&["config", "example"][..], 0), (&["config", "schema"], 0), (&["check", "--source", "../template"], 1)]
    {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child =
            command(&world.core.dir).args(words).stdout(writer).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut errors = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
        assert_eq!((child.wait().expect("it ends").code(), errors.as_str()), (Some(code), ""), "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let world = World::in_sync();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let output = command(&world.core.dir)
        .args(["check", "--source", "../template", "--format", "json"])
        .stdout(full)
        .output()
        .expect("it runs");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.starts_with("error: the result cannot be written: No space left on device"), "{errors}");
}
