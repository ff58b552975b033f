//! What Go knows of a value and JSON does not: its type. The client's templates see its own structures, in which a list
//! that is not there prints as `[]` and a pointer as `<nil>`, and whose fields have names of their own.
//!
//! Limits: a pointer within a list or a map prints what it leads to, where Go prints an address; durations print in
//! nanoseconds.

/// The type of a value.
#[derive(Debug)]
pub(in crate::docker) enum Shape {
    /// Whatever JSON says: an `interface {}` of Go, or nothing at all.
    Any,
    /// A string.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Bool,
    /// A slice or an array.
    List(&'static Shape),
    /// A map with strings for keys.
    Map(&'static Shape),
    /// A pointer.
    Pointer(&'static Shape),
    /// A structure.
    Struct(&'static Structure),
    /// A row of one of the client's lists: all its fields are text, and `.Label "x"` is one label.
    Row {
        /// The name in error messages.
        name: &'static str,
        /// The fields in the order of their names.
        fields: &'static [&'static str],
    },
}

/// A structure of Go.
#[derive(Debug)]
pub(in crate::docker) struct Structure {
    /// The name in error messages.
    pub(in crate::docker) name: &'static str,
    /// Its fields in their order.
    pub(in crate::docker) fields: &'static [Field],
}

/// A field of a structure.
#[derive(Debug)]
pub(in crate::docker) struct Field {
    /// Its name in Go.
    pub(in crate::docker) name: &'static str,
    /// Its key in JSON.
    pub(in crate::docker) key: &'static str,
    /// Its type.
    pub(in crate::docker) shape: &'static Shape,
}

/// A field with one name in Go and JSON.
pub(in crate::docker) const fn field(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, key: name, shape }
}

/// A field with another key in JSON.
pub(in crate::docker) const fn renamed(
    name: &'static str,
    key: &'static str,
    shape: &'static Shape,
) -> Field {
    Field { name, key, shape }
}

/// The key of a row's labels, which is no field of it.
pub(in crate::docker) const ROW_LABELS: &str = "labels";
