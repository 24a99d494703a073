"""The whole of an index embedded again by another model, while the old vectors answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from likewise.search.index.model import EmbeddingModel, dimension_of, embedded, lasting_name, table_name
from likewise.search.index.nearest import approximated
from likewise.search.index.rows import metadata_columns, row_of
from likewise.search.index.store import IndexStore, Unfinished
from likewise.search.index.writing import progress_bar


def embed_again(store: IndexStore, model: EmbeddingModel, at_once: int, shows_progress: bool) -> None:
    """Embed every passage of an index by ``model``, from the text that it holds, into a new table; then let that count.

    An interrupted call goes on with the table that it left, unless the passages have changed since.
    """
    with store.writing() as record, progress_bar(shows_progress, "Embedding again") as bar:
        dimension = dimension_of(model)
        name = table_name(model, dimension)
        if name == record.table:
            return
        old = store.table(record.table)
        store.fit_columns(old, metadata_columns(old.schema))  # nothing that was left behind comes along
        unfinished = Unfinished(name, old.version)
        target = replace(
            record,
            table=name,
            model=lasting_name(model),
            fingerprint=model.fingerprint,
            similarity=str(model.similarity_fn_name),
            dimension=dimension,
            approximation=None,
            unfinished=None,
        )
        if record.unfinished == unfinished:
            table = store.table(name)
        else:
            table = store.create_table(name, _with_dimension(old.schema, dimension))
            record = replace(record, unfinished=unfinished)
            store.write_record(record)
        done = set(table.search(None).select(["passage_id"]).to_arrow()["passage_id"].to_pylist())
        names = [column for column in old.schema.names if column != "vector"]
        bar.reset(total=old.count_rows())
        bar.update(len(done))
        for batch in old.search(None).select(names).to_batches(at_once):
            rows = [row_of(values) for values in batch.to_pylist() if values["passage_id"] not in done]
            if rows:
                store.append(table, rows, embedded(store.path, target, rows, model))
                bar.update(len(rows))
        store.tidy(table)
        store.write_record(replace(target, approximation=approximated(table, target)))  # the one step
        store.drop_other_tables([name])


def _with_dimension(schema: Any, dimension: int) -> Any:
    import pyarrow as pa

    place = schema.get_field_index("vector")
    return schema.set(place, pa.field("vector", pa.list_(pa.float32(), dimension)))
