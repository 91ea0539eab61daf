//! What a service says of the things behind it → whether an instance is ready. It stands apart from readiness itself, which the kit
//! decides: an instance that stops is not ready, however fit it is.

/// How a service fares with what it works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// All of it answers.
    Fit,
    /// Some of it does not; the instance still takes calls.
    Degraded,
    /// None of it answers: every call would fail, and others may fare better.
    Unfit,
}

/// Asked at every health check: it must know, not find out.
pub(crate) type Feel = Box<dyn Fn() -> Fitness + Send + Sync>;
