//! The reader of the environment: nothing panics, whatever the variables hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hermes::fuzzing::config(data));
