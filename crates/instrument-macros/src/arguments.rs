//! What stands between the parentheses of an attribute: a first value, then names that are flags, have values, or lists.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Result, Token};

/// The arguments of one attribute.
pub(crate) struct Arguments {
    /// What comes first without a name: the handle, or the name of an operation.
    pub(crate) first: Option<Expr>,
    named: Vec<(Ident, Value)>,
}

enum Value {
    Flag,
    Is(Expr),
    /// A path that may be a keyword's: `crate`.
    At(Path),
    List(TokenStream),
}

impl Arguments {
    /// Reads arguments of which `known` are the names.
    pub(crate) fn read(tokens: TokenStream, known: &[&str]) -> Result<Self> {
        let read = |input: ParseStream<'_>| Self::parse(input, known);
        read.parse2(tokens)
    }

    fn parse(input: ParseStream<'_>, known: &[&str]) -> Result<Self> {
        let mut all = Self { first: None, named: Vec::new() };
        while !input.is_empty() {
            if all.first.is_none() && all.named.is_empty() && !starts_name(input, known) {
                all.first = Some(input.parse()?);
            } else {
                let (name, value) = named(input, known)?;
                if all.named.iter().any(|(other, _)| *other == name) {
                    return Err(Error::new(name.span(), format!("`{name}` is given twice")));
                }
                all.named.push((name, value));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(all)
    }

    fn get(&self, wanted: &str) -> Option<&(Ident, Value)> {
        self.named.iter().find(|(name, _)| name == wanted)
    }

    /// Whether a name was given at all.
    pub(crate) fn span_of(&self, name: &str) -> Option<Span> {
        self.get(name).map(|(name, _)| name.span())
    }

    /// A name without a value.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some((_, Value::Flag)) => Ok(true),
            Some((name, _)) => Err(Error::new(name.span(), format!("`{name}` takes no value"))),
        }
    }

    /// The expression of `name = ..`.
    pub(crate) fn value(&self, name: &str) -> Result<Option<&Expr>> {
        match self.get(name) {
            None => Ok(None),
            Some((_, Value::Is(value))) => Ok(Some(value)),
            Some((name, _)) => Err(Error::new(name.span(), format!("write `{name} = ..`"))),
        }
    }

    /// The text of `name = ".."`.
    pub(crate) fn text(&self, name: &str) -> Result<Option<LitStr>> {
        self.value(name)?.map(|value| text(value, name)).transpose()
    }

    /// The duration of `name = "2s"`.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.value(name)?.map(duration).transpose()
    }

    /// The tokens of `name(..)`.
    pub(crate) fn list(&self, name: &str) -> Result<Option<&TokenStream>> {
        match self.get(name) {
            None => Ok(None),
            Some((_, Value::List(list))) => Ok(Some(list)),
            Some((name, _)) => Err(Error::new(name.span(), format!("write `{name}(..)`"))),
        }
    }

    /// Where the library is: `crate = path`, else `::sidelight`.
    pub(crate) fn library(&self) -> TokenStream {
        match self.get("crate") {
            Some((_, Value::At(path))) => quote!(#path),
            _ => quote!(::sidelight),
        }
    }
}

/// `name`, `name = ..` or `name(..)` of a name that is known; anything else is a first value.
fn starts_name(input: ParseStream<'_>, known: &[&str]) -> bool {
    let ahead = input.fork();
    let Ok(name) = Ident::parse_any(&ahead) else { return false };
    let called =
        known.iter().any(|known| name == known) || name == "crate" && ahead.peek(Token![=]);
    called || ahead.peek(Token![=]) && !ahead.peek(Token![==])
}

fn named(input: ParseStream<'_>, known: &[&str]) -> Result<(Ident, Value)> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error(expected(known)));
    }
    let name = Ident::parse_any(input)?;
    if name != "crate" && !known.iter().any(|known| name == known) {
        return Err(Error::new(
            name.span(),
            format!("unknown argument `{name}`: {}", expected(known)),
        ));
    }
    if input.peek(syn::token::Paren) {
        let list;
        syn::parenthesized!(list in input);
        return Ok((name, Value::List(list.parse()?)));
    }
    if !input.peek(Token![=]) {
        return Ok((name, Value::Flag));
    }
    input.parse::<Token![=]>()?;
    let value = if name == "crate" {
        Value::At(Path::parse_mod_style(input)?)
    } else {
        Value::Is(input.parse()?)
    };
    Ok((name, value))
}

fn expected(known: &[&str]) -> String {
    match known {
        [] => "there are none but `crate = path`".to_owned(),
        _ => format!("expected one of {}", known.join(", ")),
    }
}

/// The text of an expression that is one.
pub(crate) fn text(value: &Expr, what: &str) -> Result<LitStr> {
    if let Expr::Lit(literal) = value
        && let Lit::Str(text) = &literal.lit
    {
        return Ok(text.clone());
    }
    Err(Error::new_spanned(value, format!("{what} must be a string literal")))
}

/// A duration as people write it: `200ms`, `2s`, `1m`.
fn duration(value: &Expr) -> Result<Duration> {
    let written = text(value, "").map(|text| text.value()).unwrap_or_default();
    let digits = written.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let nanos_per_unit = match written.get(digits.len()..) {
        Some("us") => 1_000,
        Some("ms") => 1_000_000,
        Some("s") => 1_000_000_000,
        Some("m") => 60_000_000_000,
        _ => 0,
    };
    let nanos = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(nanos_per_unit));
    match nanos {
        Some(nanos) if nanos > 0 => Ok(Duration::from_nanos(nanos)),
        _ => Err(Error::new_spanned(value, "expected a duration like \"200ms\", \"2s\" or \"1m\"")),
    }
}

/// One of `fields(..)`: `order.id = %id`, `tenant`, `?state`.
pub(crate) struct Field {
    pub(crate) name: String,
    /// `%` for Display, `?` for Debug.
    pub(crate) by: Option<char>,
    pub(crate) value: Expr,
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let sigil = |input: ParseStream<'_>| -> Result<Option<char>> {
            if input.peek(Token![%]) {
                input.parse::<Token![%]>()?;
                return Ok(Some('%'));
            }
            if input.peek(Token![?]) {
                input.parse::<Token![?]>()?;
                return Ok(Some('?'));
            }
            Ok(None)
        };
        let mut by = sigil(input)?;
        let first = Ident::parse_any(input)?;
        let mut name = first.to_string();
        while input.peek(Token![.]) {
            input.parse::<Token![.]>()?;
            name = format!("{name}.{}", Ident::parse_any(input)?);
        }
        if !input.peek(Token![=]) {
            let value = syn::parse_str(&name)?;
            return Ok(Self { name, by, value });
        }
        input.parse::<Token![=]>()?;
        by = sigil(input)?.or(by);
        Ok(Self { name, by, value: input.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tokens: TokenStream) -> String {
        Arguments::read(tokens, &["name", "active"]).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_first_value_and_names_are_told_apart() {
        let known = ["name", "active", "fields"];
        let all =
            Arguments::read(quote!("order.place", active, fields(a = 1), crate = a::b), &known)
                .unwrap();
        assert!(all.first.is_some() && all.flag("active").unwrap());
        assert_eq!(all.list("fields").unwrap().unwrap().to_string(), "a = 1");
        assert_eq!(all.library().to_string(), "a :: b");
        let all = Arguments::read(quote!(caches::USERS), &known).unwrap();
        assert!(all.first.is_some() && all.named.is_empty());
        assert_eq!(all.library().to_string(), ":: sidelight");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_right() {
        assert_eq!(
            refused(quote!(nmae = "x")),
            "unknown argument `nmae`: expected one of name, active"
        );
        assert_eq!(refused(quote!(active, active)), "`active` is given twice");
        let all = Arguments::read(quote!(name, active = 1), &["name", "active"]).unwrap();
        assert_eq!(all.text("name").map(|_| ()).unwrap_err().to_string(), "write `name = ..`");
        assert_eq!(all.flag("active").unwrap_err().to_string(), "`active` takes no value");
    }

    #[test]
    fn durations_have_units() {
        let read = |text: &str| duration(&syn::parse_quote!(#text)).ok();
        assert_eq!(read("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(read("2s"), Some(Duration::from_secs(2)));
        assert_eq!(read("1m"), Some(Duration::from_secs(60)));
        for wrong in [
            "",
            "2",
            "s",
            "0s",
            "2 s",
            "-1s",
            "2h",
            "99999999999999999999s",
            "18446744073709551615m",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
