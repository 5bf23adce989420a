//! The truncator: what is cut fits, is JSON where it was, and holds no half of a mark.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hermes::fuzzing::truncate(data));
