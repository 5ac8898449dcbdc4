"""Tables of knowledge: collections, documents and their versions, chunks and the two indexes over them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
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

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class EmbeddingSpace(Base):
    """A model whose vectors may be compared with each other; shared by all tenants."""

    __tablename__ = "embedding_spaces"

    id: Mapped[int] = mapped_column(SmallInteger, Identity(always=True), primary_key=True)
    model: Mapped[str]
    dimensions: Mapped[int] = mapped_column(Integer)

    __table_args__ = (UniqueConstraint("model", "dimensions"),)


class KnowledgeBase(Base):
    """What is published in a tenant, in figures; whoever publishes or deletes holds this row's lock."""

    __tablename__ = "knowledge_bases"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(server_default="0", comment="grows with each change of what search can find")
    chunks: Mapped[int] = mapped_column(server_default="0")
    lexemes: Mapped[int] = mapped_column(server_default="0", comment="sum of the chunks' lengths in lexemes")


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
        UniqueConstraint("tenant_id", "collection_id", "source_key"),
    )

    collection_id: Mapped[UUID]
    title: Mapped[str]
    source_key: Mapped[str] = mapped_column(
        comment="what makes it the same document when it comes again: file name, address"
    )
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
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
    pipeline_sha: Mapped[bytes] = mapped_column(
        comment="what parser, chunker and embedder were, so that a change shows"
    )
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
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Chunk(TenantRow, Base):
    """A published span of a version's text, indexed and cited as one; `header` is searched but never cited."""

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
    input_sha: Mapped[bytes] = mapped_column(comment="of header and text, which is what was embedded")
    embedding: Mapped[Any] = mapped_column(HALFVEC)


class LexemeCount(Base):
    """In how many published chunks of the tenant a lexeme stands: the document frequency behind its IDF."""

    __tablename__ = "lexeme_counts"

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
