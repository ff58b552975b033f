//! Layer 2, pure.
