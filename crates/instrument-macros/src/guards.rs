//! The attributes that name a handle: `#[cached_lookup(C)]`, `#[retry(R)]`, `#[feature(F)]`, `#[connection(P)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Result};

use crate::arguments::Arguments;
use crate::function::{Body, Function, Parts};
use crate::operation::{failure, kind};

pub(crate) fn cached_lookup(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let (arguments, function) = read(arguments, function, &[])?;
    let (library, cache) = (arguments.library(), handle(&arguments, "cache", "USERS")?);
    if function.returns_nothing() {
        let why = "a lookup returns an Option (a hit or a miss), or a Result of one: this function returns nothing";
        return Err(Error::new_spanned(&function.signature.ident, why));
    }
    let parts = Parts {
        before: quote!(let mut __lookup = #library::Cache::lookup(&#cache);),
        // It was asked, and nobody knows whether it would have had it.
        cancelled: quote!(__lookup.error();),
        after: quote!(__lookup.result(#library::Found::result(&__result));),
        ..Parts::default()
    };
    Ok(function.wrapped(&library, &parts))
}

pub(crate) fn feature(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let (arguments, function) = read(arguments, function, &["by", "pattern"])?;
    let (library, feature) = (arguments.library(), handle(&arguments, "feature", "EXPORT")?);
    let by = arguments
        .value("by")?
        .map(|user| quote!(.by(::core::convert::AsRef::<str>::as_ref(&#user))));
    let pattern = arguments.value("pattern")?.map(|pattern| quote!(.pattern(#pattern)));
    let failure = failure(&library);
    let parts = Parts {
        outside: quote!(let __use = #library::Feature::used(&#feature)#by #pattern;),
        before: quote!(let mut __use = __use;),
        cancelled: quote!(__use.outcome(#library::Outcome::Cancelled);),
        after: quote! {
            let __failed = #failure.is_some();
            __use.outcome(if __failed { #library::Outcome::Error } else { #library::Outcome::Ok });
        },
        ..Parts::default()
    };
    Ok(function.wrapped(&library, &parts))
}

pub(crate) fn connection(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let (arguments, function) = read(arguments, function, &["error_type"])?;
    let (library, pool) = (arguments.library(), handle(&arguments, "pool", "PEERS")?);
    let (failure, kind) = (failure(&library), kind(arguments.value("error_type")?, &library));
    let parts = Parts {
        before: quote! {
            let mut __connection = #library::Pool::track(&#pool, ());
            let __used = __connection.checkout();
        },
        after: quote! {
            if let ::core::option::Option::Some(__error) = #failure {
                __connection.fail(#kind);
            }
        },
        ..Parts::default()
    };
    Ok(function.wrapped(&library, &parts))
}

pub(crate) fn retry(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let (arguments, function) = read(arguments, function, &["backoff", "when", "error_type"])?;
    let (library, retry) = (arguments.library(), handle(&arguments, "retry", "CHAT")?);
    if function.returns_nothing() {
        let why = "what is retried says whether it failed: let this function return a Result";
        return Err(Error::new_spanned(&function.signature.ident, why));
    }
    let backoff = match arguments.value("backoff")? {
        Some(backoff) => quote!(#backoff),
        None => quote!(<#library::Backoff as ::core::default::Default>::default()),
    };
    let kind = kind(arguments.value("error_type")?, &library);
    let again = match arguments.value("when")? {
        Some(when) => quote!((#when)(__error)),
        None => quote!(true),
    };
    let again = quote!(|__error| #library::probe::Again::reason(#again, || #kind));
    let block = match function.body() {
        Body::Sync(block) => {
            quote!(#library::Retry::run_blocking(&#retry, &#backoff, || #block, #again))
        }
        Body::Async(block) => {
            quote!(#library::Retry::run(&#retry, &#backoff, || async #block, #again).await)
        }
        Body::Future { .. } => {
            let why = "a body that is moved into one future cannot run again: put the attribute on an async function \
                that this one calls";
            return Err(Error::new_spanned(&function.signature.ident, why));
        }
    };
    Ok(function.with_block(&block))
}

fn read(
    arguments: TokenStream,
    function: TokenStream,
    known: &[&str],
) -> Result<(Arguments, Function)> {
    Ok((Arguments::read(arguments, known)?, syn::parse2(function)?))
}

fn handle<'a>(arguments: &'a Arguments, what: &str, example: &str) -> Result<&'a Expr> {
    let why = format!("name the {what} that this is about, a static: `({example})`");
    match &arguments.first {
        Some(Expr::Lit(literal)) => Err(Error::new_spanned(literal, why)),
        Some(handle) => Ok(handle),
        None => Err(Error::new(proc_macro2::Span::call_site(), why)),
    }
}
