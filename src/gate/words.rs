//! Findings in words that tell nothing of a repository: titles, and what stands in for a sentence that is withheld.

use super::Side;
use super::finding::Kind;

/// A finding's kind as a person would say it.
pub fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::BuildFails => "the build fails",
        Kind::NotBaked => "not baked",
        Kind::ContentDiffers => "content differs",
        Kind::WrongDestination => "wrong destination",
        Kind::MissingInSource => "missing in the source",
        Kind::Empty => "empty file",
        Kind::Unlisted => "not classified",
        Kind::ExtraAtDestination => "extra at the destination",
        Kind::VendoredCopy => "vendored copy",
        Kind::SourceDirTracked => "source folder is tracked",
        Kind::CopiesNothing => "copies nothing",
        Kind::PinMissing => "no pin",
        Kind::PinAmbiguous => "more than one pin",
        Kind::PinInvalid => "the pin is no commit",
        Kind::PinRequirement => "the pin names something else",
        Kind::PinUnreachable => "the pinned commit is not there",
        Kind::PinUnmerged => "the pinned commit is not merged",
        Kind::PinBackwards => "the pin goes back",
        Kind::Stale => "stale",
        Kind::CheckoutDiffers => "the source's folder differs",
        Kind::CopyDiffers => "a copy differs",
        Kind::CopyMissing => "a copy is missing",
        Kind::CopyExtra => "a copy of nothing",
        Kind::ValuesDiffer => "values differ",
        Kind::ValuesTooFew => "too few values",
        Kind::NotAbsent => "not absent",
        Kind::ConfigInvalid => "invalid configuration",
        Kind::WatchedFileChanged => "a watched file is changed",
        Kind::GateWeakened => "the gate is weakened",
    }
}

/// A number of things.
pub fn counted(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// The stable name of a kind, as reports and the documentation have it.
pub fn name(kind: Kind) -> String {
    // A unit variant serializes to its name.
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What a finding says where its own words may name what the reader must not see.
pub fn in_general(kind: Kind) -> &'static str {
    match kind {
        Kind::BuildFails => "The Dockerfile would not build.",
        Kind::NotBaked => "A file of the source does not get into the image.",
        Kind::ContentDiffers => "The image would hold other bytes than the source.",
        Kind::WrongDestination => "A file of the source is baked at another place than the gate names.",
        Kind::MissingInSource => "The image or the gate wants a file that the source does not have.",
        Kind::Empty => "A file that must say something is empty.",
        Kind::Unlisted => "A file of the source is neither identity nor ignored.",
        Kind::ExtraAtDestination => "The image has a file at the destination that the source does not have.",
        Kind::VendoredCopy => "The image takes a file from the consumer's own copy instead of the source.",
        Kind::SourceDirTracked => "The consumer tracks files where the build puts the source.",
        Kind::CopiesNothing => "A COPY matches no file.",
        Kind::PinMissing => "The consumer names no commit of the source.",
        Kind::PinAmbiguous => "The consumer names more than one commit of the source.",
        Kind::PinInvalid => "What the consumer names is no commit.",
        Kind::PinRequirement => "The entry with the pin does not say what the gate requires of it.",
        Kind::PinUnreachable => "The source does not have the commit that the consumer names.",
        Kind::PinUnmerged => "The pinned commit is not on the source's branch.",
        Kind::PinBackwards => "The pin moves to an older commit.",
        Kind::CheckoutDiffers => "The folder that the build takes the source from is not what is pinned.",
        Kind::Stale => "The source has changed since the commit that the consumer binds.",
        Kind::CopyDiffers => "A copy in the consumer is not what the source has.",
        Kind::CopyMissing => "A file of the source has no copy in the consumer.",
        Kind::CopyExtra => "The consumer has a copy of a file that the source does not have.",
        Kind::ValuesDiffer => "Consumer and source do not say the same values.",
        Kind::ValuesTooFew => "A side gives fewer values than the gate wants, or none.",
        Kind::NotAbsent => "The consumer has something again that must stay absent.",
        Kind::ConfigInvalid => "The gate's configuration cannot be used.",
        Kind::WatchedFileChanged => "A file is changed that decides what is built and is not evaluated.",
        Kind::GateWeakened => "The gate's configuration asks for less than before.",
    }
}

/// What to do about a finding where its own words may name what the reader must not see.
pub fn to_do(kind: Kind) -> &'static str {
    match kind {
        Kind::BuildFails | Kind::CopiesNothing => "Mend the instruction at the line below.",
        Kind::NotBaked => "Add a COPY for it, or take it out of the gate's identity.",
        Kind::ContentDiffers | Kind::VendoredCopy => {
            "Let the Dockerfile copy the source's own file and change it nowhere after."
        }
        Kind::WrongDestination => "Copy it to the gate's destination.",
        Kind::MissingInSource => "Add it to the source, or take it out of the Dockerfile and the gate.",
        Kind::Empty => "Restore its content in the source.",
        Kind::Unlisted => "Add it to the gate's identity, or to ignore if no image needs it.",
        Kind::ExtraAtDestination => "Remove the instruction that puts it there.",
        Kind::SourceDirTracked => "Remove those files from the consumer: the build brings them.",
        Kind::PinMissing => "Add the entry with the pin.",
        Kind::PinAmbiguous => "Keep one entry.",
        Kind::PinInvalid => "Write the full commit SHA.",
        Kind::PinRequirement => "Correct the entry's other fields, or the gate's require.",
        Kind::PinUnreachable | Kind::PinUnmerged => "Pin a commit of the source's branch.",
        Kind::PinBackwards => "Pin the source's head.",
        Kind::Stale => "Move the pin to the source's head.",
        Kind::CheckoutDiffers => "Check the pinned commit out again.",
        Kind::CopyDiffers | Kind::CopyMissing => "Copy the source's file.",
        Kind::CopyExtra => "Remove it from the consumer, or add it to the source.",
        Kind::ValuesDiffer => "Let the consumer say what the source says.",
        Kind::ValuesTooFew => "Restore the values, or correct where the gate looks for them.",
        Kind::NotAbsent => "Remove it again.",
        Kind::ConfigInvalid => "Correct the configuration; drift-gate config check says where.",
        Kind::WatchedFileChanged => "Let somebody who answers for the gate look at it, and waive it.",
        Kind::GateWeakened => "Restore it, or let somebody who answers for the gate accept the change.",
    }
}

/// Whose names a finding's path is made of; `None` where both sides may have named it (a path of the image is the
/// consumer's destination and the source's file name).
pub fn path_side(kind: Kind) -> Option<Side> {
    match kind {
        Kind::NotBaked
        | Kind::ContentDiffers
        | Kind::MissingInSource
        | Kind::Empty
        | Kind::Unlisted
        | Kind::Stale
        | Kind::CheckoutDiffers
        | Kind::CopyMissing => Some(Side::Source),
        Kind::BuildFails
        | Kind::VendoredCopy
        | Kind::SourceDirTracked
        | Kind::CopiesNothing
        | Kind::PinMissing
        | Kind::PinAmbiguous
        | Kind::PinInvalid
        | Kind::PinRequirement
        | Kind::PinUnreachable
        | Kind::PinUnmerged
        | Kind::PinBackwards
        | Kind::CopyExtra
        | Kind::NotAbsent
        | Kind::WatchedFileChanged
        | Kind::ConfigInvalid
        | Kind::GateWeakened => Some(Side::Consumer),
        Kind::WrongDestination
        | Kind::ExtraAtDestination
        | Kind::CopyDiffers
        | Kind::ValuesDiffer
        | Kind::ValuesTooFew => None,
    }
}
