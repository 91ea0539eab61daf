//! A question → its vector, and in which partitions it can be compared; what cannot be is said in a note, or refused where nothing else
//! was asked for.

use weft_kit::{Call, ToolError};

use super::{Mode, Question};
use crate::{meaning::Fit, memory::Memory, space::Space};

/// The vector of a question, and what its caller should know.
#[derive(Debug, Default)]
pub(super) struct Meant {
    vector: Option<Vec<f32>>,
    pub(super) notes: Vec<String>,
}

impl Meant {
    /// The vector, if the question needs one; without the embedder other ways than meaning go on.
    pub(super) async fn of(memory: &Memory, call: &Call, question: &Question) -> Result<Self, ToolError> {
        if question.mode == Mode::Text || question.as_of.is_some() {
            return Ok(Self::default());
        }
        match memory.embed(call, std::slice::from_ref(&question.query)).await {
            Ok(vectors) => Ok(Self { vector: vectors.into_iter().next(), notes: Vec::new() }),
            Err(error) if question.mode == Mode::Hybrid && call.check().is_ok() => {
                Ok(Self { vector: None, notes: vec![format!("searched without meaning: {}", error.message())] })
            }
            Err(error) => Err(error),
        }
    }

    /// The vector, where those of the partition are of the same model.
    pub(super) async fn fitting(
        &mut self,
        memory: &Memory,
        call: &Call,
        question: &Question,
        space: &Space,
    ) -> Result<Option<&[f32]>, ToolError> {
        if self.vector.is_none() {
            return Ok(None);
        }
        let part = space.part();
        let why = match memory.fit(call, &space.key()).await? {
            Fit::Ours => return Ok(self.vector.as_deref()),
            Fit::Pending => format!("the vectors of {part} are being made again"),
            Fit::Other(_) if memory.observe(call, memory.store.count(&space.key())).await? == 0 => return Ok(None),
            Fit::Other(model) => format!("the vectors of {part} are of {model}, not of {}", memory.embedder.model()),
        };
        if question.mode == Mode::Meaning && space.namespace == call.namespace() {
            return Err(ToolError::new("model_mismatch", why).hint("consolidate with what=vectors makes them again"));
        }
        self.notes.push(format!("{why}: searched without meaning; consolidate with what=vectors makes them again"));
        Ok(None)
    }
}
