//! libFuzzer's door to `linkspan_fuzz::icmp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::icmp::run(data));
