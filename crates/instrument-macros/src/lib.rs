//! Attribute macros of `sidelight-instrument`. Use them through that crate, whose documentation of each has examples that
//! run: `#[sidelight::op]`, `#[sidelight::cached_lookup]`, `#[sidelight::retry]`, `#[sidelight::feature]`,
//! `#[sidelight::connection]`, `#[sidelight::test]`, `#[derive(sidelight::ErrorKind)]`.
//!
//! A macro leaves the signature of the function as it is and puts its body into a block (of a closure, or asynchronous) next
//! to a guard, so that `return`, `?`, panics and cancellation are seen. It takes functions, methods, and what
//! `#[async_trait]` makes of methods.

mod arguments;
mod derive;
mod function;
mod guards;
mod operation;
mod test;

use proc_macro::TokenStream;

/// Records each call as an operation.
#[proc_macro_attribute]
pub fn op(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(operation::expand(arguments.into(), function.into()))
}

/// Records each call as a lookup in a cache.
#[proc_macro_attribute]
pub fn cached_lookup(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(guards::cached_lookup(arguments.into(), function.into()))
}

/// Calls the body again when it fails.
#[proc_macro_attribute]
pub fn retry(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(guards::retry(arguments.into(), function.into()))
}

/// Records each call as a use of a feature.
#[proc_macro_attribute]
pub fn feature(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(guards::feature(arguments.into(), function.into()))
}

/// Takes each call for the life of a connection.
#[proc_macro_attribute]
pub fn connection(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(guards::connection(arguments.into(), function.into()))
}

/// Makes a test that captures what it records.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expanded(test::expand(arguments.into(), function.into()))
}

/// Tells the kinds of an error by the names of its variants.
#[proc_macro_derive(ErrorKind, attributes(error_kind))]
pub fn error_kind(item: TokenStream) -> TokenStream {
    expanded(derive::expand(item.into()))
}

fn expanded(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(|error| error.into_compile_error()).into()
}
