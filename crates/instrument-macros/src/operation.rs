//! `#[op]`: each call is an operation, and a span. The operation is defined by the arguments, or is a static that they name.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Lit, Result, Token};

use crate::arguments::{Arguments, Field, text};
use crate::function::{Function, Parts};

const KNOWN: &[&str] = &[
    "name",
    "threshold",
    "slo",
    "fields",
    "err",
    "active",
    "detailed",
    "span",
    "error_type",
    "ok_if",
    "error_if",
];

#[derive(Clone, Copy, PartialEq)]
enum Span {
    Tracing,
    Direct,
    None,
}

pub(crate) fn expand(arguments: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::read(arguments, KNOWN)?;
    let function: Function = syn::parse2(function)?;
    let library = arguments.library();
    let handle = handle(&arguments)?;
    let name = name(&arguments, &function)?;
    let span = span(&arguments)?;
    let cancelled = (span != Span::None)
        .then(|| quote!(__ends.with(::core::option::Option::Some("cancelled"));));
    let fields = fields(&arguments, span)?;
    let operation = match handle {
        Some(handle) => quote!(let __operation: &'static #library::Operation = &#handle;),
        None => definition(&arguments, &library, &name)?,
    };
    // The name of a span's metadata is a constant, which that of a static is not.
    let renamed = handle.map(|handle| quote!("otel.name" = #library::Operation::name(&#handle),));
    let mut parts = Parts {
        before: quote!(let mut __one = __operation.start();),
        cancelled: quote!(__one.outcome(#library::Outcome::Cancelled); #cancelled),
        after: judged(&arguments, &function, &library, span)?,
        ..Parts::default()
    };
    let begun = match span {
        Span::None => quote!(),
        Span::Tracing => {
            let given = arguments.list("fields")?;
            parts.around = quote!(#library::probe::in_span);
            parts.entered = quote!(let __entered = __span.enter(););
            // Inside, the current span is the parent's where a filter leaves this one out.
            let before = parts.before;
            parts.before = quote!(let mut __ends = #library::probe::Ends::of(__inner); #before);
            quote! {
                let __span = #library::probe::tracing::info_span!(
                    #name,
                    #renamed
                    "otel.status_code" = #library::probe::tracing::field::Empty,
                    "error.type" = #library::probe::tracing::field::Empty,
                    #given
                );
                let __inner = __span.clone();
            }
        }
        Span::Direct => {
            let set = fields.iter().map(set);
            parts.before = {
                let before = parts.before;
                quote!(let mut __ends = #library::probe::Ends::of(__span); #before)
            };
            let name = match handle {
                Some(_) => quote!(__operation.name()),
                None => quote!(#name),
            };
            quote! {
                let mut __span = #library::layer::Span::start(#name);
                #(#set)*
            }
        }
    };
    parts.outside = quote!(#operation #begun);
    Ok(function.wrapped(&library, &parts))
}

/// The static that is named first, if it is no text.
fn handle(arguments: &Arguments) -> Result<Option<&Expr>> {
    let Some(handle @ Expr::Path(_)) = &arguments.first else { return Ok(None) };
    for name in ["name", "threshold", "slo", "active", "detailed"] {
        if let Some(at) = arguments.span_of(name) {
            let why = format!("`{name}` is said where the operation is defined, by its static");
            return Err(Error::new(at, why));
        }
    }
    Ok(Some(handle))
}

fn name(arguments: &Arguments, function: &Function) -> Result<String> {
    let named = arguments.text("name")?;
    let first = arguments.first.as_ref().filter(|first| !matches!(first, Expr::Path(_)));
    let first = first.map(|first| text(first, "the name of an operation")).transpose()?;
    match (first, named) {
        (Some(_), Some(named)) => {
            Err(Error::new_spanned(named, "it has a name already: the first argument"))
        }
        (Some(name), None) | (None, Some(name)) => Ok(name.value()),
        (None, None) => Ok(function.signature.ident.to_string()),
    }
}

fn span(arguments: &Arguments) -> Result<Span> {
    let Some(value) = arguments.value("span")? else { return Ok(Span::Tracing) };
    if let Expr::Lit(literal) = value {
        match &literal.lit {
            Lit::Bool(on) if !on.value => return Ok(Span::None),
            Lit::Str(mode) if mode.value() == "tracing" => return Ok(Span::Tracing),
            Lit::Str(mode) if mode.value() == "direct" => return Ok(Span::Direct),
            _ => {}
        }
    }
    let expected = [
        "expected span = \"tracing\" (the default),",
        "\"direct\" (cheaper, and no parent of what `tracing` makes inside)",
        "or false (metrics only)",
    ];
    Err(Error::new_spanned(value, expected.join(" ")))
}

fn fields(arguments: &Arguments, span: Span) -> Result<Vec<Field>> {
    let Some(list) = arguments.list("fields")? else { return Ok(Vec::new()) };
    if span == Span::None {
        let at = arguments.span_of("fields").unwrap_or_else(proc_macro2::Span::call_site);
        let why = "fields are those of the span, and span = false makes none: a metric has no place for ids";
        return Err(Error::new(at, why));
    }
    let fields = Punctuated::<Field, Token![,]>::parse_terminated.parse2(list.clone())?;
    Ok(fields.into_iter().collect())
}

fn definition(arguments: &Arguments, library: &TokenStream, name: &str) -> Result<TokenStream> {
    let mut built = quote!(#library::Operation::new(#name));
    if let Some(threshold) = arguments.duration("threshold")? {
        let nanos = u64::try_from(threshold.as_nanos()).unwrap_or(u64::MAX);
        built.extend(quote!(.threshold(::core::time::Duration::from_nanos(#nanos))));
    }
    if let Some(slo) = arguments.text("slo")? {
        built.extend(quote!(.slo(#slo)));
    }
    if arguments.flag("active")? {
        built.extend(quote!(.active()));
    }
    if let Some(rate) = arguments.value("detailed")? {
        built.extend(quote!(.detailed(#rate)));
    }
    Ok(quote! {
        static __OPERATION: #library::Operation = #built;
        let __operation = &__OPERATION;
    })
}

/// Tells the guard and the span how it ended.
fn judged(
    arguments: &Arguments,
    function: &Function,
    library: &TokenStream,
    span: Span,
) -> Result<TokenStream> {
    let error_type = arguments.value("error_type")?;
    for name in ["error_type", "err"] {
        if let (Some(at), true) = (arguments.span_of(name), function.returns_nothing()) {
            let why = format!(
                "`{name}` is about errors, and this function returns none: let it return a Result"
            );
            return Err(Error::new(at, why));
        }
    }
    let kind = kind(error_type, library);
    let failed = failed(arguments, library)?;
    let logged = arguments.flag("err")?.then(|| {
        quote!(if let ::core::option::Option::Some(__error) = __failure {
            #library::probe::tracing::error!(error = %__error, "error.type" = __kind, "the operation failed");
        })
    });
    let tell = |kind| (span != Span::None).then(|| quote!(__ends.with(#kind);));
    let told = tell(quote!(::core::option::Option::Some(__kind)));
    let well = tell(quote!(::core::option::Option::None));
    let failure = failure(library);
    Ok(quote! {
        let __failure = #failure;
        if #failed {
            let __kind: &'static str = match __failure {
                ::core::option::Option::Some(__error) => #kind,
                ::core::option::Option::None => #library::probe::OTHER,
            };
            #told
            #logged
            __one.fail(__kind);
        } else {
            #well
            __one.outcome(#library::Outcome::Ok);
        }
    })
}

/// Whether it failed: it returned an error, unless `ok_if` or `error_if` say otherwise of the result.
fn failed(arguments: &Arguments, library: &TokenStream) -> Result<TokenStream> {
    match (arguments.value("ok_if")?, arguments.value("error_if")?) {
        (None, None) => Ok(quote!(__failure.is_some())),
        (Some(is), None) => Ok(quote!(!#library::probe::holds(&__result, #is))),
        (None, Some(is)) => Ok(quote!(#library::probe::holds(&__result, #is))),
        (Some(_), Some(is)) => {
            Err(Error::new_spanned(is, "one of `ok_if` and `error_if` says what the other would"))
        }
    }
}

/// The error of `__result`, if it is a `Result` and one.
pub(crate) fn failure(library: &TokenStream) -> TokenStream {
    quote!({
        use #library::probe::{CannotFail as _, CanFail as _};
        (&&#library::probe::Probe(&__result)).failure()
    })
}

/// The kind of `__error`.
pub(crate) fn kind(error_type: Option<&Expr>, library: &TokenStream) -> TokenStream {
    match error_type {
        Some(path) => quote!((#path)(__error)),
        None => quote!({
            use #library::probe::{Anything as _, Erased as _, Named as _, Told as _};
            (&&&&#library::probe::Probe(__error)).kind()
        }),
    }
}

fn set(field: &Field) -> TokenStream {
    let Field { name, by, value } = field;
    match by {
        Some('%') => quote!(__span.set(#name, ::std::string::ToString::to_string(&#value));),
        Some(_) => quote!(__span.set(#name, ::std::format!("{:?}", &#value));),
        None => quote!(__span.set(#name, #value);),
    }
}
