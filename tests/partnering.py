"""What the tests of the referral programme share: partners, an administrator, customers by a code, payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from litestar import Litestar

from asissto.platform.payment_contract import SeenPayment, SeenReversal
from asissto.platform.payment_events import apply_seen
from asissto.platform.payment_tables import Payment
from asissto.platform.services import Services
from asissto.platform.tables import new_id
from people import PASSWORD, make_client

TERMS: dict[str, Any] = {"name": "Standard", "hold_days": 0, "rate": {"basis_points": 2_000}}


@dataclass(frozen=True)
class Partner:
    """`client` is signed in."""

    user_id: UUID
    client: httpx.AsyncClient

    async def get(self, path: str, **params: Any) -> Any:
        found = await self.client.get(f"/api/v1/referrals/{path}", params=params)
        return found.raise_for_status().json()

    async def code(self, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = (await self.client.post("/api/v1/referrals/codes", json=body)).raise_for_status().json()
        return made

    async def money(self) -> dict[str, int]:
        """Of the first currency; empty where nothing was earned."""
        owed = (await self.get("overview"))["money"]
        return {name: value for name, value in owed[0].items() if name != "currency"} if owed else {}


@dataclass(frozen=True)
class Programme:
    """`admin` runs the platform, `anybody` is not signed in."""

    services: Services
    app: Litestar
    anybody: httpx.AsyncClient
    admin: httpx.AsyncClient
    database: asyncpg.Connection

    async def register(self, name: str, **more: Any) -> dict[str, Any]:
        body = {"name": name.title(), "email": f"{name}@example.com", "password": PASSWORD, **more}
        made: dict[str, Any] = (await self.anybody.post("/api/v1/auth/register", json=body)).raise_for_status().json()
        return made

    async def partner(self, name: str) -> Partner:
        made = await self.register(name)
        await self.database.execute("UPDATE users SET role = 'referral' WHERE id = $1", UUID(made["user_id"]))
        return Partner(UUID(made["user_id"]), make_client(self.app, authorization=f"Bearer {made['access_token']}"))

    async def customer(self, name: str, code: str | None = None, **more: Any) -> UUID:
        """The tenant of somebody who registers with the code."""
        return UUID((await self.register(name, referral_code=code, **more))["tenant_id"])

    async def terms(self, code: str = "standard", **more: Any) -> httpx.Response:
        body = {"terms": TERMS | more}
        return await self.admin.put(f"/api/v1/platform/referrals/programmes/{code}", json=body)

    async def order(self, tenant_id: UUID, amount: int, currency: str = "USD") -> SeenPayment:
        """A payment that waits, and how its provider will see it once it was paid."""
        payment_id = new_id()
        row = Payment(tenant_id=tenant_id, id=payment_id, provider="yookassa", idempotency_key=str(payment_id))
        row.amount, row.currency, row.email = amount, currency, "books@example.com"
        async with self.services.database.system() as session:
            session.add(row)
        seen = {"charge_id": str(payment_id), "state": "settled", "amount": amount, "currency": currency}
        return SeenPayment(**seen, tenant_id=tenant_id, payment_id=payment_id)  # type: ignore[arg-type]

    async def pay(self, tenant_id: UUID, amount: int, *reversals: SeenReversal) -> SeenPayment:
        """A payment that is made now."""
        seen = await self.order(tenant_id, amount)
        await self.tell(seen, reversals)
        return seen

    async def tell(self, seen: SeenPayment, reversals: Sequence[SeenReversal] = ()) -> None:
        """As the worker does when the provider has told something of a payment."""
        told = SeenPayment(**{name: getattr(seen, name) for name in seen.__struct_fields__} | {"reversals": reversals})
        await apply_seen(self.services, "yookassa", told)

    async def of_tenant(self, tenant_id: UUID, method: str, path: str = "", **body: Any) -> httpx.Response:
        address = f"/api/v1/platform/tenants/{tenant_id}/referral{path}"
        return await self.admin.request(method, address, json=body or None)

    async def payout(self, partner: Partner, currency: str = "USD") -> httpx.Response:
        body = {"user_id": str(partner.user_id), "currency": currency}
        return await self.admin.post("/api/v1/platform/referrals/payouts", json=body)

    async def turn(self, payout: dict[str, Any], state: str, **more: Any) -> httpx.Response:
        body = {"state": state, **more}
        return await self.admin.patch(f"/api/v1/platform/referrals/payouts/{payout['id']}", json=body)

    async def mark_paid(self, payout: dict[str, Any]) -> httpx.Response:
        return await self.turn(payout, "paid", reference="TR-1", paid_on="2026-11-25")

    async def accounts(self, tenant_id: UUID) -> dict[str, int]:
        rows = await self.database.fetch("SELECT name, balance FROM ledger_accounts WHERE tenant_id = $1", tenant_id)
        return {row["name"]: row["balance"] for row in rows}


def refund(amount: int, state: Any = "settled", number: int = 1) -> SeenReversal:
    return SeenReversal(provider_id=f"refund-{number}", amount=amount, state=state)


def dispute(amount: int, state: Any) -> SeenReversal:
    return SeenReversal(provider_id="dispute-1", amount=amount, state=state, kind="dispute")


def days_ago(days: int) -> str:
    now = datetime.now(UTC)
    return datetime.fromtimestamp(now.timestamp() - days * 86_400, UTC).isoformat()
