//! The real git against the stand-in.
