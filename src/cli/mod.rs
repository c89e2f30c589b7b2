//! x
pub mod serve;
pub const DONE: u8 = 0;
pub const DRIFT: u8 = 1;
pub const USAGE: u8 = 2;
pub const FAILED: u8 = 3;
