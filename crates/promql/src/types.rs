//! The types of the language: what an expression may give and a function may take.

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number at each time.
    Scalar,
    /// A text.
    String,
    /// At most one sample per series at each time.
    Vector,
    /// Many samples per series.
    Matrix,
}

impl Type {
    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}
