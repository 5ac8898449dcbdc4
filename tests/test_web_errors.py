"""What comes back when a request cannot be served: one shape, a stable code, a sentence in the caller's language."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import ServerSentEvent
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from asissto.ingestion.tables import Collection
from asissto.platform.authentication import Principal
from asissto.platform.database import Addresses, Database
from asissto.platform.entrypoints.web import build_app
from asissto.platform.permissions import need, open_to_all
from asissto.platform.problems import preferred_language
from asissto.platform.services import Services
from asissto.platform.texts import Language
from asissto.platform.web import compile_app, open_app
from people import PASSWORD, Person, bearer, make_client

DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}


class Part(msgspec.Struct, forbid_unknown_fields=True):
    size: int


class Order(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[Part]


@get("/broken", guards=[open_to_all])
async def broken() -> None:
    """An error that nobody foresaw, with a secret in it."""
    message = "the secret of the house"
    raise LookupError(message)


@post("/orders", guards=[open_to_all])
async def order(data: JSONBody[Order]) -> int:
    return len(data.parts)


@post("/collections/twice", guards=[need("documents.write")])
async def add_twice(session: NamedDependency[AsyncSession], principal: NamedDependency[Principal]) -> None:
    """The second clashes with the first, which is noticed when the transaction ends."""
    session.add_all(Collection(tenant_id=principal.tenant_id, name="Twin") for _ in range(2))


def told(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and field of a problem."""
    problem = response.json()
    return response.status_code, problem["code"], problem.get("field")


@pytest.fixture
async def small(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """An application that has nothing but the handlers above."""
    async with make_client(open_app(compile_app([broken, order, add_twice]), services)) as client:
        yield client


async def test_a_problem_says_what_to_do(client: httpx.AsyncClient) -> None:
    """In the shape of RFC 9457, with the id that the log has too."""
    response = await client.get("/api/v1/users", headers={"x-request-id": "request-0001"})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "code": "not_signed_in",
        "detail": "Sign in first.",
        "request_id": "request-0001",
    }


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-GB,ru;q=0.9", "en"),
        ("de,ru;q=0.5,en;q=0.4", "ru"),
        ("de", "en"),
        ("ru;q=0", "en"),
        ("ru;q=much", "en"),
        ("*", "en"),
    ],
)
def test_the_header_chooses_the_language(accept: str | None, language: Language) -> None:
    """Russian for those who prefer it to English."""
    assert preferred_language(accept) == language


async def test_problems_speak_russian(client: httpx.AsyncClient) -> None:
    """With the words for what is wrong inside the sentence."""
    headers = {"accept-language": "ru"}
    long = await client.post("/api/v1/auth/register", json=DORA | {"name": "Д" * 201}, headers=headers)
    missing = await client.get("/api/v1/nowhere", headers=headers)
    assert [answer.json()["detail"] for answer in (long, missing)] == [
        "Значение поля «name» не подходит: оно длиннее 200. Исправьте его и отправьте запрос снова.",
        "Не найдено: адрес.",
    ]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", "malformed_json", None),
        (b"\xff\xfe", "malformed_json", None),
        (b'"\\ud800"', "malformed_json", None),
        (b"[" * 100_000, "malformed_json", None),
        (b"", "invalid_input", "body"),
        (b"[]", "invalid_input", "body"),
        (b"{}", "invalid_input", "parts"),
        (b'{"parts": 1}', "invalid_input", "parts"),
        (b'{"parts": [{"size": 1}, {"size": "big"}]}', "invalid_input", "parts[1].size"),
        (b'{"parts": [{}]}', "invalid_input", "parts[0].size"),
        (b'{"parts": [], "colour": 1}', "invalid_input", "colour"),
    ],
)
async def test_a_bad_body_is_told_with_its_field(
    small: httpx.AsyncClient, body: bytes, code: str, field: str | None
) -> None:
    """By the path to what is wrong."""
    assert told(await small.post("/orders", content=body)) == (400, code, field)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"name": ""}, "it is shorter than 1"),
        ({"name": 5}, "it is of another type than expected"),
        ({"email": "x"}, "it is not an e-mail address"),
        ({"language": "fr"}, "it is none of the allowed values"),
        ({"nickname": "D"}, "there is no such field"),
        ({"name": None}, "it is missing"),
    ],
)
async def test_a_bad_value_is_told_with_its_reason(
    client: httpx.AsyncClient, change: dict[str, object], detail: str
) -> None:
    """In words of ours and not of a library."""
    response = await client.post("/api/v1/auth/register", json=DORA | change)
    sentence = f"The value of “{next(iter(change))}” cannot be used: {detail}. Correct it and send the request again."
    assert (response.status_code, response.json()["detail"]) == (400, sentence)


@pytest.mark.parametrize(
    ("query", "field"), [("limit=0", "limit"), ("limit=201", "limit"), ("limit=ten", "limit"), ("after=me", "after")]
)
async def test_a_bad_page_is_refused(alice: Person, query: str, field: str) -> None:
    """Between 1 and 200 items, behind a cursor that we have given out."""
    assert told(await alice.client.get(f"/api/v1/users?{query}")) == (400, "invalid_input", field)


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/nowhere", "/api/v1/users/not-an-id", "/page/../web.py"])
async def test_unknown_addresses_are_not_found(alice: Person, path: str) -> None:
    """Whatever the reason that nothing answers there."""
    assert told(await alice.client.get(path)) == (404, "not_found", None)


async def test_a_wrong_method_is_told_with_the_right_ones(client: httpx.AsyncClient) -> None:
    """As HTTP asks for."""
    response = await client.put("/api/v1/auth/sign-in")
    assert told(response) == (405, "method_not_allowed", None)


async def test_a_large_body_is_refused(client: httpx.AsyncClient) -> None:
    """Before it is read to its end."""
    response = await client.post("/api/v1/auth/sign-in", content=b" " * 1_000_001)
    assert (told(response), response.json()["detail"]) == (
        (413, "too_large", None),
        "The request is larger than allowed (1 MB).",
    )


async def test_text_that_cannot_be_stored_is_bad_input(alice: Person) -> None:
    """A zero byte is valid JSON, and Postgres refuses it."""
    assert told(await alice.client.patch("/api/v1/tenant", json={"name": "a\0b"})) == (400, "invalid_input", "body")


async def test_a_number_that_no_column_holds_is_bad_input(alice: Person) -> None:
    """And is not said to be about characters of a body that there is not."""
    assistant = (await alice.client.get("/api/v1/assistants")).json()["items"][0]["id"]
    answer = await alice.client.get(f"/api/v1/assistants/{assistant}/versions/{10**21}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "invalid_input", "request")


async def test_a_clash_at_the_end_of_the_transaction_is_told(
    small: httpx.AsyncClient, services: Services, alice: Person
) -> None:
    """The answer waits for the commit, so that it never says what did not happen."""
    response = await small.post("/collections/twice", headers={"authorization": bearer(services, alice)})
    assert told(response) == (409, "conflict", None)


async def test_an_unexpected_error_is_logged_and_not_shown(small: httpx.AsyncClient) -> None:
    """The caller gets an id to tell support, the log gets the traceback."""
    with capture_logs() as logs:
        response = await small.get("/broken", headers={"x-request-id": "request-0002"})
    assert told(response) == (500, "internal", None)
    assert "secret" not in response.text
    assert [repr(entry["exc_info"]) for entry in logs if entry["event"] == "unexpected"] == [
        "LookupError('the secret of the house')"
    ]


async def test_each_request_is_one_line_in_the_log(client: httpx.AsyncClient, alice: Person) -> None:
    """Method, template, status and time; neither ids in the path nor anything that was sent."""
    with capture_logs() as logs:
        await alice.client.get(f"/api/v1/users/{alice.user_id}?secret=1")
        await client.get("/somewhere/secret")
    assert [entry.pop("ms") >= 0 for entry in logs] == [True, True]
    line = {"event": "request", "log_level": "info", "method": "GET"}
    assert logs == [
        line | {"path": "/api/v1/users/{user_id}", "status": 200},
        line | {"path": "-", "status": 404},
    ]


@pytest.mark.parametrize("sent", ["", "short", "x" * 65, "two words", "<script>alert()</script>"])
async def test_a_strange_request_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    """It goes into the log and into headers, so that not anything may be in it."""
    answers = [await client.get("/health/live", headers={"x-request-id": sent}) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert (len(ids), sent in ids) == (2, False)


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/health/live", "/nowhere", "/api/v1/users"])
async def test_every_answer_carries_the_headers_of_safety(client: httpx.AsyncClient, path: str) -> None:
    """Pages, files, answers and errors alike."""
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"].split("; ")
    assert policy == [
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


async def test_answers_of_the_api_are_stored_nowhere(alice: Person) -> None:
    """They hold what belongs to one person; the page may be kept."""
    assert (await alice.client.get("/api/v1/auth/me")).headers["cache-control"] == "no-store"
    assert "cache-control" not in (await alice.client.get("/health/live")).headers


async def test_the_service_tells_whether_it_is_ready(client: httpx.AsyncClient) -> None:
    """Alive as a process, ready with its database."""
    answers = [(await client.get(f"/health/{name}")).json() for name in ("live", "ready")]
    assert answers == [{"status": "alive"}, {"status": "ready"}]


async def test_without_a_database_it_is_alive_and_not_ready(services: Services, tmp_path: Path, alice: Person) -> None:
    """Every request is told so, instead of an error of ours."""
    nowhere = URL.create("postgresql+asyncpg", username="nobody", database="none", query={"host": str(tmp_path)})
    database = Database(Addresses(nowhere, nowhere, nowhere))
    app = build_app(msgspec.structs.replace(services, database=database))
    async with make_client(app, authorization=bearer(services, alice)) as client:
        assert (await client.get("/health/live")).status_code == 200
        for path in ("/health/ready", "/api/v1/users"):
            assert told(await client.get(path)) == (503, "database_down", None)


async def test_two_applications_of_one_process_keep_apart(services: Services, tmp_path: Path, app: Litestar) -> None:
    """They are compiled once; a request meets the services of the application that it was sent to."""
    nowhere = URL.create("postgresql+asyncpg", username="nobody", database="none", query={"host": str(tmp_path)})
    other = build_app(msgspec.structs.replace(services, database=Database(Addresses(nowhere, nowhere, nowhere))))
    assert app.state.hub is not other.state.hub
    async with make_client(app) as client, make_client(other) as elsewhere:
        asked = [await one.get("/health/ready") for one in (client, elsewhere, client)]
    assert [answer.status_code for answer in asked] == [200, 503, 200]


async def test_an_outdated_schema_is_not_ready(client: httpx.AsyncClient, superuser: Any) -> None:
    """As while another process migrates."""
    await superuser.execute("UPDATE alembic_version SET version_num = '0001'")
    assert told(await client.get("/health/ready")) == (503, "not_ready", None)


async def test_a_stream_is_not_held_back(services: Services) -> None:
    """Though it is compressed, the first piece of an answer is out before the second is there."""
    first_is_out, all_is_out, unzip = asyncio.Event(), asyncio.Event(), zlib.decompressobj(wbits=31)

    async def pieces() -> AsyncIterator[str]:
        yield "first"
        await first_is_out.wait()
        yield "second"

    @get("/stream", guards=[open_to_all])
    async def stream() -> ServerSentEvent:
        return ServerSentEvent(pieces())

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            if b"first" in unzip.decompress(message["body"]):
                first_is_out.set()
            if not message.get("more_body"):
                all_is_out.set()

    async def receive() -> Any:
        await all_is_out.wait()
        return {"type": "http.disconnect"}

    app: Any = open_app(compile_app([stream]), services)
    await asyncio.wait_for(app(scope_of("/stream"), receive, send), timeout=10)
    assert all_is_out.is_set()


async def test_the_description_names_every_error(client: httpx.AsyncClient) -> None:
    """OpenAPI 3.1, with the problem as the body of what goes wrong and the guard of each operation."""
    description = (await client.get("/api/v1/openapi.json")).json()
    operation = description["paths"]["/api/v1/users/{user_id}"]["patch"]
    bodies = {status: next(iter(answer["content"])) for status, answer in operation["responses"].items()}
    problem = "application/problem+json"
    assert description["openapi"].startswith("3.1")
    assert (operation["operationId"], operation["x-permission"]) == ("users.update", "me.write")
    assert bodies == {"200": "application/json"} | dict.fromkeys(("400", "401", "403", "404", "default"), problem)
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "UserOutPage" in description["components"]["schemas"]


@pytest.mark.parametrize("path", ["/api/v1/openapi.json/", "/api/v1/openapi.json/openapi.json", "/schema", "/docs"])
async def test_the_description_has_one_address(client: httpx.AsyncClient, path: str) -> None:
    """No page that loads its scripts from somewhere else."""
    response = await client.get(path)
    assert response.status_code == 404 or response.headers["content-type"].startswith(
        "application/vnd.oai.openapi+json"
    )


async def test_the_page_comes_with_its_own_files(client: httpx.AsyncClient) -> None:
    """Nothing of it is loaded from another site, nor stands inline."""
    for path in ("/", "/setup", "/reset", "/confirm", "/invitation"):
        page = await client.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "http" not in page.text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
        assert "<style" not in page.text
        assert page.text.count("<script") == page.text.count('<script src="/page/')
    kinds = [(await client.get(f"/page/{name}")).headers["content-type"] for name in ("app.js", "app.css")]
    assert [kind.split(";")[0] for kind in kinds] == ["text/javascript", "text/css"]


def scope_of(path: str) -> dict[str, Any]:
    headers = [(b"host", b"test"), (b"accept-encoding", b"gzip")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
