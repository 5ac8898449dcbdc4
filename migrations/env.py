"""Runs migrations on the connection that asissto.platform.migrate hands over."""

from alembic import context

from asissto.channels import tables as _channels
from asissto.ingestion import tables as _ingestion
from asissto.platform import model_tables as _models
from asissto.platform import money_tables as _money
from asissto.platform import payment_tables as _payments
from asissto.platform import people_tables as _people
from asissto.platform import referral_tables as _referrals
from asissto.platform.tables import Base
from asissto.retrieval import tables as _retrieval

assert _channels
assert _ingestion
assert _models
assert _people
assert _money
assert _payments
assert _referrals
assert _retrieval

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
