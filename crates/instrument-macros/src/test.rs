//! `#[sidelight::test]`: a test that captures what it records.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Error, FnArg, ItemFn, Result, Type};

use crate::arguments::Arguments;

pub(crate) fn expand(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::read(arguments, &[])?;
    if let Some(first) = &arguments.first {
        return Err(Error::new_spanned(
            first,
            "this attribute takes no arguments but `crate = path`",
        ));
    }
    let library = arguments.library();
    let Ok(function) = syn::parse2::<ItemFn>(function) else {
        return Err(Error::new(
            Span::call_site(),
            "this attribute belongs on a function with a body: a test",
        ));
    };
    let ItemFn { attrs, vis, mut sig, block } = function;
    if let Some(other) = attrs.iter().find(|other| makes_a_test(other)) {
        let why = "`#[sidelight::test]` makes the test, and the runtime of one that is asynchronous: leave this one out";
        return Err(Error::new_spanned(other, why));
    }
    let taken = sig.inputs.iter().map(|argument| taken(argument, &library));
    let taken = taken.collect::<Result<Vec<_>>>()?;
    if taken.len() > 1 {
        let why = "a test takes what it captures, one argument of `&sidelight::testing::Capture`, or none";
        return Err(Error::new_spanned(&sig.inputs, why));
    }
    sig.inputs.clear();
    let captured = if taken.is_empty() {
        quote!(let __captured = #library::testing::capture();)
    } else {
        quote!(#(#taken)*)
    };
    let body = if sig.asyncness.take().is_some() {
        quote!(#library::testing::block_on(async move #block))
    } else {
        quote!(#block)
    };
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis #sig {
            #captured
            #body
        }
    })
}

/// `#[test]`, `#[tokio::test]` and their kind.
fn makes_a_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "test")
}

/// Binds the argument to a capture, or to a reference of one.
fn taken(argument: &FnArg, library: &TokenStream) -> Result<TokenStream> {
    let FnArg::Typed(typed) = argument else {
        return Err(Error::new_spanned(argument, "a test is a function, not a method"));
    };
    let (pattern, of) = (&typed.pat, &typed.ty);
    let reference = matches!(**of, Type::Reference(_)).then(|| quote!(&));
    Ok(quote! {
        let __captured = #library::testing::capture();
        let #pattern: #of = #reference __captured;
    })
}
