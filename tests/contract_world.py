"""What the operations work with when they are called by their description: alice's world, a widget, links, a hook.

And an administrator with a workspace to look after, for what is the platform's.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
from msgspec import structs
from sqlalchemy import func, update

from asissto.channels.answer_links import Linked, make_token
from asissto.channels.widget_sessions import Lock, begin_session, sign_session
from asissto.platform.credentials import Claims, read_access_token, sign_access_token
from asissto.platform.links import Purpose, make_link
from asissto.platform.platform_users import grant_role
from asissto.platform.services import Services
from asissto.platform.tables import User
from asissto.retrieval.report_links import Linked as Report
from asissto.retrieval.report_links import make_token as report_token
from contract_room import Known
from people import PASSWORD, Person
from test_isolation import CASES, build_world
from test_widget import SECRET, SHOP, make_widget

FAR_AWAY = 4_000_000_000
"""Seconds since 1970."""

OF_THE_PLATFORM = ("platform.", "impersonations.", "payments.settle", "payments.refund")


def fitted_out(services: Services) -> Services:
    """With plans, a mail server and ways to pay, none of which reaches anybody."""
    settings = structs.replace(
        services.settings,
        billing=True,
        smtp_host="127.0.0.1",
        smtp_port=9,
        smtp_from="asissto@example.com",
        bank_details="Account 1, at the bank",
        yookassa_shop_id="1",
        yookassa_key="guessed",
        yookassa_url="http://127.0.0.1:9",
    )
    return structs.replace(services, settings=settings)


async def known_of(services: Services, alice: Person) -> dict[str, Known]:
    """By operation; alice's client talks to services without a mail server, so that she is told the links."""
    world = {name: str(value) for name, value in asdict(await build_world(services, alice)).items()}
    linked = Linked(alice.tenant_id, UUID(world["message_id"]), FAR_AWAY)
    world["token"] = make_token(services.keys, linked)
    known = {name: Known(world, _request(name, world)) for name in CASES}
    root, ward = [await _register(services, alice.client, name) for name in ("root", "ward")]
    known |= {name: Known(world, request) for name, request in _of_newcomers(alice).items()}
    known |= {name: Known(world, _in_json(token=token)) for name, token in (await _links(services, ward)).items()}
    about = Report(tenant_id=alice.tenant_id, report_id=UUID(world["report_id"]))
    letter = world | {"token": report_token(services.keys, "end", about)}
    known["reports.show_end"] = Known(letter, _request("reports.show_end", letter))
    known |= await _of_the_invited(alice, world, root)
    code_id = await _make_partner(services, alice, ward, root)
    known |= await _of_the_platform(services, alice, world | {"code_id": code_id}, root, ward)
    known |= _of_partners(services, world | {"code_id": code_id}, ward)
    return known | await _of_visitors(services, alice, world)


async def _register(services: Services, client: httpx.AsyncClient, name: str) -> Claims:
    """Somebody with a workspace of their own and a proven address."""
    body = {"name": name.title(), "email": f"{name}@example.com", "password": PASSWORD}
    made = (await client.post("/api/v1/auth/register", json=body)).raise_for_status().json()
    async with services.database.system() as session:
        await session.execute(update(User).values(confirmed_at=func.now()))
    return read_access_token(services.keys, made["access_token"])


def _as(services: Services, who: Claims) -> dict[str, str]:
    return {"authorization": f"Bearer {sign_access_token(services.keys, who, timedelta(days=1))}"}


def _in_json(**body: Any) -> dict[str, Any]:
    return {"body": body, "media_type": "application/json"}


def _of_newcomers(alice: Person) -> dict[str, dict[str, Any]]:
    """What a stranger is refused, and what begins only once."""
    return {
        "auth.register": _in_json(name="Dora", email="dora@example.com", password=PASSWORD),
        "auth.sign_in": _in_json(email=alice.email, password=PASSWORD),
        "auth.refresh": _in_json(refresh_token=alice.refresh_token),
        "auth.password": _in_json(current=PASSWORD, password=PASSWORD),
        "second_factor.enrol": _in_json(password=PASSWORD),
        "assistants.import": _in_json(assistant={"name": "A second butler"}),
        "billing.top_up": _in_json(provider="manual", amount=10_000, key="another payment"),
        "payments.hook": {"body": b"{}", "media_type": "application/octet-stream"},
        "events.stream": {"query": {"topics": "conversations"}},
    }


async def _links(services: Services, ward: Claims) -> dict[str, str]:
    """Tokens by the operations that spend them."""
    spent: dict[str, Purpose] = {"auth.reset": "reset", "auth.confirm": "confirm"}
    async with services.database.system() as session:
        return {
            name: await make_link(session, purpose, user_id=ward.sub, email="ward@example.com")
            for name, purpose in spent.items()
        }


async def _of_the_invited(alice: Person, world: dict[str, str], root: Claims) -> dict[str, Known]:
    async def invite(email: str) -> str:
        made = await alice.client.post("/api/v1/invitations", json={"email": email, "role": "analyst"})
        return str(made.raise_for_status().json()["link"]).rpartition("=")[2]

    new, guest = await invite("emil@example.com"), await invite("ward@example.com")
    return {
        "auth.invitation": Known(world, _in_json(token=new)),
        "auth.invitation_register": Known(world, _in_json(token=new, name="Emil", password=PASSWORD)),
        "auth.invitation_sign_in": Known(world, _in_json(token=guest, password=PASSWORD)),
        "members.add": Known(world, _in_json(email="root@example.com", role="analyst")),
        "members.remove": Known(world | {"user_id": str(root.sub)}),
    }


async def _of_the_platform(
    services: Services, alice: Person, world: dict[str, str], root: Claims, ward: Claims
) -> dict[str, Known]:
    """The administrator looks after the ward's workspace and alice's payment."""
    headers = _as(services, root)
    acting = f"/api/v1/platform/tenants/{ward.tid}/impersonate"
    begun = await alice.client.post(acting, json={"reason": "They asked for help."}, headers=headers)
    ids = {**world, "session_id": begun.raise_for_status().json()["session_id"]}
    ids |= {"tenant_id": str(ward.tid), "user_id": str(ward.sub)}
    names = [name for name in CASES if name.startswith(OF_THE_PLATFORM)]
    known = {name: Known(ids, _request(name, ids), headers) for name in names}
    paid = world | {"tenant_id": str(alice.tenant_id)}
    for name in ("payments.settle", "payments.refund"):
        known[name] = Known(paid, _request(name, paid), headers)
    return known


async def _make_partner(services: Services, alice: Person, ward: Claims, root: Claims) -> str:
    """The ward brings workspaces, by a code that the administrator has given them."""
    async with services.database.system() as session:
        await grant_role(session, "root@example.com", "admin")
        await grant_role(session, "ward@example.com", "referral")
    body = {"user_id": str(ward.sub), "code": "A-FRIEND"}
    made = await alice.client.post("/api/v1/platform/referrals/codes", json=body, headers=_as(services, root))
    return str(made.raise_for_status().json()["id"])


def _of_partners(services: Services, world: dict[str, str], partner: Claims) -> dict[str, Known]:
    names = [name for name in CASES if name.startswith("referrals.")]
    known = {name: Known(world, _request(name, world), _as(services, partner)) for name in names}
    return known | {"referrals.clicks.count": Known(world, _in_json(code="A-FRIEND"))}


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
    known = {name: Known(ids, _request(name, ids), headers) for name in names}
    return known | {"widget.events": Known(ids, {"query": {"token": token}}, headers)}
