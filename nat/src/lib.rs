//! Layers 3 and 4 on byte slices, pure.
