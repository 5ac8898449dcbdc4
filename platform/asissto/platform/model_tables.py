"""Tables of the models: providers of a tenant, its own prices, and every call that was made."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from asissto.platform.tables import Base, CreatedAt, Json, TenantRow, within_tenant


class ModelProvider(TenantRow, Base):
    """An OpenAI-compatible endpoint of the tenant's own; key and header values are sealed by the key ring."""

    __tablename__ = "model_providers"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    name: Mapped[str]
    base_url: Mapped[str]
    api_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[Json] = mapped_column(server_default=text("'{}'"), comment="sealed value (base64) by header name")
    first_token_seconds: Mapped[int] = mapped_column(Integer, server_default="15")
    answer_seconds: Mapped[int] = mapped_column(Integer, server_default="45")
    enabled: Mapped[bool] = mapped_column(Boolean, server_default="true")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class ModelPrice(TenantRow, Base):
    """What a model costs the tenant from a day on, in millionths of the currency per million tokens."""

    __tablename__ = "model_prices"
    __table_args__ = (
        within_tenant("provider_id", "model_providers"),
        Index("ix_model_prices_model", "tenant_id", "model"),
    )

    provider_id: Mapped[UUID | None] = mapped_column(comment="empty: the endpoint of the server's settings")
    model: Mapped[str]
    effective_from: Mapped[date]
    currency: Mapped[str]
    input_micros: Mapped[int]
    cached_micros: Mapped[int]
    output_micros: Mapped[int]
    created_at: Mapped[CreatedAt]


class ModelCallRow(TenantRow, Base):
    """One attempt at a model, whether it answered or not; see `model_calls.ModelCall`."""

    __tablename__ = "model_calls"
    __table_args__ = (
        Index("ix_model_calls_created", "tenant_id", "created_at"),
        Index("ix_model_calls_message", "tenant_id", "message_id"),
    )

    # No foreign keys: what was spent stays known when conversation and provider are gone.
    message_id: Mapped[UUID | None]
    provider_id: Mapped[UUID | None]
    purpose: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    prompt_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    reasoning_tokens: Mapped[int]
    estimated: Mapped[bool] = mapped_column(Boolean)
    cost_micros: Mapped[int | None] = mapped_column(comment="millionths of `currency`; empty: the price is not known")
    currency: Mapped[str | None]
    price: Mapped[dict[str, Any] | None]
    price_confidence: Mapped[str] = mapped_column(comment="exact, estimated or unknown")
    latency_ms: Mapped[float] = mapped_column(Float)
    first_token_ms: Mapped[float | None] = mapped_column(Float)
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
