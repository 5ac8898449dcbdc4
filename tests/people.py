"""The people of the tests: alice owns a workspace, bob edits in it, charlie owns another and must see nothing of it."""

from dataclasses import dataclass
from uuid import UUID

import httpx
from litestar import Litestar

from asissto.platform.authentication import Principal
from asissto.platform.credentials import Claims, sign_access_token
from asissto.platform.permissions import Role
from asissto.platform.services import Services

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Member:
    """Somebody with a session in a tenant."""

    name: str
    user_id: UUID
    tenant_id: UUID
    session_id: UUID
    role: Role
    refresh_token: str

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    @property
    def principal(self) -> Principal:
        return Principal(tenant_id=self.tenant_id, user_id=self.user_id, role=self.role, session_id=self.session_id)


@dataclass(frozen=True)
class Person(Member):
    """A member with a client that sends their access token."""

    client: httpx.AsyncClient


People = dict[str, Member]


def make_client(app: Litestar, **headers: str) -> httpx.AsyncClient:
    """In the loop of the test, so that both use the same connections to the database."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


def bearer(services: Services, member: Member) -> str:
    claims = Claims(sub=member.user_id, tid=member.tenant_id, role=member.role, sid=member.session_id)
    return f"Bearer {sign_access_token(services.keys, claims)}"
