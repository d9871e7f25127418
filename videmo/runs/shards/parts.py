"""Which class reads what one shard wrote, by the format of its file."""

from __future__ import annotations

from videmo.runs.shards.feature_part import FeaturePart
from videmo.runs.shards.part import OpenFiles, Part
from videmo.runs.shards.record_parts import Csv, Json, Ndjson, RecordPart, TablePart, Tsv

PARTS: dict[str, type[RecordPart]] = {"ndjson": Ndjson, "json": Json, "csv": Csv, "tsv": Tsv}


def read_part(name: str, kind: str, files: OpenFiles) -> Part:
    """Return the part in a file of that kind; raises InputError for what videmo has not made."""
    if kind == "parquet":
        from videmo.write.parquet_reader import RecordTable

        return FeaturePart(name) if RecordTable(name).features else TablePart(name)
    return FeaturePart(name) if kind == "npz" else PARTS[kind](name, files)
