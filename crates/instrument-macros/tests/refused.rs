//! Messages teach: each file of `tests/refused` is refused with what stands beside it.

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    // In a project of its own, which has no more dependencies than this crate.
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
