"""The second step of signing in: an authenticator app, and recovery codes for when it is lost."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pyotp
import pytest

from asissto.platform import second_factor
from asissto.platform.attempts import MOST
from asissto.platform.errors import NotFound
from asissto.platform.resetting import print_link
from asissto.platform.second_factor import drop_for
from asissto.platform.services import Services
from people import PASSWORD, Person

ADDRESS = "/api/v1/auth/second-factor"


class Clock:
    """The time of the server, which the app of the person shares."""

    def __init__(self) -> None:
        self.now = float(int(time.time()) // 30 * 30)

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(second_factor, "time", clock)
    return clock


@pytest.fixture
async def app_of_alice(alice: Person, clock: Clock) -> pyotp.TOTP:
    """An authenticator app that alice has switched on."""
    return (await switch_on(alice, clock))[0]


async def switch_on(person: Person, clock: Clock) -> tuple[pyotp.TOTP, list[str]]:
    made = (await person.client.post(ADDRESS, json={"password": PASSWORD})).raise_for_status().json()
    app = pyotp.TOTP(made["secret"])
    confirmed = await person.client.post(f"{ADDRESS}/confirm", json={"code": app.at(int(clock.now))})
    codes: list[str] = confirmed.raise_for_status().json()["recovery_codes"]
    clock.now += 30
    return app, codes


async def sign_in(client: httpx.AsyncClient, person: Person, code: str | None = None, **body: str) -> str:
    """The code of the problem, or `in`."""
    credentials = {"email": person.email, "password": PASSWORD} | ({} if code is None else {"code": code}) | body
    response = await client.post("/api/v1/auth/sign-in", json=credentials)
    return "in" if response.status_code == 200 else str(response.json()["code"])


async def state(person: Person) -> tuple[bool, int]:
    found = (await person.client.get(ADDRESS)).json()
    return found["enabled"], found["recovery_codes_left"]


async def test_an_app_is_enrolled_and_then_asked_for(
    client: httpx.AsyncClient, alice: Person, clock: Clock, superuser: asyncpg.Connection
) -> None:
    """It counts once its first code was entered; the secret is sealed, and the trail has a row for each step."""
    await superuser.execute("TRUNCATE audit_log")
    made = (await alice.client.post(ADDRESS, json={"password": PASSWORD})).raise_for_status().json()
    link = urlsplit(made["uri"])
    assert (link.scheme, link.netloc, link.path) == ("otpauth", "totp", "/Asissto:alice%40example.com")
    assert parse_qs(link.query) == {"secret": [made["secret"]], "issuer": ["Asissto"]}
    assert (await state(alice), await sign_in(client, alice)) == ((False, 0), "in")
    wrong = await alice.client.post(f"{ADDRESS}/confirm", json={"code": "12345"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "code")
    app = pyotp.TOTP(made["secret"])
    confirmed = await alice.client.post(f"{ADDRESS}/confirm", json={"code": app.at(int(clock.now))})
    codes = confirmed.json()["recovery_codes"]
    assert (len(set(codes)), {len(code) for code in codes}, await state(alice)) == (10, {19}, (True, 10))
    clock.now += 30
    assert await sign_in(client, alice) == "second_factor_required"
    assert await sign_in(client, alice, app.at(int(clock.now))) == "in"
    kept = str(await superuser.fetch("SELECT f::text FROM second_factors f")) + str(
        await superuser.fetch("SELECT c::text FROM recovery_codes c")
    )
    assert [secret for secret in (made["secret"], *codes) if secret in kept or secret.encode().hex() in kept] == []
    rows = [tuple(row) for row in await superuser.fetch("SELECT action, changes::text FROM audit_log ORDER BY id")]
    assert rows == [
        ("second_factor.enrol", "{}"),
        ("auth.sign_in", "{}"),
        ("second_factor.confirm", "{}"),
        ("auth.sign_in", '{"second_factor": "app"}'),
    ]


async def test_the_password_alone_is_checked_first(
    client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP
) -> None:
    """Nobody learns who has a second factor before the first one is right."""
    assert await sign_in(client, alice, password="not her password") == "sign_in_failed"
    assert await sign_in(client, alice, "000000", password="not her password") == "sign_in_failed"


async def test_a_code_is_taken_once(
    client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP, clock: Clock
) -> None:
    """Also where two come at the same moment, and also the one by which the app was confirmed."""
    code = app_of_alice.at(int(clock.now))
    assert await sign_in(client, alice, app_of_alice.at(int(clock.now) - 30)) == "second_factor_wrong"
    answers = await asyncio.gather(*(sign_in(client, alice, code) for _ in range(4)))
    assert sorted(answers) == ["in", *["second_factor_wrong"] * 3]
    assert await sign_in(client, alice, code) == "second_factor_wrong"


@pytest.mark.parametrize(
    ("drift", "answer"), [(-60, "second_factor_wrong"), (-30, "in"), (30, "in"), (60, "second_factor_wrong")]
)
async def test_clocks_may_differ_a_little(
    client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP, clock: Clock, drift: int, answer: str
) -> None:
    """By one step of thirty seconds; however the code is typed."""
    clock.now += 300
    code = app_of_alice.at(int(clock.now) + drift)
    assert await sign_in(client, alice, f" {code[:3]} {code[3:]} ") == answer


async def test_after_a_later_code_an_earlier_one_is_worth_nothing(
    client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP, clock: Clock
) -> None:
    """Somebody may have looked over the shoulder."""
    clock.now += 300
    earlier, later = (app_of_alice.at(int(clock.now) + off) for off in (0, 30))
    assert [await sign_in(client, alice, code) for code in (later, earlier)] == ["in", "second_factor_wrong"]


async def test_a_recovery_code_takes_the_place_of_the_app_once(
    client: httpx.AsyncClient, alice: Person, clock: Clock, superuser: asyncpg.Connection
) -> None:
    """In whatever way it is typed; the trail tells that it was one."""
    _, codes = await switch_on(alice, clock)
    typed = codes[3].upper().replace("-", " ")
    assert [await sign_in(client, alice, code) for code in (typed, codes[3])] == ["in", "second_factor_wrong"]
    assert await state(alice) == (True, 9)
    told = await superuser.fetchval(
        "SELECT changes::text FROM audit_log WHERE action = 'auth.sign_in' ORDER BY id DESC"
    )
    assert told == '{"second_factor": "recovery code"}'


async def test_codes_cannot_be_guessed(client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP) -> None:
    """Failures count as those of the password do, which was right each time."""
    answers = [await sign_in(client, alice, "123") for _ in range(MOST["login"] + 1)]
    assert answers == ["second_factor_wrong"] * MOST["login"] + ["too_many_requests"]


async def test_new_recovery_codes_end_the_old_ones(client: httpx.AsyncClient, alice: Person, clock: Clock) -> None:
    """For password and code."""
    app, old = await switch_on(alice, clock)
    body = {"password": PASSWORD, "code": app.at(int(clock.now))}
    fresh = (await alice.client.post(f"{ADDRESS}/recovery-codes", json=body)).raise_for_status().json()
    assert set(fresh["recovery_codes"]) & set(old) == set()
    codes = (old[0], fresh["recovery_codes"][0])
    assert [await sign_in(client, alice, code) for code in codes] == ["second_factor_wrong", "in"]


async def test_switching_it_off_takes_password_and_code(
    client: httpx.AsyncClient, alice: Person, app_of_alice: pyotp.TOTP, clock: Clock
) -> None:
    """A page that was left open is not enough."""
    good = {"password": PASSWORD, "code": app_of_alice.at(int(clock.now))}
    for wrong, field in (({"password": "guessed guessed"}, "password"), ({"code": "123456"}, "code")):
        refused = await alice.client.post(f"{ADDRESS}/remove", json=good | wrong)
        assert (refused.status_code, refused.json()["field"]) == (400, field)
    again = await alice.client.post(ADDRESS, json={"password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert (await alice.client.post(f"{ADDRESS}/remove", json=good)).status_code == 204
    assert (await state(alice), await sign_in(client, alice)) == ((False, 0), "in")


async def test_a_link_of_an_invitation_is_no_way_around(
    client: httpx.AsyncClient, alice: Person, charlie: Person, clock: Clock
) -> None:
    """Whoever joins by it with an account signs in with both steps; a refused try leaves the link good."""
    app, _ = await switch_on(charlie, clock)
    made = await alice.client.post("/api/v1/invitations", json={"email": charlie.email, "role": "analyst"})
    body = {"token": made.json()["link"].partition("#token=")[2], "password": PASSWORD}
    answers = [
        (await client.post("/api/v1/auth/invitation/sign-in", json=body | code)).json()
        for code in ({}, {"code": "000000"}, {"code": app.at(int(clock.now))})
    ]
    assert [answer.get("code") for answer in answers] == ["second_factor_required", "second_factor_wrong", None]
    assert answers[2]["tenant_id"] == str(alice.tenant_id)


async def test_a_new_password_leaves_the_second_step(
    client: httpx.AsyncClient, services: Services, alice: Person, clock: Clock
) -> None:
    """Whoever reads somebody's mail has not got their telephone."""
    await switch_on(alice, clock)
    token = (await print_link(services, "reset", alice.email)).partition("#token=")[2]
    body = {"token": token, "password": "quite another password"}
    assert (await client.post("/api/v1/auth/reset/password", json=body)).status_code == 204
    assert await sign_in(client, alice, password="quite another password") == "second_factor_required"


async def test_the_operator_takes_it_off(
    client: httpx.AsyncClient, services: Services, alice: Person, clock: Clock, superuser: asyncpg.Connection
) -> None:
    """For somebody who has lost everything; the trail says that it was done on the command line."""
    await switch_on(alice, clock)
    await drop_for(services, alice.email.upper())
    assert await sign_in(client, alice) == "in"
    told = "SELECT actor_kind FROM audit_log WHERE action = 'second_factor.remove'"
    assert await superuser.fetchval(told) == "command line"
    with pytest.raises(NotFound):
        await drop_for(services, alice.email)


async def test_an_enrolment_that_was_not_confirmed_can_begin_anew(alice: Person, clock: Clock) -> None:
    """The last secret counts; it needs the password each time."""
    refused = await alice.client.post(ADDRESS, json={"password": "guessed guessed"})
    assert (refused.status_code, refused.json()["code"]) == (400, "password_wrong")
    made = [(await alice.client.post(ADDRESS, json={"password": PASSWORD})).json()["secret"] for _ in range(2)]
    codes = [pyotp.TOTP(secret).at(int(clock.now)) for secret in made]
    answers = [(await alice.client.post(f"{ADDRESS}/confirm", json={"code": code})).status_code for code in codes]
    assert answers == [400, 200]
    none_left = await alice.client.post(f"{ADDRESS}/confirm", json={"code": codes[1]})
    assert (none_left.status_code, none_left.json()["code"]) == (404, "not_found")
