//! Any bytes as a file that is given to ADD. An odd first byte says: mend the checksums of what follows as if it were a tar,
//! so that more than the first look at a header is reached.

#![no_main]

use std::collections::BTreeMap;

use drift_gate::tree::Memory;
use drift_gate_fuzz::build;

const BLOCK: usize = 512;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut archive = rest.to_vec();
    if first & 1 == 1 {
        mend(&mut archive);
    }
    let context = Memory::new().file("archive", archive).file("a.txt", "A");
    let dockerfile = "FROM scratch\nCOPY a.txt /d/sub/\nADD archive /d/\n";
    // Whether it builds is not the question here.
    let _ = build(&context, dockerfile, None, &BTreeMap::new());
});

/// Writes the right checksum into every block that stands where a header does.
fn mend(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        if header.iter().any(|byte| *byte != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let digits = header[124..136].iter().take_while(|byte| (b'0'..=b'7').contains(byte));
        let size = digits.fold(0_usize, |size, digit| size.saturating_mul(8) + usize::from(digit - b'0'));
        at = at.saturating_add(BLOCK).saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
        if at > archive.len() {
            return;
        }
    }
}
