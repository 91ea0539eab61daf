//! The server's own opinion of a statement, asked for before it is run: what kind it is, and what it calls. The server
//! resolves names and reads clauses as it will when it runs the statement, so that nothing is hidden from this guard.

use weft_bolt::{Kind, Map, Plan, Summary, Transaction};
use weft_kit::ToolError;

use super::{
    Graph,
    guard::{May, Procedures},
};

/// Operators that change something, by how their names begin. They are looked for whatever kind a server tells: some tell
/// that of `EXPLAIN`, which only reads.
const CHANGING: [&str; 10] = [
    "Create",
    "Merge",
    "Insert",
    "Set",
    "Delete",
    "DetachDelete",
    "Remove",
    "Foreach",
    "SubqueryForeach",
    "Transaction",
];

impl Graph {
    /// Fails unless the server takes the statement for what it may be.
    pub(super) async fn foresee(
        &self,
        transaction: &mut Transaction,
        text: &str,
        parameters: &Map,
        may: May,
    ) -> Result<(), ToolError> {
        let explained = async { transaction.run(&format!("EXPLAIN {text}"), parameters).await?.finish().await };
        let summary = explained.await.map_err(|error| self.tell(error))?;
        judge(&summary, may, &self.procedures)
    }
}

fn judge(summary: &Summary, may: May, procedures: &Procedures) -> Result<(), ToolError> {
    let refused = |what: &str| Err(ToolError::refused(format!("by the server's plan the statement {what}")));
    match (summary.kind, may) {
        (Some(Kind::Schema), _) => return refused("changes the schema"),
        (Some(Kind::Write | Kind::ReadWrite), May::Read) => return refused("writes"),
        _ => {}
    }
    let Some(plan) = &summary.plan else { return Ok(()) };
    for step in plan.walk() {
        let operator = step.operator.split('@').next().unwrap_or_default();
        let lower = operator.to_ascii_lowercase();
        if lower.contains("loadcsv") {
            return refused("reads a file or an address");
        }
        if lower.contains("procedure") && !called(step).is_some_and(|name| procedures.allows_call(name)) {
            return refused("calls a procedure that may not be called here");
        }
        if may == May::Read && CHANGING.iter().any(|beginning| operator.starts_with(beginning)) {
            return refused("writes");
        }
    }
    Ok(())
}

/// The procedure that a step calls: `db.labels() :: (label :: STRING)`.
fn called(step: &Plan) -> Option<&str> {
    let said = ["Details", "Signature", "signature"].iter().find_map(|key| step.arguments.get(*key));
    said?.as_str()?.split('(').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(operator: &str, details: Option<&str>) -> Plan {
        let arguments = details.map(|details| ("Details".to_owned(), details.into())).into_iter().collect();
        Plan { operator: operator.to_owned(), arguments, identifiers: vec![], rows: None, children: vec![] }
    }

    fn judged(kind: Option<Kind>, operator: &str, details: Option<&str>, may: May) -> bool {
        let root = Plan { children: vec![step(operator, details)], ..step("ProduceResults@neo4j", None) };
        let summary = Summary { kind, plan: Some(root), ..Summary::default() };
        judge(&summary, may, &Procedures::default()).is_ok()
    }

    #[test]
    fn what_the_server_takes_for_writing_is_not_read() {
        let read = |kind| judged(kind, "AllNodesScan@neo4j", None, May::Read);
        assert!(read(Some(Kind::Read)) && read(None));
        assert!(!read(Some(Kind::Write)) && !read(Some(Kind::ReadWrite)) && !read(Some(Kind::Schema)));
        assert!(!judged(Some(Kind::Schema), "CreateIndex@neo4j", None, May::Write));
        assert!(judged(Some(Kind::ReadWrite), "Create@neo4j", None, May::Write));
        for kind in [None, Some(Kind::Read)] {
            assert!(!judged(kind, "Create", None, May::Read) && !judged(kind, "SetProperty@neo4j", None, May::Read));
        }
    }

    #[test]
    fn a_procedure_that_passes_for_reading_is_found_in_the_plan() {
        let calls = |details| judged(Some(Kind::Read), "ProcedureCall@neo4j", details, May::Read);
        assert!(calls(Some("db.labels() :: (label :: STRING)")));
        assert!(!calls(Some("apoc.load.json($x) :: (value :: MAP)")));
        assert!(!calls(None), "a call of nobody knows what");
        assert!(!judged(Some(Kind::Read), "LoadCSV@neo4j", None, May::Read));
        assert!(!judged(Some(Kind::Write), "LoadCSV@neo4j", None, May::Write));
    }
}
