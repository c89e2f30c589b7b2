//! Reads the bodies of requests.

use git2::Oid;

use super::Refusal;
use crate::git::pkt::{self, Bad, Packet};

/// The packets of a body, one after the other.
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// The next packet. A body that ends where one was to come is cut.
    pub fn next(&mut self) -> Result<Packet, Refusal> {
        match pkt::cut(self.rest) {
            Ok(Some((packet, taken))) => {
                self.rest = &self.rest[taken..];
                Ok(packet)
            }
            Ok(None) => Err(Refusal::Malformed("the request stops before its end".to_owned())),
            Err(Bad::Malformed(why)) => Err(Refusal::Malformed(why)),
            Err(other) => Err(Refusal::Malformed(format!("{other:?}"))),
        }
    }

    /// What comes behind the packets.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// One question of protocol version 2.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    pub name: String,
    pub arguments: Vec<String>,
}

/// Reads the question; `None` where there is an end and nothing else.
pub fn command(body: &[u8]) -> Result<Option<Command>, Refusal> {
    if body == b"0000" {
        return Ok(None);
    }
    let mut packets = Packets::new(body);
    let mut name = None;
    let arguments = loop {
        match packets.next()? {
            Packet::Data(line) => {
                let line = line_of(line)?;
                match line.strip_prefix("command=") {
                    Some(command) if name.is_none() => name = Some(command.to_owned()),
                    Some(_) => return Err(Refusal::no("two commands in one request")),
                    None => capability(&line)?,
                }
            }
            Packet::Delim => break arguments(&mut packets)?,
            Packet::Flush => break Vec::new(),
            Packet::End => return Err(Refusal::Malformed("a request with an answer's end".to_owned())),
        }
    };
    match name {
        Some(name) => Ok(Some(Command { name, arguments })),
        None => Err(Refusal::no("no command is asked for")),
    }
}

fn arguments(packets: &mut Packets<'_>) -> Result<Vec<String>, Refusal> {
    let mut arguments = Vec::new();
    loop {
        match packets.next()? {
            Packet::Data(line) => arguments.push(line_of(line)?),
            Packet::Flush => return Ok(arguments),
            other => return Err(Refusal::Malformed(format!("{other:?} among the arguments"))),
        }
    }
}

/// What a client may say of itself before its arguments.
fn capability(line: &str) -> Result<(), Refusal> {
    match line.split_once('=') {
        Some(("agent" | "server-option" | "session-id", _)) => Ok(()),
        Some(("object-format", format)) => object_format(format),
        _ => Err(Refusal::no(format!("unknown capability '{line}'"))),
    }
}

/// Object names are SHA-1 here.
pub fn object_format(format: &str) -> Result<(), Refusal> {
    if format == "sha1" { Ok(()) } else { Err(Refusal::no(format!("object names are sha1 here, not {format}"))) }
}

/// A line as text, without its end.
pub fn line_of(bytes: Vec<u8>) -> Result<String, Refusal> {
    let mut line = String::from_utf8(bytes).map_err(|_| Refusal::Malformed("a line that is not UTF-8".to_owned()))?;
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(line)
}

/// An object name in full. libgit2 alone would take a shorter one and fill it up with zeros.
pub fn oid(text: &str) -> Option<Oid> {
    Oid::from_str(text).ok().filter(|_| text.len() == 40)
}
