//! The tools: typed arguments → typed results. Each file is one family.

pub(crate) mod arrange;
pub(crate) mod browse;
pub(crate) mod collections;
pub(crate) mod explore;
pub(crate) mod folder;
pub(crate) mod ingest;
pub(crate) mod metadata;
pub(crate) mod points;
pub(crate) mod search;
pub(crate) mod snapshots;
pub(crate) mod transfer;

use std::time::Duration;

use weft_kit::{Annotations, Builder, Tool};

use crate::{desk::Desk, settings::Settings};

/// Replaces what was there by what the world has.
const FETCH: Annotations = Annotations { open_world: true, ..Annotations::OVERWRITE };
/// For what carries whole collections.
const LONG: Duration = Duration::from_secs(3_600);

/// Adds all tools.
pub(crate) fn add(service: Builder<Desk>, settings: &Settings) -> Builder<Desk> {
    let service = service
        .tool(Tool::new("list_collections", Annotations::READ, "Lists the collections of a store, and the stores that there are."), collections::list)
        .tool(Tool::new("describe_collection", Annotations::READ, "Tells dimensions, metric, embedding model, indexed fields, number of points and state of the index of a collection."), collections::describe)
        .tool(Tool::new("create_collection", Annotations::ENSURE, "Makes a collection. Without model and dimensions it embeds texts by the default model; with dimensions alone it takes vectors only. Fields that filters use often should be indexed."), collections::create)
        .tool(Tool::new("alter_collection", Annotations::OVERWRITE, "Changes the description of a collection or how widely its index is searched, and indexes more fields."), arrange::alter)
        .tool(Tool::new("set_alias", Annotations::OVERWRITE, "Lets another name stand for a collection, or with no collection removes that name; exchanging it takes effect at once."), arrange::set_alias)
        .planned(Tool::new("delete_collection", Annotations::DELETE, "Deletes a collection with all its points."), collections::plan_delete, collections::delete);
    let service = service
        .tool(Tool::new("upsert", Annotations::OVERWRITE, "Writes up to 256 points, all or none: each a text (embedded by the collection's model) or a vector, with metadata. Without an id a text gets one made from its content, so that repeating is harmless. For long texts use ingest_text."), points::upsert)
        .tool(Tool::new("get", Annotations::READ, "Reads up to 200 points by id."), points::get)
        .planned(Tool::new("update_metadata", Annotations::OVERWRITE, "Sets and removes fields of metadata; texts and vectors stay."), metadata::plan_update, metadata::update)
        .planned(Tool::new("delete_points", Annotations::DELETE, "Deletes points by ids (up to 1000) or by a filter."), points::plan_delete, points::delete);
    let service = service
        .tool(Tool::new("search", Annotations::READ, "Finds points by meaning and words together (text), by vector, or like a point. Filters are objects: {\"field\":\"year\",\"gte\":2020}, {\"field\":\"lang\",\"in\":[\"de\",\"en\"]}, {\"all\":[..]}, {\"any\":[..]}, {\"not\":{..}}, {\"ids\":[..]}; on a field: eq, ne, in, gt, gte, lt, lte (numbers or RFC 3339), words, is_null. For examples use recommend."), search::search)
        .tool(Tool::new("recommend", Annotations::READ, "Finds points like the positive examples and unlike the negative ones."), explore::recommend)
        .tool(Tool::new("discover", Annotations::READ, "Finds points near a target that agree with pairs of a positive and a negative example."), explore::discover);
    let service = ingesting(service, settings);
    let service = service
        .tool(Tool::new("snapshot_collection", Annotations::OVERWRITE, "Writes all points of a collection into a snapshot on the server, with a checksum. Points that change meanwhile are in it as they were or as they are.").deadline(LONG), snapshots::snapshot)
        .tool(Tool::new("list_snapshots", Annotations::READ, "Lists snapshots."), snapshots::snapshots)
        .planned(Tool::new("restore_collection", Annotations::DELETE, "Makes a collection from a snapshot whose checksum is right; one of that name stays until all of it is there.").deadline(LONG), snapshots::plan_restore, snapshots::restore)
        .planned(Tool::new("delete_snapshot", Annotations::DELETE, "Deletes a snapshot."), snapshots::plan_forget, snapshots::forget)
        .tool(Tool::new("copy_collection", Annotations::OVERWRITE, "Copies a collection to another name or store, then reads both and compares every point.").deadline(LONG), transfer::copy);
    service
        .tool(
            Tool::new(
                "scroll",
                Annotations::READ,
                "Reads all points, or those of a filter, page by page in the order of their ids.",
            ),
            browse::scroll,
        )
        .tool(Tool::new("count", Annotations::READ, "Counts points, all or those of a filter."), browse::count)
        .tool(
            Tool::new("facet", Annotations::READ, "Counts the most frequent values of a field of the metadata."),
            browse::facet,
        )
}

/// Adds the tools that take texts in; those that would be refused in any case are left out.
fn ingesting(service: Builder<Desk>, settings: &Settings) -> Builder<Desk> {
    let mut service = service
        .tool(Tool::new("ingest_text", Annotations::OVERWRITE, "Cuts a long text into chunks, embeds and writes them with source, chunk number and place; the same source again replaces the text once all of the new one is there, and an unchanged text is left alone.").deadline(LONG), ingest::text)
        .tool(Tool::new("ingest_resource", Annotations::OVERWRITE, "Ingests the text or bytes of a resource that you have read, under its address (text, Markdown, HTML, PDF); again, only if it changed.").deadline(LONG), ingest::resource)
        .tool(Tool::new("chunk_text", Annotations::READ, "Shows how a text would be cut, without writing anything."), ingest::chunk);
    if !settings.folders().is_empty() {
        service = service
            .tool(Tool::new("ingest_document", Annotations::OVERWRITE, "Ingests a file (text, Markdown, HTML, PDF) below a folder that the operator allows; again, only if it changed.").deadline(LONG), ingest::document)
            .tool(Tool::new("ingest_folder", Annotations::OVERWRITE, "Ingests all files below a folder that the operator allows; again, only what changed is read, and what is gone removed.").deadline(LONG), folder::folder)
            .tool(Tool::new("list_documents", Annotations::READ, "Lists the files that ingest_document can take."), folder::documents);
    }
    if !settings.fetch.hosts.is_empty() {
        service = service.tool(Tool::new("ingest_url", FETCH, "Reads a page (HTML, Markdown, text, PDF) from a host that the operator allows and ingests it under its address; again, only if it changed.").deadline(LONG), ingest::url);
    }
    service
}
