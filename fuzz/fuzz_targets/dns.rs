//! libFuzzer's door to `linkspan_fuzz::dns`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::dns::run(data));
