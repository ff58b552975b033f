//! libFuzzer's door to `linkspan_fuzz::docker`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::docker::run(data));
