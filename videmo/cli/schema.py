"""schema: what is in a record, for programs."""

from __future__ import annotations

import click

from videmo.cli.grouped import Command

TABLE_NAMES = ("record", "timeline", "features", "faces", "attributes", "identify")

EXAMPLES = """\b
Examples:
  videmo schema > record.schema.json
  videmo schema attributes | jq .properties
"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.argument(
    "name", type=click.Choice(TABLE_NAMES), default="record", metavar=f"[{'|'.join(TABLE_NAMES)}]"
)
def schema(name: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a record.

    Of classify by default; of one person for attributes and identify, and of one in a span of
    time for timeline; of a row of the Parquet
    files of extract-features: features is a clip, faces is a face. Within a schema_version keys
    may be added, none goes and none changes its meaning.
    """
    import json

    from videmo.write.schema import json_schema

    click.echo(json.dumps(json_schema(name), indent=2))
