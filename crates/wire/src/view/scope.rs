//! Resource and instrumentation scope.

use super::{Attributes, Message, Text, set};

/// What produced the telemetry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a>(pub(crate) Message<'a>);

impl<'a> Resource<'a> {
    /// The attributes, such as `service.name`.
    #[must_use]
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::new(self.0, 1)
    }

    /// The service's name; `None` if absent or not a string.
    #[must_use]
    pub fn service_name(self) -> Option<Text<'a>> {
        self.attributes().get("service.name")?.text()
    }
}

/// The library or module that made the telemetry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a>(pub(crate) Message<'a>);

impl<'a> Scope<'a> {
    /// The scope's name; empty if absent.
    #[must_use]
    pub fn name(self) -> Text<'a> {
        self.text(1)
    }

    /// The scope's version; empty if absent.
    #[must_use]
    pub fn version(self) -> Text<'a> {
        self.text(2)
    }

    /// The attributes.
    #[must_use]
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::new(self.0, 3)
    }

    fn text(self, number: u32) -> Text<'a> {
        last_text(self.0, number)
    }
}

/// The last occurrence of string field `number`.
pub(crate) fn last_text(message: Message<'_>, number: u32) -> Text<'_> {
    let mut text = Text::default();
    for field in message.fields().filter(|field| field.number == number) {
        set(&mut text, field.value.text());
    }
    text
}

/// Declares the three levels above items, which all signals share: request, resource, scope.
macro_rules! envelope {
    ($request:ident, $resource:ident, $scope:ident, $scopes:ident, $item:ident, $items:ident) => {
        /// A whole request.
        #[derive(Clone, Copy, Debug)]
        pub struct $request<'a>(&'a [u8]);

        impl<'a> $request<'a> {
            /// A view of the bytes of a request.
            #[must_use]
            pub const fn new(bytes: &'a [u8]) -> Self {
                Self(bytes)
            }

            /// The resources with their telemetry.
            #[inline]
            pub fn resources(self) -> impl Iterator<Item = $resource<'a>> + Clone {
                Message::Whole(self.0).elements(1).map($resource)
            }
        }

        /// One resource with its telemetry.
        #[derive(Clone, Copy, Debug)]
        pub struct $resource<'a>(&'a [u8]);

        impl<'a> $resource<'a> {
            /// The resource, wherever it is written.
            #[must_use]
            pub fn resource(self) -> Resource<'a> {
                Resource(Message::Whole(self.0).child(1).unwrap_or_default())
            }

            /// The scopes with their telemetry.
            #[inline]
            pub fn $scopes(self) -> impl Iterator<Item = $scope<'a>> + Clone {
                Message::Whole(self.0).elements(2).map($scope)
            }

            /// The schema URL of the resource; empty if absent.
            #[must_use]
            pub fn schema_url(self) -> Text<'a> {
                last_text(Message::Whole(self.0), 3)
            }
        }

        /// One scope with its telemetry.
        #[derive(Clone, Copy, Debug)]
        pub struct $scope<'a>(&'a [u8]);

        impl<'a> $scope<'a> {
            /// The scope, wherever it is written: passes over all items by their lengths.
            #[must_use]
            pub fn scope(self) -> Scope<'a> {
                Scope(Message::Whole(self.0).child(1).unwrap_or_default())
            }

            #[doc = concat!("The ", stringify!($items), " in order.")]
            #[inline]
            pub fn $items(self) -> impl Iterator<Item = $item<'a>> + Clone {
                Message::Whole(self.0).elements(2).map($item::new)
            }

            /// The schema URL of the scope; empty if absent. Passes over all items by their lengths.
            #[must_use]
            pub fn schema_url(self) -> Text<'a> {
                last_text(Message::Whole(self.0), 3)
            }
        }
    };
}
pub(crate) use envelope;
