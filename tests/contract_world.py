"""What the operations work with when they are called by their description: alice's world, a widget, links, a hook."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

import msgspec

from asissto.channels.answer_links import Linked, make_token
from asissto.channels.widget_sessions import Lock, begin_session, sign_session
from asissto.platform.services import Services
from contract_room import Known
from people import PASSWORD, Person
from test_isolation import CASES, build_world
from test_widget import SECRET, SHOP, make_widget

FAR_AWAY = 4_000_000_000
"""Seconds since 1970."""


async def known_of(services: Services, alice: Person) -> dict[str, Known]:
    """By operation."""
    world = {name: str(value) for name, value in asdict(await build_world(services, alice)).items()}
    linked = Linked(alice.tenant_id, UUID(world["message_id"]), FAR_AWAY)
    world["token"] = make_token(services.keys, linked)
    known = {name: Known(world, _request(name, world)) for name in CASES}
    known |= {name: Known(world, request) for name, request in _of_newcomers(alice).items()}
    return known | await _of_visitors(services, alice, world)


def _of_newcomers(alice: Person) -> dict[str, dict[str, Any]]:
    """What a stranger is refused, and what begins only once."""
    in_json = {"media_type": "application/json"}
    new = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
    return {
        "auth.register": {"body": new, **in_json},
        "auth.sign_in": {"body": {"email": alice.email, "password": PASSWORD}, **in_json},
        "auth.refresh": {"body": {"refresh_token": alice.refresh_token}, **in_json},
        "assistants.import": {"body": {"assistant": {"name": "A second butler"}}, **in_json},
        "events.stream": {"query": {"topics": "conversations"}},
    }


def _request(name: str, world: dict[str, str]) -> dict[str, Any]:
    """As a stranger sends it in the test of isolation: to her it is a request that makes sense."""
    case = CASES[name]
    if case.content is not None:
        return {"query": _filled(case.query, world), "body": case.content, "media_type": "application/octet-stream"}
    request: dict[str, Any] = {"query": _filled(case.query, world)}
    if case.body is not None:
        request |= {"body": _filled(case.body, world), "media_type": "application/json"}
    return request


def _filled(what: Any, world: dict[str, str]) -> Any:
    packed = msgspec.json.encode(what).decode()
    for name, value in world.items():
        packed = packed.replace(f"{{{name}}}", value)
    return msgspec.json.decode(packed)


async def _of_visitors(services: Services, alice: Person, world: dict[str, str]) -> dict[str, Known]:
    channel = await make_widget(alice)
    lock = Lock(services.keys, alice.tenant_id, UUID(channel["id"]), SECRET)
    token = sign_session(lock, begin_session(lock, 24, None, None))
    headers = {"origin": SHOP, "authorization": f"Bearer {token}"}
    ids = {**world, "channel_id": channel["id"], "token": token}
    names = (name for name in CASES if name.startswith("widget."))
    return {name: Known(ids, _request(name, world | {"token": token}), headers) for name in names}
