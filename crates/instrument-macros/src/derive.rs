//! `#[derive(ErrorKind)]`: the kind of an error is the name of its variant in small letters, or what
//! `#[error_kind("..")]` says.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Ident, LitStr, Path, Result};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let name = &item.ident;
    let own = Said::read(&item.attrs)?;
    let library = own.library.map_or_else(|| quote!(::sidelight), |path| quote!(#path));
    let body = match &item.data {
        Data::Struct(_) => {
            let kind = own.kind.unwrap_or_else(|| word(name));
            quote!(#kind)
        }
        Data::Enum(of) if of.variants.is_empty() => quote!(match *self {}),
        Data::Enum(of) => {
            let arms = of.variants.iter().map(|variant| {
                let (variant, said) = (&variant.ident, Said::read(&variant.attrs)?);
                let kind = said.kind.unwrap_or_else(|| word(variant));
                Ok(quote!(Self::#variant { .. } => #kind,))
            });
            let arms = arms.collect::<Result<Vec<_>>>()?;
            quote!(match self { #(#arms)* })
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(name, "a union has no kinds: use an enum or a struct"));
        }
    };
    let (generics, of, wheres) = item.generics.split_for_impl();
    Ok(quote! {
        impl #generics #library::ErrorKind for #name #of #wheres {
            fn error_kind(&self) -> &'static str {
                #body
            }
        }
    })
}

/// What `#[error_kind("..")]` or `#[error_kind(crate = path)]` says.
#[derive(Default)]
struct Said {
    kind: Option<String>,
    library: Option<Path>,
}

impl Said {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("error_kind")) {
            if let Ok(kind) = attribute.parse_args::<LitStr>() {
                said.kind = Some(kind.value());
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    said.library = Some(meta.value()?.call(Path::parse_mod_style)?);
                    return Ok(());
                }
                Err(meta.error("expected #[error_kind(\"a_word\")]: the value of `error.type`"))
            })?;
        }
        Ok(said)
    }
}

/// `SoldOut` is `sold_out`, `HttpError` is `http`.
fn word(name: &Ident) -> String {
    let name = name.to_string();
    let name = name.strip_suffix("Error").filter(|rest| !rest.is_empty()).unwrap_or(&name);
    let mut word = String::new();
    let mut before = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && !word.is_empty() && !before.is_uppercase() {
            word.push('_');
        }
        word.extend(letter.to_lowercase());
        before = letter;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_name() {
        let of = |name: &str| word(&Ident::new(name, proc_macro2::Span::call_site()));
        assert_eq!(
            ["SoldOut", "HttpError", "Error", "IO", "Db2Down"].map(of),
            ["sold_out", "http", "error", "io", "db2_down"]
        );
    }
}
