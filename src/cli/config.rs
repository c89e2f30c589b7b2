//! `drift-gate config check | schema | example`.

use std::path::Path;

use super::{DONE, USAGE};
use crate::config::{self, Config};

/// Says what is wrong with a configuration, or what it watches.
pub fn check(file: &Path) -> u8 {
    match Config::load(file) {
        Ok(config) => {
            let gates: Vec<&str> = config.gates.iter().map(|gate| gate.name.as_str()).collect();
            anstream::println!("{}: ok, {} gate(s): {}", file.display(), gates.len(), gates.join(", "));
            DONE
        }
        Err(error) => {
            anstream::eprintln!("{error}");
            USAGE
        }
    }
}

/// Prints the JSON schema.
pub fn schema() -> u8 {
    anstream::println!("{}", config::schema());
    DONE
}

/// Prints the complete, commented example.
pub fn example() -> u8 {
    anstream::print!("{}", config::EXAMPLE);
    DONE
}
