//! libFuzzer's door to `linkspan_fuzz::neighbours`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::neighbours::run(data));
