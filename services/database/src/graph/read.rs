//! Reading: statements of callers behind all guards, and statements of our own. Either way the transaction has access mode
//! read and is rolled back, whatever happened in it.

use weft_bolt::{Map, Mode, Transaction, Value};
use weft_kit::{Call, ToolError};

use super::{
    Graph,
    guard::{self, May},
    sheet::Sheet,
};

/// Rows of a statement of ours, whatever the server makes of it.
const OWN: usize = 10_000;

impl Graph {
    /// Runs a statement of a caller that may only read: at most `limit` rows.
    pub(crate) async fn query(&self, call: &Call, text: &str, params: &Map, limit: usize) -> Result<Sheet, ToolError> {
        self.must_be_unconfined()?;
        let text = guard::check(text, May::Read, &self.procedures)?;
        let work = async {
            let mut transaction = self.begin(call, Mode::Read).await?;
            self.foresee(&mut transaction, text, params, May::Read).await?;
            let sheet = self.fill(&mut transaction, (text, params), self.sheet(call, limit)).await?;
            self.undo(transaction).await?;
            Ok(sheet)
        };
        self.within(call, work).await
    }

    /// An empty sheet for at most `limit` rows, with room for what is around it in the answer.
    pub(super) fn sheet(&self, call: &Call, limit: usize) -> Sheet {
        let bytes = (call.budget().left() * 9 / 10).min(self.own.max_bytes);
        Sheet::new(limit.clamp(1, self.own.max_rows.max(1)), bytes)
    }

    /// Runs a statement and takes in what there is room for.
    pub(super) async fn fill(
        &self,
        transaction: &mut Transaction,
        (text, params): (&str, &Map),
        mut sheet: Sheet,
    ) -> Result<Sheet, ToolError> {
        let taken = async {
            let mut records = transaction.run(text, params).await?;
            sheet.rows.columns = records.fields().to_vec();
            while let Some(record) = records.next().await? {
                if !sheet.take(&record) {
                    break;
                }
            }
            Ok(sheet)
        };
        taken.await.map_err(|error| self.tell(error))
    }

    /// Runs a statement of our own and gives its rows.
    pub(super) async fn rows(
        &self,
        transaction: &mut Transaction,
        text: &str,
        params: &Map,
    ) -> Result<Vec<Vec<Value>>, ToolError> {
        let taken = async {
            let mut records = transaction.run(text, params).await?;
            let mut rows = Vec::new();
            while let Some(record) = records.next().await?.filter(|_| rows.len() < OWN) {
                rows.push(record);
            }
            Ok(rows)
        };
        taken.await.map_err(|error| self.tell(error))
    }

    pub(super) async fn undo(&self, transaction: Transaction) -> Result<(), ToolError> {
        transaction.rollback().await.map_err(|error| self.tell(error))
    }
}
