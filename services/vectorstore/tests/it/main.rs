//! The vector store server over its embedded store: every tool, hostile input, crashes, and what it finds.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers of these tests are small"
)]

mod attacks;
mod bench;
mod carrying;
mod crash;
mod embedding;
mod exploring;
mod fetching;
mod folders;
mod ingesting;
mod killed;
mod naive;
mod papers;
mod points;
mod property;
mod recall;
mod replaced;
mod reranking;
mod searching;
mod served;
