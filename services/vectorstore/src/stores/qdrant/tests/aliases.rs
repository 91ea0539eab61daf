//! Aliases of the tests' server: what is set twice stands for the last, and none may be called as a collection is.

use qdrant_client::qdrant as q;
use tonic::Status;

use super::memory::{Done, Memory};

pub(super) fn change_aliases(memory: &mut Memory, change: q::ChangeAliases) -> Done<q::CollectionOperationResponse> {
    use q::alias_operations::Action;
    for action in change.actions.into_iter().filter_map(|operation| operation.action) {
        match action {
            Action::CreateAlias(q::CreateAlias { collection_name, alias_name }) => {
                if !memory.collections.contains_key(&collection_name) {
                    return Err(Status::not_found("Not found: Collection doesn't exist!"));
                }
                if memory.collections.contains_key(&alias_name) {
                    return Err(Status::invalid_argument("Wrong input: Collection already exists!"));
                }
                memory.aliases.insert(alias_name, collection_name);
            }
            Action::DeleteAlias(q::DeleteAlias { alias_name }) => drop(memory.aliases.remove(&alias_name)),
            Action::RenameAlias(_) => return Err(Status::unimplemented("no store of ours calls this")),
        }
    }
    Ok(q::CollectionOperationResponse { result: true, time: 0.0 })
}

#[expect(clippy::unnecessary_wraps, reason = "every act of the server may fail")]
pub(super) fn aliases(memory: &mut Memory, _: q::ListAliasesRequest) -> Done<q::ListAliasesResponse> {
    let one = |(alias, collection): (&String, &String)| q::AliasDescription {
        alias_name: alias.clone(),
        collection_name: collection.clone(),
    };
    Ok(q::ListAliasesResponse { aliases: memory.aliases.iter().map(one).collect(), time: 0.0 })
}
