//! An expression of any text is parsed or refused with an error that can be shown; what is parsed is printed, on
//! one line and on several, as text that parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_promql::parse::{Options, parse_with};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let options = Options { experimental: true };
    match parse_with(&text, options) {
        Ok(expr) => {
            let printed = expr.to_string();
            for text in [&printed, &expr.pretty()] {
                let again = parse_with(text, options).expect("what is printed parses");
                assert_eq!(again.to_string(), printed);
            }
        }
        Err(error) => assert!(error.render(&text).contains('^')),
    }
});
