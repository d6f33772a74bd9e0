"""`outcrop knowledge`: documents of this machine or of a bucket, made into a knowledge base that can be asked."""

from typing import Annotated

from cyclopts import App, Parameter

from outcrop.cli.export import client, clients
from outcrop.cli.knowledge_adding import Added, AddOptions, add_sources
from outcrop.cli.knowledge_bases import find_knowledge_base, list_rows
from outcrop.cli.knowledge_status import print_status
from outcrop.cli.options import AsJson, Home, Region, running
from outcrop.cli.tables import print_rows
from outcrop.settings import DEFAULT_REGION

app = App(name="knowledge", help="Make documents into knowledge bases, and see what is in them.")
_COLUMNS = ["knowledge base", "id", "status", "data sources", "found by", "updated (UTC)", "region"]


@app.command
def add(
    name: Annotated[str, Parameter(help="Of the knowledge base; one that is there gets more, or what has changed.")],
    *sources: Annotated[str, Parameter(help="Folders, files, or s3://bucket/prefix/.")],
    encoder: Annotated[
        str | None, Parameter(help="Embedding model; without it, one of the catalogue that is on this machine.")
    ] = None,
    chunk_tokens: Annotated[
        int | None, Parameter(help="Most tokens of a passage; without it, about 300, whole sentences.")
    ] = None,
    region: Annotated[str, Parameter(help="Where the knowledge base is.")] = DEFAULT_REGION,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Make SOURCES a part of the knowledge base NAME: put into a bucket, read, cut into passages, and indexed.

    Once more with the same sources, only what was changed, added or removed is worked on. The exit code is 1 where a
    document failed.
    """
    settings = running(home)
    options = AddOptions(name=name, encoder=encoder, chunk_tokens=chunk_tokens, region=region)
    added: Added = add_sources(settings, sources, options, quiet=as_json)
    return added.tell(as_json=as_json)


@app.command(name="list")
def list_knowledge_bases(*, region: Region = None, home: Home = None, as_json: AsJson = False) -> int:
    """List the knowledge bases there are."""
    settings = running(home)
    return print_rows(_COLUMNS, list_rows(settings, clients(settings, "bedrock-agent", region)), as_json=as_json)


@app.command
def status(
    knowledge_base: Annotated[str, Parameter(help="By name or id.")],
    *,
    region: Region = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Show how many documents KNOWLEDGE_BASE has, its last ingestions, and which documents failed, and why.

    The exit code is 1 where a document, or the last ingestion of a data source, failed.
    """
    settings = running(home)
    found = find_knowledge_base(clients(settings, "bedrock-agent", region), knowledge_base)
    return print_status(settings, client(settings, "bedrock-agent", found.region), found, as_json=as_json)
