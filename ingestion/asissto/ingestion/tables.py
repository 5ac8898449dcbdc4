"""Tables of knowledge: collections, documents and their versions, chunks and the two indexes over them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from asissto.ingestion.source_tables import Source
from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class EmbeddingSpace(Base):
    """A model whose vectors may be compared with each other; shared by all tenants."""

    __tablename__ = "embedding_spaces"

    id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    model: Mapped[str]
    dimensions: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        UniqueConstraint("model", "dimensions"),
        CheckConstraint("dimensions BETWEEN 1 AND 4000", name="dimensions"),  # longer ones get no index
    )


class KnowledgeBase(Base):
    """What is published in a tenant, in figures; whoever publishes or deletes holds this row's lock."""

    __tablename__ = "knowledge_bases"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(server_default="0", comment="grows with each change of what search can find")
    chunks: Mapped[int] = mapped_column(server_default="0")
    lexemes: Mapped[int] = mapped_column(server_default="0", comment="sum of the chunks' lengths in lexemes")
    space_id: Mapped[int | None] = mapped_column(
        SmallInteger, ForeignKey("embedding_spaces.id"), comment="where search compares vectors; NULL before the first"
    )
    chosen_space_id: Mapped[int | None] = mapped_column(
        SmallInteger, ForeignKey("embedding_spaces.id"), comment="the tenant's own choice; NULL: that of the settings"
    )


class SpaceSwitch(TenantRow, Base):
    """A change of a tenant's embedding model: search stays in the old space until the new one has every vector."""

    __tablename__ = "space_switches"
    __table_args__ = (
        Index("ix_space_switches_building", "tenant_id", unique=True, postgresql_where=text("state = 'building'")),
    )

    from_space_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_spaces.id"))
    to_space_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_spaces.id"))
    state: Mapped[str] = mapped_column(server_default="building", comment="building, active, failed or cancelled")
    done: Mapped[int] = mapped_column(Integer, server_default="0")
    total: Mapped[int] = mapped_column(Integer, server_default="0")
    reason: Mapped[str | None] = mapped_column(comment="code of the error that ended it or that it waits for")
    reason_params: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    retry_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class Collection(TenantRow, Base):
    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[CreatedAt]


class Document(TenantRow, Base):
    """What a business knows under one name; search sees its active version only."""

    __tablename__ = "documents"
    __table_args__ = (
        within_tenant("collection_id", "collections"),
        # Deferred, because document and first version point at each other.
        ForeignKeyConstraint(
            ["tenant_id", "active_version_id"],
            ["document_versions.tenant_id", "document_versions.id"],
            name="fk_documents_active_version",
            ondelete="SET NULL (active_version_id)",
            use_alter=True,
        ),
        within_tenant("source_id", Source.__tablename__, ondelete="SET NULL"),
        UniqueConstraint("tenant_id", "collection_id", "source_key"),
        Index("ix_documents_audience", "tenant_id", postgresql_where=text("audience <> '{}'")),
        Index("ix_documents_source", "tenant_id", "source_id"),
    )

    collection_id: Mapped[UUID]
    title: Mapped[str]
    source_key: Mapped[str] = mapped_column(
        comment="what makes it the same document when it comes again: file name, address"
    )
    kind: Mapped[str] = mapped_column(server_default="file", comment="file or pair")
    source_id: Mapped[UUID | None] = mapped_column(comment="the web source that brought it")
    url: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    audience: Mapped[list[str]] = mapped_column(
        server_default=text("'{}'"), comment="who may be answered from it; empty: everybody"
    )
    metadata_: Mapped[Json] = mapped_column("metadata", server_default=text("'{}'"))
    active_version_id: Mapped[UUID | None]
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]


class DocumentVersion(TenantRow, Base):
    """One upload of a document on its way into the index; `text` is what offsets of chunks and citations count in."""

    __tablename__ = "document_versions"
    __table_args__ = (
        within_tenant("document_id", "documents"),
        Index("ix_document_versions_document", "tenant_id", "document_id", "created_at"),
    )

    document_id: Mapped[UUID]
    file_name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(comment="bytes")
    content_sha: Mapped[bytes]
    pipeline_sha: Mapped[bytes] = mapped_column(comment="what parser and chunker were, so that a change shows")
    storage_key: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    stage: Mapped[str] = mapped_column(server_default="queued", comment="the last step reached, also after a failure")
    done: Mapped[int] = mapped_column(Integer, server_default="0")
    total: Mapped[int] = mapped_column(Integer, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    reason: Mapped[str | None] = mapped_column(comment="code of the error that ended it")
    reason_params: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    text: Mapped[str | None] = mapped_column(deferred=True)
    parsed: Mapped[bytes | None] = mapped_column(
        deferred=True, comment="structure of `text`, from the end of parsing to publication: an attempt goes on from it"
    )
    retry_at: Mapped[datetime | None] = mapped_column(comment="when an attempt follows that waits for a provider")
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Chunk(TenantRow, Base):
    """A published span of a version's text, indexed and cited as one; `header` is searched but never cited.

    One that is switched off is listed and nothing more: it is in no index and no count.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        within_tenant("version_id", "document_versions"),
        Index("ix_chunks_version", "tenant_id", "version_id", "ord", unique=True),
    )

    version_id: Mapped[UUID]
    document_id: Mapped[UUID]
    collection_id: Mapped[UUID]
    ord: Mapped[int] = mapped_column(Integer)
    start_offset: Mapped[int] = mapped_column(Integer)
    end_offset: Mapped[int] = mapped_column(Integer)
    section_start: Mapped[int] = mapped_column(Integer)
    section_end: Mapped[int] = mapped_column(Integer)
    page: Mapped[int | None] = mapped_column(Integer)
    heading_path: Mapped[list[str]]
    kind: Mapped[str]
    language: Mapped[str]
    header: Mapped[str]
    text: Mapped[str]
    tokens: Mapped[int] = mapped_column(Integer)
    enabled: Mapped[bool] = mapped_column(server_default="true")
    source_start: Mapped[int | None] = mapped_column(Integer, comment="where the words stand that an edit replaced")
    source_end: Mapped[int | None] = mapped_column(Integer)
    source_sha: Mapped[bytes] = mapped_column(comment="of the words in the source, by which an edit knows its passage")


class PassageEdit(TenantRow, Base):
    """What people made of a passage; it holds for every passage of the document with the same words in the source."""

    __tablename__ = "passage_edits"
    __table_args__ = (
        within_tenant("document_id", "documents"),
        UniqueConstraint("tenant_id", "document_id", "source_sha"),
    )

    document_id: Mapped[UUID]
    source_sha: Mapped[bytes]
    source_text: Mapped[str]
    text: Mapped[str | None] = mapped_column(comment="empty: the words of the source")
    enabled: Mapped[bool]
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class Pair(TenantRow, Base):
    """A question and its approved answer; the document carries them into the index."""

    __tablename__ = "pairs"
    __table_args__ = (
        within_tenant("collection_id", "collections"),
        within_tenant("document_id", "documents"),
        within_tenant("source_document_id", "documents"),
        UniqueConstraint("tenant_id", "document_id"),
        Index("ix_pairs_source", "tenant_id", "source_document_id"),
    )

    collection_id: Mapped[UUID]
    document_id: Mapped[UUID] = mapped_column(comment="carries the pair into the index")
    source_document_id: Mapped[UUID | None] = mapped_column(comment="what the pair was made from, if anything")
    question: Mapped[str]
    variants: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    answer: Mapped[str]
    created_by: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class PairKey(Base):
    """One phrasing of a pair's question, by which it is found; a collection has each phrasing once."""

    __tablename__ = "pair_keys"
    __table_args__ = (within_tenant("pair_id", "pairs"), Index("ix_pair_keys_pair", "tenant_id", "pair_id"))

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of a phrasing, folded")
    collection_id: Mapped[UUID] = mapped_column(primary_key=True)
    pair_id: Mapped[UUID]


class ChunkLexemes(Base):
    """The lexical index: lexemes carry their tenant's number, so that a posting list belongs to one tenant."""

    __tablename__ = "chunk_lexemes"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "chunk_id"], ["chunks.tenant_id", "chunks.id"], ondelete="CASCADE"),
        Index("ix_chunk_lexemes_lexemes", "lexemes", postgresql_using="gin"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    chunk_id: Mapped[UUID] = mapped_column(primary_key=True)
    collection_id: Mapped[UUID]
    document_id: Mapped[UUID]
    length: Mapped[int] = mapped_column(Integer)
    lexemes: Mapped[Any] = mapped_column(TSVECTOR)


class ChunkEmbedding(Base):
    """The dense index: one vector a chunk and space; equal `input_sha` in a space means equal vectors."""

    __tablename__ = "chunk_embeddings"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "chunk_id"], ["chunks.tenant_id", "chunks.id"], ondelete="CASCADE"),
        # The hash leads, so that nobody reads a tenant's vectors in the order of hashes.
        Index("ix_chunk_embeddings_input", "input_sha", "tenant_id", "space_id"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    space_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_spaces.id"), primary_key=True)
    chunk_id: Mapped[UUID] = mapped_column(primary_key=True)
    collection_id: Mapped[UUID]
    document_id: Mapped[UUID]
    input_sha: Mapped[bytes] = mapped_column(comment="of header and text, which is what was embedded")
    embedding: Mapped[Any] = mapped_column(HALFVEC)


class EmbeddingCache(Base):
    """Vectors of a version that is on its way, so that a later attempt does not make them again."""

    __tablename__ = "embedding_cache"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "version_id"], ["document_versions.tenant_id", "document_versions.id"], ondelete="CASCADE"
        ),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version_id: Mapped[UUID] = mapped_column(primary_key=True)
    space_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("embedding_spaces.id"), primary_key=True)
    input_sha: Mapped[bytes] = mapped_column(primary_key=True)
    embedding: Mapped[Any] = mapped_column(HALFVEC)


class LexemeCount(Base):
    """In how many published chunks of the tenant a lexeme stands: the document frequency behind its IDF."""

    __tablename__ = "lexeme_counts"
    __table_args__ = (Index("ix_lexeme_counts_ending", "tenant_id", text("reverse(lexeme)")),)  # in the order of "C"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    lexeme: Mapped[str] = mapped_column(primary_key=True)
    chunks: Mapped[int] = mapped_column(Integer)


class Finding(TenantRow, Base):
    """Something in the knowledge that a person should look at: a repeat, a contradiction, what is over.

    `first` and `second` are quotes of the versions, `second` is empty where one passage is enough.
    """

    __tablename__ = "findings"
    __table_args__ = (
        within_tenant("first_document_id", "documents"),
        within_tenant("first_version_id", "document_versions"),
        within_tenant("second_document_id", "documents"),
        within_tenant("second_version_id", "document_versions"),
        Index("ix_findings_fingerprint", "tenant_id", "fingerprint", unique=True),
        Index("ix_findings_first", "tenant_id", "first_document_id"),
        Index("ix_findings_second", "tenant_id", "second_document_id"),
    )

    kind: Mapped[str] = mapped_column(comment="duplicate, near_duplicate, contradiction or expired")
    state: Mapped[str] = mapped_column(server_default="open", comment="open, dismissed or resolved")
    fingerprint: Mapped[bytes] = mapped_column(comment="the same as long as both texts are")
    first_document_id: Mapped[UUID]
    first_version_id: Mapped[UUID]
    first: Mapped[Json]
    second_document_id: Mapped[UUID | None]
    second_version_id: Mapped[UUID | None]
    second: Mapped[Json | None]
    value_kind: Mapped[str] = mapped_column(comment="money, date and the like; what is at odds")
    score: Mapped[float] = mapped_column(Double)
    passages: Mapped[int] = mapped_column(Integer, comment="how many passages of the two documents are alike")
    found_at: Mapped[CreatedAt]
    seen_at: Mapped[CreatedAt]
    decided_by: Mapped[UUID | None]
