//! libFuzzer's door to `linkspan_fuzz::flows`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::flows::run(data));
