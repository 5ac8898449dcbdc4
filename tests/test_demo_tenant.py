"""`asissto demo-tenant`: what is shown was bought, used and booked."""

import shutil
from pathlib import Path

import httpx
import pytest

from asissto.platform.entrypoints import demo_tenant
from asissto.platform.entrypoints.demo_tenant import make_demo, show_demo
from asissto.platform.entrypoints.workspace import guide_folder
from asissto.platform.services import Services


@pytest.fixture
def _three_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "guide" / "en").mkdir(parents=True)
    for name in ("documents", "telegram", "members"):
        shutil.copy(guide_folder() / "en" / f"{name}.md", tmp_path / "guide" / "en")
    monkeypatch.setattr(demo_tenant, "guide_folder", lambda: tmp_path / "guide")


@pytest.mark.usefixtures("_three_pages")
async def test_a_workspace_that_pays_is_shown(
    services: Services, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice, as two people; of three answers the plan includes two."""
    first, demo = await make_demo(services), await make_demo(services)
    assert first.tenant_id != demo.tenant_id
    assert [(entry.kind, entry.amount) for entry in demo.entries] == [
        ("top_up", 3_000),
        ("commission", 600),
        ("plan", 2_900),
        ("hold", 10),
        ("settle", 10),
    ]
    assert (demo.billing.plan.code, demo.billing.usage["answers"], demo.billing.balance) == ("demo-en", 3, 90)
    assert [invoice.number for invoice in first.invoices + demo.invoices] == ["INV-000001", "INV-000002"]
    show_demo(demo, "en")
    shown = capsys.readouterr().out
    assert "INV-000002" in shown
    assert f"{demo.referral_code}, who has earned 6.00 USD" in " ".join(shown.split())
    signed_in = await client.post("/api/v1/auth/sign-in", json={"email": demo.email, "password": demo.password})
    assert signed_in.json()["role"] == "owner"
