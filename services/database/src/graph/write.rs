//! Writing, twice: first in a transaction that is rolled back, to see what it would change; then, once that was approved,
//! in one that is committed if it changes the same amount.

use schemars::JsonSchema;
use serde::Serialize;
use weft_bolt::{Counters, Map, Mode};
use weft_kit::{Call, ToolError};

use super::{
    Graph,
    guard::{self, May},
    sheet::Sheet,
};

/// Rows of RETURN that are shown.
const RETURNED: usize = 50;

/// How much is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub(crate) struct Changes {
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) nodes_created: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) nodes_deleted: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) relationships_created: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) relationships_deleted: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) properties_set: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) labels_added: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) labels_removed: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// What was changed, and what RETURN gave.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) changes: Changes,
    pub(crate) sheet: Sheet,
}

impl From<Counters> for Changes {
    fn from(counters: Counters) -> Self {
        Self {
            nodes_created: counters.nodes_created,
            nodes_deleted: counters.nodes_deleted,
            relationships_created: counters.relationships_created,
            relationships_deleted: counters.relationships_deleted,
            properties_set: counters.properties_set,
            labels_added: counters.labels_added,
            labels_removed: counters.labels_removed,
        }
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [
            (self.nodes_created, "nodes created"),
            (self.nodes_deleted, "nodes deleted"),
            (self.relationships_created, "relationships created"),
            (self.relationships_deleted, "relationships deleted"),
            (self.properties_set, "properties set"),
            (self.labels_added, "labels added"),
            (self.labels_removed, "labels removed"),
        ];
        let told: Vec<String> =
            all.iter().filter(|(count, _)| *count != 0).map(|(count, what)| format!("{count} {what}")).collect();
        if told.is_empty() { out.write_str("nothing") } else { out.write_str(&told.join(", ")) }
    }
}

impl Graph {
    /// Runs a statement that may write and undoes it.
    pub(crate) async fn try_out(&self, call: &Call, text: &str, params: &Map) -> Result<Written, ToolError> {
        self.write(call, text, params, None).await
    }

    /// Runs a statement that may write and makes it last, if it changes as much as was approved (in the words of
    /// [`Changes`]).
    pub(crate) async fn execute(
        &self,
        call: &Call,
        text: &str,
        params: &Map,
        approved: &str,
    ) -> Result<Written, ToolError> {
        self.write(call, text, params, Some(approved)).await
    }

    async fn write(&self, call: &Call, text: &str, params: &Map, approved: Option<&str>) -> Result<Written, ToolError> {
        if self.own.read_only {
            return Err(ToolError::refused(format!("the connection {:?} may only be read", self.name)));
        }
        self.must_be_unconfined()?;
        let text = guard::check(text, May::Write, &self.procedures)?;
        self.within(call, self.write_now(call, (text, params), approved)).await
    }

    async fn write_now(
        &self,
        call: &Call,
        (text, params): (&str, &Map),
        approved: Option<&str>,
    ) -> Result<Written, ToolError> {
        let mut transaction = self.begin(call, Mode::Write).await?;
        self.foresee(&mut transaction, text, params, May::Write).await?;
        let mut sheet = self.sheet(call, RETURNED);
        let run = async {
            let mut records = transaction.run(text, params).await?;
            sheet.rows.columns = records.fields().to_vec();
            while let Some(record) = records.next().await? {
                if !sheet.take(&record) {
                    break;
                }
            }
            records.finish().await
        };
        let summary = run.await.map_err(|error| self.tell(error))?;
        let changes = Changes::from(summary.counters);
        match approved {
            None => self.undo(transaction).await?,
            Some(approved) if approved == changes.to_string() => {
                transaction.commit().await.map_err(|error| self.tell(error))?;
            }
            Some(approved) => {
                self.undo(transaction).await?;
                let message =
                    format!("it would now change {changes}, and {approved} was approved: nothing was changed");
                return Err(ToolError::new("stale_plan", message).hint("call again without plan_id to get a new plan"));
            }
        }
        Ok(Written { changes, sheet })
    }
}
