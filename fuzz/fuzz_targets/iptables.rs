//! libFuzzer's door to `linkspan_fuzz::iptables`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_fuzz::iptables::run(data));
