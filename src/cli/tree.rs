//! `drift-gate tree`: the file tree that a build would produce, without building.
//!
//! What is on disk is read as `docker build` reads it. A local context is the folder with everything in it, `.git` too,
//! less what the ignore file hides. A git context is a clone that the builder makes: without `.git`, with the modes that git
//! knows, and no ignore file applies.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DONE, DRIFT, FAILED, Failure};
use crate::dockerfile::{self, Build, BuildError, IgnoreFile, MAX_DOCKERFILE};
use crate::report::tree::{self as report, Listing};
use crate::snapshot::Folder;
use crate::tree::{Node, ObjectId, Tree, TreeError};

const EXIT_CODES: &str = "Exit codes: 0 all of it is known, 1 the build would fail, 2 usage, 3 a part cannot be known.";

/// What `tree` takes.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// The build context
    #[arg(long, value_name = "DIR")]
    context: PathBuf,
    /// The Dockerfile, inside or outside of the context
    #[arg(long, value_name = "DOCKERFILE")]
    file: PathBuf,
    /// A build argument
    #[arg(long = "build-arg", value_name = "K=V", value_parser = build_arg)]
    build_args: Vec<(String, String)>,
    /// The stage to build instead of the last one
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Only what is at this path of the image and below it
    #[arg(long, value_name = "PATH", value_parser = image_path, default_value = "/", hide_default_value = true)]
    under: String,
    /// The builder clones the context from git, and DIR is such a clone: no ignore file applies
    #[arg(long)]
    git_context: bool,
    /// How to print the tree; sha256sum is a list for `sha256sum -c` at the root of the built image
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sha256sum,
}

fn build_arg(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// A path of the image, without slashes at its ends.
fn image_path(text: &str) -> Result<String, String> {
    let names: Vec<&str> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err("a path of the image has no `..`".to_owned());
    }
    Ok(names.join("/"))
}

/// What is printed where, and the exit code.
struct Printed {
    out: String,
    notes: String,
    code: u8,
}

/// Evaluates the build and prints its tree; the exit code.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let printed = tree(arguments)?;
    // If nobody listens there, the exit code must do.
    let _ = anstream::stderr().write_all(printed.notes.as_bytes());
    super::print(&printed.out)?;
    Ok(printed.code)
}

fn tree(arguments: &Arguments) -> Result<Printed, Failure> {
    let bytes = read_dockerfile(&arguments.file)?;
    let context = open_context(arguments)?;
    let ignore = if arguments.git_context { None } else { ignore_file(arguments, context.as_ref())? };
    let name = arguments.file.display().to_string();
    let build_args: BTreeMap<String, String> = arguments.build_args.iter().cloned().collect();
    let build = Build {
        context: context.as_ref(),
        dockerfile: &bytes,
        dockerfile_name: &name,
        ignore: ignore.as_ref().map(|(bytes, name)| (&**bytes, name.as_str())),
        build_args: &build_args,
        target: arguments.target.as_deref(),
        generated: None,
    };
    let text = String::from_utf8_lossy(&bytes);
    Ok(match dockerfile::evaluate(&build) {
        Ok(image) => {
            let listing = Listing::new(image, context.as_ref(), &arguments.under);
            let code = if listing.is_known() { DONE } else { FAILED };
            let (out, notes) = match arguments.format {
                Format::Text => (listing.text(&name, &text), String::new()),
                Format::Json => (listing.json(), String::new()),
                Format::Sha256sum => (listing.sha256sum(), listing.notes(&name, &text)),
            };
            Printed { out, notes, code }
        }
        Err(error) => {
            let code = if matches!(error, BuildError::Fails { .. }) { DRIFT } else { FAILED };
            let (out, notes) = match arguments.format {
                Format::Json => (report::error_json(&error), String::new()),
                Format::Text | Format::Sha256sum => (String::new(), report::error(&error, &name, &text)),
            };
            Printed { out, notes, code }
        }
    })
}

fn read_dockerfile(path: &Path) -> Result<Vec<u8>, Failure> {
    // One byte more than is read shows that it is too large, without holding all of it.
    let most = MAX_DOCKERFILE as u64 + 1;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| unreadable("--file", path, &error))?;
    Ok(bytes)
}

fn unreadable(option: &str, path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Failure::usage(format_args!("{option} {path}: there is no such file"))
        }
        ErrorKind::IsADirectory => {
            Failure::usage(format_args!("{option} {path}: it is a directory; name the Dockerfile in it"))
        }
        _ => Failure::failed(format_args!("{option} {path}: it cannot be read: {error}")),
    }
}

fn open_context(arguments: &Arguments) -> Result<Box<dyn Tree>, Failure> {
    let open = if arguments.git_context { Folder::new } else { Folder::whole };
    let folder = open(&arguments.context).map_err(|error| {
        let message = format!("--context {error}");
        if matches!(error, TreeError::Unfit { .. }) { Failure::usage(message) } else { Failure::failed(message) }
    })?;
    Ok(if arguments.git_context { Box::new(Checkout(folder)) } else { Box::new(folder) })
}

/// The ignore file that applies, and its name: `<Dockerfile>.dockerignore` beside the Dockerfile, else the context's.
fn ignore_file(arguments: &Arguments, context: &dyn Tree) -> Result<Option<IgnoreFile>, Failure> {
    let mut beside = arguments.file.clone().into_os_string();
    beside.push(".dockerignore");
    let beside = PathBuf::from(beside);
    match std::fs::read(&beside) {
        Ok(bytes) => return Ok(Some((bytes.into(), beside.display().to_string()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {}
        Err(error) => return Err(unreadable("the ignore file", &beside, &error)),
    }
    let name = ".dockerignore";
    let shown = arguments.context.join(name);
    let read = context.node(name).and_then(|node| match node {
        Some(Node::File { .. }) => context.read(name).map(Some),
        _ => Ok(None),
    });
    match read {
        Ok(bytes) => Ok(bytes.map(|bytes| (bytes, shown.display().to_string()))),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// A folder as git would have checked it out: only the modes that git knows.
struct Checkout(Folder);

fn as_in_git(node: Node) -> Node {
    match node {
        Node::File { mode } => Node::File { mode: if mode & 0o100 == 0 { 0o644 } else { 0o755 } },
        Node::Dir { .. } => Node::Dir { mode: 0o755 },
        node => node,
    }
}

impl Tree for Checkout {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        Ok(self.0.node(path)?.map(as_in_git))
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        Ok(self.0.list(path)?.into_iter().map(|(name, node)| (name, as_in_git(node))).collect())
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.0.blob_id(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.0.read(path)
    }

    fn size(&self, path: &str) -> Result<u64, TreeError> {
        self.0.size(path)
    }
}
