//! What a part of an expression gives at every step.

use super::column::Column;

/// The value of a node.
#[derive(Debug)]
pub(crate) enum Output {
    /// A number for each step.
    Scalar(Vec<f64>),
    /// A text.
    Text(String),
    /// A column for each label set.
    Columns(Vec<Column>),
}

impl Output {
    /// How many samples' memory it takes.
    pub(crate) fn samples(&self) -> usize {
        match self {
            Self::Scalar(values) => values.len(),
            Self::Text(_) => 0,
            Self::Columns(columns) => columns.iter().map(Column::samples).sum(),
        }
    }

    /// How many values there are at each step.
    pub(crate) const fn width(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::Text(_) => 0,
            Self::Columns(columns) => columns.len(),
        }
    }

    /// Of one step at `len` steps.
    pub(crate) fn repeat(self, len: usize) -> Self {
        match self {
            Self::Scalar(values) => {
                let value = values.first().copied().unwrap_or(f64::NAN);
                Self::Scalar(vec![value; len])
            }
            Self::Text(text) => Self::Text(text),
            Self::Columns(columns) => {
                Self::Columns(columns.into_iter().map(|column| column.repeat(len)).collect())
            }
        }
    }

    /// The columns; none if it is of another type, which the parser does not let through.
    pub(crate) fn into_columns(self) -> Vec<Column> {
        match self {
            Self::Columns(columns) => columns,
            Self::Scalar(_) | Self::Text(_) => Vec::new(),
        }
    }

    /// The numbers; none if it is of another type, which the parser does not let through.
    pub(crate) fn into_scalar(self) -> Vec<f64> {
        match self {
            Self::Scalar(values) => values,
            Self::Text(_) | Self::Columns(_) => Vec::new(),
        }
    }
}
