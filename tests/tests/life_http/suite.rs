//! The tests of a suite: each case in each framework, by the macro `suite!`. `Framework` stands in scope where it is used.

/// Makes a test of each case in each framework.
macro_rules! suite {
    ($($module:ident: $($case:ident),+;)+) => {
        suite!(@in in_axum, Axum, $($module: $($case),+;)+);
        suite!(@in in_actix, Actix, $($module: $($case),+;)+);
        suite!(@in in_rocket, Rocket, $($module: $($case),+;)+);
    };
    (@in $name:ident, $framework:ident, $($module:ident: $($case:ident),+;)+) => {
        mod $name {
            use super::*;

            $(mod $module {
                use super::*;

                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        crate::$module::$case(Framework::$framework).await;
                    }
                )+
            })+
        }
    };
}
