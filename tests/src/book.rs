//! The book's examples in Rust, compiled and run as documentation is: `cargo test --doc -p capauth-tests`.
//!
//! Chapters, and everything in them that is no Rust, are held by the suite `book`.

/// The chapters with Rust in them.
macro_rules! chapters {
    ($($name:ident $file:literal)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../docs/", $file))]
            mod $name {}
        )*
        /// Files of `docs/` whose examples in Rust are compiled.
        pub const COMPILED: &[&str] = &[$($file),*];
    };
}

chapters! {
    quick_start "quick-start.md"
    frameworks "frameworks.md"
    axum "axum.md"
    actix "actix.md"
    rocket "rocket.md"
    tower "tower.md"
    limits "limits.md"
}
