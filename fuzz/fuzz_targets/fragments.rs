//! libFuzzer's door to `linkspan_fuzz::fragments`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::fragments::run(data));
