//! libFuzzer's door to `linkspan_fuzz::conntrack`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::conntrack::run(data));
