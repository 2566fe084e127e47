//! A function whose body can be put next to a guard.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::visit::Visit;
use syn::{
    Attribute, Block, Error, Expr, ExprAsync, Result, ReturnType, Signature, Stmt, Type, Visibility,
};

/// A function or method with a body.
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    pub(crate) signature: Signature,
    block: Block,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let ahead = input.fork();
        let Ok(signature) = ahead.parse::<Signature>() else {
            return Err(input.error("this attribute belongs on a function or a method"));
        };
        input.parse::<Signature>()?;
        if !input.peek(syn::token::Brace) {
            return Err(input.error(
                "this attribute belongs on a function with a body, not on its declaration",
            ));
        }
        let block: Block = input.parse()?;
        if let Some(constant) = &signature.constness {
            return Err(Error::new_spanned(
                constant,
                "a `const fn` runs when nothing can be recorded",
            ));
        }
        Ok(Self { attributes, visibility, signature, block })
    }
}

/// What of a function is measured.
pub(crate) enum Body<'a> {
    Sync(&'a Block),
    Async(&'a Block),
    /// Statements, then a future that is returned: `Box::pin(async move { .. })`, as `#[async_trait]` writes.
    Future {
        before: &'a [Stmt],
        future: &'a ExprAsync,
        boxed: bool,
    },
}

impl Function {
    pub(crate) fn body(&self) -> Body<'_> {
        if self.signature.asyncness.is_some() {
            return Body::Async(&self.block);
        }
        if let Some((Stmt::Expr(last, None), before)) = self.block.stmts.split_last() {
            match last {
                Expr::Async(future) => return Body::Future { before, future, boxed: false },
                Expr::Call(call) if is_box_pin(&call.func) => {
                    if let Some(Expr::Async(future)) = call.args.first() {
                        return Body::Future { before, future, boxed: true };
                    }
                }
                _ => {}
            }
        }
        Body::Sync(&self.block)
    }

    /// Its return type, where a binding can be annotated with it.
    fn returns(&self) -> Option<TokenStream> {
        match &self.signature.output {
            ReturnType::Default => Some(quote!(())),
            ReturnType::Type(_, of) if is_nameable(of) => Some(of.to_token_stream()),
            ReturnType::Type(..) => None,
        }
    }

    /// What the future that it returns gives: the `T` of `Future<Output = T>`.
    fn output(&self) -> Option<TokenStream> {
        struct Finds<'a>(Option<&'a Type>);
        impl<'a> Visit<'a> for Finds<'a> {
            fn visit_assoc_type(&mut self, of: &'a syn::AssocType) {
                if of.ident == "Output" && self.0.is_none() {
                    self.0 = Some(&of.ty);
                }
            }
        }
        let mut finds = Finds(None);
        finds.visit_return_type(&self.signature.output);
        finds.0.filter(|of| is_nameable(of)).map(ToTokens::to_token_stream)
    }

    /// Whether it cannot return an error: it returns nothing.
    pub(crate) fn returns_nothing(&self) -> bool {
        matches!(self.signature.output, ReturnType::Default)
    }

    /// The function with its body between `before` and `after`, which see the result as `__result`. In asynchronous ones
    /// `around` wraps the future that is all of this; `outside` runs before it is made.
    pub(crate) fn wrapped(&self, library: &TokenStream, parts: &Parts) -> TokenStream {
        let Parts { outside, before, after, around, entered, cancelled } = parts;
        let returns = self.returns();
        let annotation = returns.as_ref().map(|of| quote!(: #of));
        let arrow = returns.as_ref().map(|of| quote!(-> #of));
        let run = |future: TokenStream, annotation: Option<TokenStream>| {
            let all = quote! {
                async move {
                    #before
                    #cancelled
                    let __result #annotation = (#future).await;
                    #after
                    __result
                }
            };
            if around.is_empty() { all } else { quote!(#around(#all, __span)) }
        };
        let block = match self.body() {
            Body::Sync(block) => quote! {
                #outside
                #entered
                #before
                let __result #annotation = #library::probe::once(move || #arrow #block);
                #after
                __result
            },
            Body::Async(block) => {
                let future = run(quote!(async move #block), annotation);
                quote!(#outside #future.await)
            }
            Body::Future { before, future, boxed } => {
                let output = self.output().map(|of| quote!(: #of));
                let future = run(future.to_token_stream(), output);
                let last = if boxed {
                    quote!(::std::boxed::Box::pin(async move { #outside #future.await }))
                } else {
                    quote!(async move { #outside #future.await })
                };
                quote!(#(#before)* #last)
            }
        };
        self.with_block(&block)
    }

    /// The function with another body.
    pub(crate) fn with_block(&self, block: &TokenStream) -> TokenStream {
        let Self { attributes, visibility, signature, .. } = self;
        // An expectation would be unfulfilled in most functions.
        let level = quote!(allow);
        quote! {
            #(#attributes)*
            #[#level(clippy::needless_borrow, clippy::let_and_return, clippy::let_unit_value,
                clippy::async_yields_async, clippy::redundant_closure_call, unused_mut)]
            #visibility #signature {
                #block
            }
        }
    }
}

/// What a macro puts around a body.
#[derive(Default)]
pub(crate) struct Parts {
    /// Before anything, where the arguments of the function still are.
    pub(crate) outside: TokenStream,
    /// Before the body, in the future of an asynchronous one.
    pub(crate) before: TokenStream,
    /// With `__result` there.
    pub(crate) after: TokenStream,
    /// A function of a future and `__span`; empty for none.
    pub(crate) around: TokenStream,
    /// Enters `__span` in a function that is not asynchronous.
    pub(crate) entered: TokenStream,
    /// Says that what is dropped here was cancelled; in asynchronous ones.
    pub(crate) cancelled: TokenStream,
}

fn is_box_pin(function: &Expr) -> bool {
    let Expr::Path(path) = function else { return false };
    let mut last = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
    last.next().as_deref() == Some("pin") && last.next().as_deref() == Some("Box")
}

/// `impl Trait` cannot be written where a variable is declared.
fn is_nameable(of: &Type) -> bool {
    struct Finds(bool);
    impl<'a> Visit<'a> for Finds {
        fn visit_type_impl_trait(&mut self, _: &'a syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut finds = Finds(false);
    finds.visit_type(of);
    !finds.0
}
