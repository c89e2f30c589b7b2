//! What a gate compares: one struct for each kind of `[[gate.check]]`, and the places where a pin or a value stands.
//!
//! Paths are relative, with `/`, without `.` and `..`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::config::pin::PinPath;

/// `[[gate.check]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Check {
    /// The files of the source as an image build would place them.
    Bake(Bake),
    /// Files of the source with their copies in the consumer.
    Mirror(Mirror),
    /// Values that are extracted on both sides.
    Values(Values),
    /// The pinned commit itself.
    Pin(Pin),
    /// What must stay gone from the consumer.
    Absent(Absent),
}

/// A check of kind `bake`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bake {
    /// From the consumer's root.
    pub dockerfile: String,
    /// The build context, from the consumer's root; `""` is the root.
    pub context: String,
    /// Where the build puts the source's tree, from the consumer's root.
    pub source_dir: String,
    /// The folder in the image that must hold the source's files: absolute, without trailing slash.
    pub destination: String,
    /// As the build passes them.
    pub build_args: BTreeMap<String, String>,
    /// The stage that is built; `None` for the last one.
    pub target: Option<String>,
    /// The builder clones its context from git: ignore files are not applied.
    pub git_context: bool,
    /// What the build makes before `docker build` runs: globs from the consumer's root. Empty with `git_context`.
    pub generated: Vec<String>,
}

/// A check of kind `mirror`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// What is copied, in the source.
    pub what: Mirrored,
    /// Where the copies are, from the consumer's root: files, or folders for a folder. Never empty.
    pub copies: Vec<String>,
    /// When two files are the same.
    pub compare: Compare,
}

/// What a mirror copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Mirrored {
    /// One file.
    File(String),
    /// Everything in a folder, `""` for all of the source.
    Folder {
        /// From the source's root.
        path: String,
        /// Globs from the folder, never empty.
        include: Vec<String>,
        /// Globs from the folder.
        exclude: Vec<String>,
    },
}

/// When two files are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compare {
    /// Byte for byte.
    Bytes,
    /// With every line end as a line feed, and one at the end of the file ignored.
    Text,
    /// As data: the order of keys, white space and comments do not count.
    Data(Format),
}

/// A format of files that hold data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// YAML 1.2, core schema.
    Yaml,
    /// TOML 1.0.
    Toml,
}

impl Format {
    /// The format that a file's name ends with.
    pub fn of(file: &str) -> Option<Self> {
        match file.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// A check of kind `values`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Values {
    /// Where the source says them.
    pub source: ValuesSide,
    /// Where the consumer says them.
    pub consumer: ValuesSide,
    /// What must hold between them.
    pub relation: Relation,
    /// Names (of a set: values), as globs; empty for all.
    pub only: Vec<String>,
    /// How many values each side must give; at least 1.
    pub least: u64,
}

/// Where one side says its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValuesSide {
    /// From that side's root.
    pub file: String,
    /// How they are taken out.
    pub extract: Extract,
}

/// How values are taken out of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Extract {
    /// At a path: an object gives names with values, anything else values.
    Path {
        /// The file's.
        format: Format,
        /// May have `[*]` in it.
        at: PinPath,
    },
    /// Each match of a pattern with one group, `within` the one match of another where given.
    Regex {
        /// Its group is the value.
        pattern: Pattern,
        /// Its group is where to look.
        within: Option<Pattern>,
    },
    /// The custom properties of a block: at-rules and selector, from outside to inside.
    Css(Vec<String>),
}

/// What must hold between two sets or maps of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Relation {
    /// Both are the same.
    Equal,
    /// Everything that the consumer says, the source says too.
    Subset,
}

/// A check of kind `pin`: what the pinned commit must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Files of the source that must be there and say something.
    pub requires: Vec<String>,
}

/// A check of kind `absent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Absent {
    /// Paths of the consumer, as globs; never empty.
    Paths(Vec<String>),
    /// Something in a file of the consumer.
    InFile {
        /// From the consumer's root.
        file: String,
        /// What.
        what: Retired,
    },
}

/// What must not be in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Retired {
    /// A key or an entry.
    Path {
        /// The file's.
        format: Format,
        /// To a key, or with `[field=value]` to an entry.
        at: PinPath,
    },
    /// A text that matches.
    Regex(Pattern),
}

/// Where in a file of the consumer a pin stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PinAt {
    /// At a path.
    Path {
        /// The file's.
        format: Format,
        /// To one value.
        at: PinPath,
    },
    /// It is all that the file says.
    Whole,
    /// The default of an `ARG` or `ENV` of a Dockerfile.
    Argument(String),
    /// The group of a pattern that matches once.
    Regex(Pattern),
    /// The commit of a submodule.
    Submodule,
}

/// A regular expression that was compiled once. `^` and `$` mean lines, whatever ends them.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// The most memory that a compiled pattern may take, in bytes.
    const LARGEST: usize = 1 << 20;
    /// The longest pattern, in bytes.
    const LONGEST: usize = 1000;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// In words that follow "the pattern": it is none, or needs too much memory.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > Self::LONGEST {
            return Err(format!("is longer than {} characters", Self::LONGEST));
        }
        let regex = regex::RegexBuilder::new(text).multi_line(true).crlf(true).size_limit(Self::LARGEST).build();
        regex.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "needs too much memory".to_owned(),
            error => {
                // The last line says why, the others draw the place.
                let said = error.to_string();
                let why = said.lines().last().unwrap_or_default();
                format!("does not parse: {}", why.trim_start_matches("error: "))
            }
        })
    }

    /// The compiled pattern.
    pub fn regex(&self) -> &regex::Regex {
        &self.0
    }

    /// How many groups it has, the whole match left out.
    pub fn groups(&self) -> usize {
        self.0.captures_len() - 1
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}
