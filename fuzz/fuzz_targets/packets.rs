//! libFuzzer's door to `linkspan_fuzz::packets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::packets::run(data));
