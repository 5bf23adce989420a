//! The redactor: twice is once, JSON stays JSON, nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hermes::fuzzing::redact(data));
