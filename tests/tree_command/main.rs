//! `drift-gate tree`, told as its users run it: the real program on real files, with what it prints and how it ends.

mod disk;
mod options;
mod prints;
mod recorded;
mod world;
