//! libFuzzer's door to `linkspan_fuzz::scenario`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::scenario::run(data));
