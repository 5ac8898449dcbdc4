"""The routes of API keys."""

from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from asissto.platform import api_keys
from asissto.platform.api_keys import KeyIn, KeyMade, KeyOut
from asissto.platform.given import Caller, Session
from asissto.platform.paging import DEFAULT_LIMIT, After, Limit, Page
from asissto.platform.permissions import need


class ApiKeyController(Controller):
    path = "/api/v1/keys"
    tags = ("keys",)

    @get(operation_id="keys.list", guards=[need("keys.read")])
    async def list(
        self,
        principal: Caller,
        session: Session,
        limit: Limit = DEFAULT_LIMIT,
        after: After = None,
    ) -> Page[KeyOut]:
        return await api_keys.list_keys(session, principal.tenant_id, limit, after)

    @post(operation_id="keys.create", guards=[need("keys.write")])
    async def create(self, data: JSONBody[KeyIn], principal: Caller, session: Session) -> KeyMade:
        return await api_keys.create_key(session, principal, data)

    @delete("/{key_id:uuid}", operation_id="keys.revoke", guards=[need("keys.write")])
    async def revoke(self, key_id: FromPath[UUID], principal: Caller, session: Session) -> None:
        await api_keys.revoke_key(session, principal, key_id)


HANDLERS: list[ControllerRouterHandler] = [ApiKeyController]
