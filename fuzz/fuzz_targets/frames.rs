//! libFuzzer's door to `linkspan_fuzz::frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::frames::run(data));
