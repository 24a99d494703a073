"""What a passage carries beside its text, as one dictionary."""

from likewise.search.index import Hit, IndexRow, Value, metadata_name


def metadata_of(found: Hit | IndexRow) -> dict[str, Value]:
    """The metadata of a passage, and its place if it is from a file.

    One without a line is no part of a file: it has the metadata that it was given, by their own names.
    """
    if found.line is None:
        return {metadata_name(column): value for column, value in found.metadata.items()}
    place: dict[str, Value | None] = {
        "source": found.source,
        "line": found.line,
        "page": found.page,
        "heading": found.heading,
    }
    return {name: value for name, value in place.items() if value is not None and value != ""} | dict(found.metadata)
