"""What routes are given by Litestar: who calls, a transaction of their tenant, the services, the reader's language."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.authentication import Principal
from asissto.platform.services import Services
from asissto.platform.texts import Language

Caller = NamedDependency[Principal]
Session = NamedDependency[AsyncSession]
Reader = NamedDependency[Language]
Open = SkipValidation[NamedDependency[Services]]
"""Litestar would otherwise ask msgspec to look into it at each request."""
