//! Schemas in fewer words than can be derived: a list of tools is read by a model each time, and what is in every tool is in it often.

/// Says of a type only what is needed to use it.
macro_rules! terse {
    ($type:ty, $($schema:tt)+) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($($schema)+)
            }
        }
    };
}

pub(crate) use terse;
