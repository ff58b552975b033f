//! A project of yours: what matters here is `tests/`.
