//! libFuzzer's door to `linkspan_fuzz::engine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::engine::run(data));
