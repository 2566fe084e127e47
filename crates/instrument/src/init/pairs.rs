//! Lists of `key=value` in variables of the environment: what of them can be used, and what cannot.
//!
//! Source: OpenTelemetry specification 1.57, "Specifying resource information via an environment variable" and "OTLP Exporter
//! Configuration": both as W3C Baggage has them, parted by commas, with percent-encoding, without properties.

/// The pairs of a list, each as it should be or as it stands there.
fn each(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|pair| !pair.is_empty())
}

/// The attributes of a list, and what of it is none. What has no key or no value says nothing.
pub(crate) fn attributes(list: &str) -> (Vec<(String, String)>, Vec<&str>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for pair in each(list) {
        let both = pair.split_once('=').and_then(|(key, value)| Some((text(key)?, text(value)?)));
        match both {
            Some(both) => found.push(both),
            None => bad.push(pair),
        }
    }
    (found, bad)
}

fn text(encoded: &str) -> Option<String> {
    decoded(encoded.trim()).filter(|text| !text.is_empty())
}

/// Which headers of a list, counted from 1, exporters leave out. Their texts are secrets.
pub(crate) fn bad_headers(list: &str) -> Vec<usize> {
    let is_header = |pair: &str| {
        let Some((name, value)) = pair.split_once('=') else { return false };
        let (name, value) = (name.trim(), value.trim());
        let value = decoded(value).unwrap_or_else(|| value.to_owned());
        let written = |byte: u8| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic();
        !name.is_empty()
            && name.bytes().all(is_token)
            && !value.is_empty()
            && value.bytes().all(written)
    };
    let numbered = each(list).enumerate().filter(|(_, pair)| !is_header(pair));
    numbered.map(|(before, _)| before + 1).collect()
}

/// Of the names of HTTP's headers.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// None of what is percent-encoded wrongly, or is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            digit(bytes.next()?)? << 4 | digit(bytes.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(plain).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_decoded_and_what_is_none_is_told() {
        let (found, bad) = attributes(
            "team=caf%C3%A9%20north, rule = a=b ,list=1%2C2%3D3,,service.name=,=x,odd,at=100%,no=%ff",
        );
        let found: Vec<_> = found.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        assert_eq!(found, ["team: café north", "rule: a=b", "list: 1,2=3"]);
        assert_eq!(bad, ["service.name=", "=x", "odd", "at=100%", "no=%ff"]);
    }

    #[test]
    fn headers_that_an_exporter_leaves_out_are_numbered() {
        assert_eq!(bad_headers("Authorization=Bearer%20x,x-tenant=a"), [] as [usize; 0]);
        assert_eq!(bad_headers("x-tenant=a,Authorization: Bearer x"), [2]);
        assert_eq!(bad_headers("Authorization: Basic eDp5==,=a,b=,c=%0a"), [1, 2, 3, 4]);
    }
}
