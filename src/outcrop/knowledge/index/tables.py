"""The tables of a passage index, in whichever database holds them.

Every change of passages counts the generation up by one, in its own transaction, and leaves it with what it has
changed: a process that has read the generations before reads only what is newer.
"""

import sqlalchemy as sql

schema = sql.MetaData()

generation = sql.Table(
    "knowledge_generation",
    schema,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("number", sql.BigInteger, nullable=False),
    sql.Column("dimensions", sql.Integer),
)
_key = sql.BigInteger().with_variant(sql.Integer, "sqlite")
documents = sql.Table(
    "knowledge_documents",
    schema,
    sql.Column("id", _key, primary_key=True),
    sql.Column("data_source_id", sql.String, nullable=False),
    sql.Column("identifier", sql.String, nullable=False),
    sql.Column("state", sql.String, nullable=False),
    sql.Column("reason", sql.String),
    sql.Column("content_digest", sql.String, nullable=False),
    sql.Column("metadata_digest", sql.String, nullable=False),
    sql.Column("metadata", sql.JSON, nullable=False),
    sql.Column("updated", sql.Double, nullable=False),
    sql.Column("changed_in", sql.BigInteger, nullable=False, index=True),
    sql.Column("passages_changed_in", sql.BigInteger, nullable=False),
    sql.UniqueConstraint("data_source_id", "identifier"),
    sqlite_autoincrement=True,  # a number is never given to a second document: others still know the first by it
)
removed = sql.Table(
    "knowledge_removed",
    schema,
    sql.Column("document", _key, primary_key=True, autoincrement=False),
    sql.Column("changed_in", sql.BigInteger, nullable=False, index=True),
)
parents = sql.Table(
    "knowledge_parents",
    schema,
    sql.Column("document", _key, sql.ForeignKey(documents.c.id, ondelete="CASCADE"), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("text", sql.Text, nullable=False),
)
passages = sql.Table(
    "knowledge_passages",
    schema,
    sql.Column("id", _key, primary_key=True),
    sql.Column("document", _key, sql.ForeignKey(documents.c.id, ondelete="CASCADE"), nullable=False, index=True),
    sql.Column("chunk_id", sql.String, nullable=False),
    sql.Column("text", sql.Text, nullable=False),
    sql.Column("headings", sql.JSON, nullable=False),
    sql.Column("rule_number", sql.String),
    sql.Column("page", sql.Integer),
    sql.Column("start", sql.BigInteger, nullable=False),
    sql.Column("end", sql.BigInteger, nullable=False),
    sql.Column("parent", sql.Integer),
    sqlite_autoincrement=True,
)
snapshots = sql.Table(
    "knowledge_snapshots",
    schema,
    sql.Column("id", _key, primary_key=True),
    sql.Column("token", sql.String, nullable=False),
    sqlite_autoincrement=True,
)
# Apart from the texts: all of them are read at a process's first search, and the texts only of what is found.
searched = sql.Table(
    "knowledge_searched",
    schema,
    sql.Column("passage", _key, sql.ForeignKey(passages.c.id, ondelete="CASCADE"), primary_key=True),
    sql.Column("document", _key, nullable=False, index=True),
    sql.Column("chunk_id", sql.String, nullable=False),
    sql.Column("page", sql.Integer),
    sql.Column("parent", sql.Integer),
    sql.Column("terms", sql.LargeBinary, nullable=False),
    sql.Column("vector", sql.LargeBinary),
)
