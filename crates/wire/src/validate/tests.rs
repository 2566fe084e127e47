use super::*;

#[test]
fn an_empty_body_is_a_valid_request_without_items() {
    for signal in Signal::ALL {
        assert_eq!(validate(signal, &[], &Limits::default()), Ok(Summary::default()));
    }
}
