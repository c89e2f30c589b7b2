//! Packets: git's framing, without any I/O.
//!
//! A packet is four hexadecimal digits of length (themselves included) and the bytes; lengths 0, 1 and 2 are marks. See
//! `gitprotocol-common(5)`. What a server sends is hostile until parsed: lengths are checked, nothing is kept beyond one
//! packet of 64 KiB.

use crate::tree::ObjectId;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: between the sections of a message.
    Delim,
    /// `0002`: the end of an answer.
    End,
    /// Bytes, as sent.
    Data(Vec<u8>),
}

/// What is wrong with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    /// The server does not have this object.
    NotOurRef(ObjectId),
    /// An `ERR` packet: the server refuses.
    Err(String),
    /// Side-band 3: the server gave up while it was answering.
    Fatal(String),
    /// No git.
    Malformed(String),
    /// It stops before its end.
    Cut,
}

/// The most bytes that one packet carries.
pub const MOST: usize = 65_516;

/// A line of a message.
pub fn line(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

/// A packet of these bytes as they are, at most [`MOST`].
pub fn data(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:04x}", bytes.len() + 4).as_bytes());
    out.extend_from_slice(bytes);
}

/// The mark between the sections of a message.
pub fn delim(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// The end of a message.
pub fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Cuts a stream of bytes into packets.
#[derive(Default)]
pub struct Packets {
    buffer: Vec<u8>,
    start: usize,
}

impl Packets {
    /// The next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet; `None` until more bytes come.
    pub fn next(&mut self) -> Result<Option<Packet>, Bad> {
        let Some((packet, taken)) = cut(&self.buffer[self.start..])? else { return Ok(None) };
        self.start += taken;
        match packet {
            Packet::Data(bytes) if bytes.starts_with(b"ERR ") => Err(refusal(&text(&bytes[4..]))),
            packet => Ok(Some(packet)),
        }
    }
}

/// The packet at the front of `bytes` and how many bytes it takes; `None` where more bytes are needed.
pub fn cut(bytes: &[u8]) -> Result<Option<(Packet, usize)>, Bad> {
    let Some(digits) = bytes.first_chunk::<4>() else { return Ok(None) };
    let length = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Bad::Malformed(format!("a packet begins with {:?}", digits.escape_ascii().to_string())))?;
    Ok(match length {
        0 => Some((Packet::Flush, 4)),
        1 => Some((Packet::Delim, 4)),
        2 => Some((Packet::End, 4)),
        3 => return Err(Bad::Malformed("a packet of length 3".to_owned())),
        length => bytes.get(4..length).map(|bytes| (Packet::Data(bytes.to_vec()), length)),
    })
}

fn refusal(message: &str) -> Bad {
    let id = message.split_once("not our ref ").and_then(|(_, id)| ObjectId::parse(id.trim()));
    id.map_or_else(|| Bad::Err(message.to_owned()), Bad::NotOurRef)
}

/// A line for people: without its end, without control characters, not longer than 300 characters.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// What a server says it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It leaves objects out on request (`uploadpack.allowFilter`).
    pub filter: bool,
    /// Its object names are SHA-1.
    pub sha1: bool,
}

/// Reads the whole answer to `GET info/refs?service=git-upload-pack`.
pub fn capabilities(bytes: &[u8]) -> Result<Capabilities, Bad> {
    let mut packets = Packets::default();
    packets.push(bytes);
    let mut version = false;
    let mut found = Capabilities { filter: false, sha1: true };
    loop {
        match packets.next()?.ok_or(Bad::Cut)? {
            // The flush after the `# service=` line, which some servers leave out.
            Packet::Flush if !version => {}
            Packet::Flush => return Ok(found),
            Packet::Delim | Packet::End => return Err(Bad::Malformed("a mark among the capabilities".to_owned())),
            Packet::Data(bytes) => match text(&bytes).as_str() {
                "version 2" => version = true,
                service if service.starts_with("# service=") => {}
                _ if !version => {
                    return Err(Bad::Malformed("the server does not speak protocol version 2".to_owned()));
                }
                line => match line.split_once('=') {
                    Some(("fetch", features)) => found.filter = features.split(' ').any(|word| word == "filter"),
                    Some(("object-format", format)) => found.sha1 = format == "sha1",
                    _ => {}
                },
            },
        }
    }
}

/// Reads the whole answer to `ls-refs`: names and what they point to, as listed. Lines that name no object (`unborn`) are
/// passed over.
pub fn refs(bytes: &[u8]) -> Result<Vec<(String, ObjectId)>, Bad> {
    let mut packets = Packets::default();
    packets.push(bytes);
    let mut found = Vec::new();
    loop {
        let line = match packets.next()?.ok_or(Bad::Cut)? {
            Packet::Flush => return Ok(found),
            Packet::Delim | Packet::End => return Err(Bad::Malformed("a mark among the refs".to_owned())),
            Packet::Data(line) => line,
        };
        let line = String::from_utf8_lossy(&line);
        let mut words = line.trim_end_matches('\n').split(' ');
        match (words.next(), words.next()) {
            (Some("unborn"), _) => {}
            (Some(id), Some(name)) => {
                let bad = || Bad::Malformed(format!("a ref points to {:?}", text(id.as_bytes())));
                found.push((name.to_owned(), ObjectId::parse(id).ok_or_else(bad)?));
            }
            _ => return Err(Bad::Malformed(format!("a ref without a name: {:?}", text(line.as_bytes())))),
        }
    }
}

/// Reads the answer to `fetch` as it comes in.
#[derive(Default)]
pub struct Answer {
    packets: Packets,
    at: At,
}

#[derive(Default, PartialEq, Eq)]
enum At {
    /// Before the name of a section.
    #[default]
    Section,
    /// In a section that says nothing new (`acknowledgments`, `shallow-info`, `wanted-refs`).
    Other,
    /// In the section `packfile`.
    Pack,
    /// Behind it.
    Done,
}

impl Answer {
    /// Takes the next bytes of the answer and appends the pack's bytes among them to `pack`.
    pub fn push(&mut self, bytes: &[u8], pack: &mut Vec<u8>) -> Result<(), Bad> {
        self.packets.push(bytes);
        while self.at != At::Done
            && let Some(packet) = self.packets.next()?
        {
            self.at = match (&self.at, packet) {
                (At::Section, Packet::Data(name)) => {
                    if name.trim_ascii_end() == b"packfile" {
                        At::Pack
                    } else {
                        At::Other
                    }
                }
                (At::Other, Packet::Data(_)) => At::Other,
                (At::Other, Packet::Delim) => At::Section,
                (At::Pack, Packet::Data(bytes)) => {
                    band(&bytes, pack)?;
                    At::Pack
                }
                (At::Pack, Packet::Flush | Packet::End) => At::Done,
                (_, packet) => return Err(Bad::Malformed(format!("{packet:?} where the pack was to come"))),
            };
        }
        Ok(())
    }

    /// Says that no more bytes come.
    pub fn finish(&self) -> Result<(), Bad> {
        if self.at == At::Done { Ok(()) } else { Err(Bad::Cut) }
    }
}

fn band(bytes: &[u8], pack: &mut Vec<u8>) -> Result<(), Bad> {
    match bytes.split_first() {
        Some((1, bytes)) => pack.extend_from_slice(bytes),
        // Progress, for people who watch.
        Some((2, _)) => {}
        Some((3, message)) => return Err(Bad::Fatal(text(message))),
        _ => return Err(Bad::Malformed("a packet in no side-band".to_owned())),
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a live Gitea 1.26 answered.
    fn recorded() -> serde_json::Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/gitea-1.26/smart-http.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The body of a recorded answer.
    pub fn body(what: &str) -> Vec<u8> {
        use base64_of_tests::decode;
        let recorded = recorded();
        match recorded[what]["body_base64"].as_str() {
            Some(text) => decode(text),
            None => recorded[what]["body"].as_str().unwrap().as_bytes().to_vec(),
        }
    }

    /// Enough of base64 for the recording.
    mod base64_of_tests {
        pub fn decode(text: &str) -> Vec<u8> {
            const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let mut bits = 0u32;
            let mut count = 0;
            let mut out = Vec::new();
            for digit in text.bytes().filter(|b| *b != b'=') {
                bits = bits << 6 | DIGITS.iter().position(|d| *d == digit).unwrap() as u32;
                count += 6;
                if count >= 8 {
                    count -= 8;
                    out.push((bits >> count) as u8);
                }
            }
            out
        }
    }

    #[test]
    fn what_a_recorded_server_can_is_read() {
        let recorded = recorded();
        let text = recorded["capabilities"].as_str().unwrap();
        assert_eq!(capabilities(text.as_bytes()), Ok(Capabilities { filter: true, sha1: true }));
    }

    #[test]
    fn a_server_without_filters_or_with_sha256_is_told_apart() {
        let mut plain = b"000eversion 2\n".to_vec();
        line("fetch=shallow", &mut plain);
        line("object-format=sha256", &mut plain);
        flush(&mut plain);
        assert_eq!(capabilities(&plain), Ok(Capabilities { filter: false, sha1: false }));
    }

    #[test]
    fn a_server_of_an_older_protocol_is_named_as_such() {
        let mut old = Vec::new();
        line("# service=git-upload-pack", &mut old);
        flush(&mut old);
        line(&format!("{} HEAD\0multi_ack", "1".repeat(40)), &mut old);
        let Err(Bad::Malformed(message)) = capabilities(&old) else { panic!() };
        assert!(message.contains("version 2"), "{message}");
    }

    #[test]
    fn recorded_refs_are_read_pull_requests_included() {
        let found = refs(&body("ls-refs")).unwrap();
        assert_eq!(found.len(), 7);
        assert_eq!(found[1].0, "refs/heads/main");
        assert_eq!(found[1].1.as_str(), "6c99b98a0f56451a9058a511a2a589580b89abbc");
        assert_eq!(found[3].0, "refs/pull/1/head");
    }

    #[test]
    fn a_list_of_refs_that_stops_early_is_no_list() {
        let body = body("ls-refs");
        for end in [0, 1, 70, body.len() - 4, body.len() - 1] {
            assert_eq!(refs(&body[..end]), Err(Bad::Cut), "{end}");
        }
    }

    #[test]
    fn a_recorded_pack_comes_out_whole_however_it_is_cut() {
        let body = body("fetch-tree-only");
        for size in [1, 3, 7, body.len()] {
            let (mut answer, mut pack) = (Answer::default(), Vec::new());
            for chunk in body.chunks(size) {
                answer.push(chunk, &mut pack).unwrap();
            }
            answer.finish().unwrap();
            assert_eq!(&pack[..12], b"PACK\0\0\0\x02\0\0\0\x03", "three objects: a commit and two directories");
        }
    }

    #[test]
    fn every_cut_of_a_recorded_pack_is_noticed() {
        let body = body("fetch-tree-only");
        for end in 0..body.len() {
            let (mut answer, mut pack) = (Answer::default(), Vec::new());
            assert_eq!(answer.push(&body[..end], &mut pack).and_then(|()| answer.finish()), Err(Bad::Cut), "{end}");
        }
    }

    #[test]
    fn a_recorded_unknown_commit_is_told_by_name() {
        let unknown = ObjectId::parse(&"1".repeat(40)).unwrap();
        let answer = Answer::default().push(&body("fetch-unknown-sha"), &mut Vec::new());
        assert_eq!(answer, Err(Bad::NotOurRef(unknown)));
    }

    #[test]
    fn a_server_that_gives_up_is_quoted() {
        let mut bytes = Vec::new();
        line("packfile", &mut bytes);
        line("\u{2}Counting objects", &mut bytes);
        line("\u{3}out of memory\n", &mut bytes);
        let answer = Answer::default().push(&bytes, &mut Vec::new());
        assert_eq!(answer, Err(Bad::Fatal("out of memory".to_owned())));
    }

    #[test]
    fn what_is_no_git_is_refused() {
        for bytes in [&b"<!DOCTYPE html>"[..], b"0003", b"+123", b"0000", b"0001"] {
            let answer = Answer::default().push(bytes, &mut Vec::new());
            assert!(matches!(answer, Err(Bad::Malformed(_))), "{bytes:?}: {answer:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(0u8..=255, 0..200), digits in "[0-9a-f]{0,12}") {
            let bytes = [digits.as_bytes(), &bytes].concat();
            let _ = capabilities(&bytes);
            let _ = refs(&bytes);
            let _ = Answer::default().push(&bytes, &mut Vec::new());
        }
    }
}
