"""Calls each operation as its description allows and as it forbids, over a socket, and keeps what contradicts it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from msgspec import structs
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.core.errors import InvalidSchema
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err, Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from asissto.platform.credentials import Claims, Visitor, open_session, sign_access_token
from asissto.platform.entrypoints.serving import make_server
from asissto.platform.services import Services
from npm import free_port
from people import Member


def no_fault_of_ours(_context: CheckContext, response: Response, _case: Any) -> None:
    """502 and 503 tell of a provider or a store that is away, in the words of the description."""
    if response.status_code == 500 or (response.status_code > 500 and b'"code"' not in response.content):
        raise AssertionError(f"Server error {response.status_code}")


CHECKS = [
    no_fault_of_ours,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
ENDLESS = {"events.stream", "widget.events"}
"""Of these only the head of an answer is looked at."""

LAST = (
    "documents.delete",
    "collections.delete",
    "channels.delete",
    "assistants.delete",
    "sessions.end_others",
    "auth.sign_out",
)
"""These take much with them."""
LONGEST_ADDRESS = 8_000
"""Bytes; uvicorn refuses what is far longer before the application hears of it."""

_ORDER = {"get": 0, "put": 1, "patch": 1, "post": 2, "delete": 3}
_SECONDS = 60
Operation = APIOperation[Any, Any, Any, Any]
Call = Case[Operation]


@dataclass(frozen=True)
class Known:
    """What an operation works with: `ids` for parameters and fields of these names, one `request` that it accepts.

    `headers` stand in place of the owner's token.
    """

    ids: Mapping[str, str]
    request: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Line:
    """Of one operation: how often it was called, what it answered, and what the description does not say."""

    operation_id: str
    statuses: Counter[int] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def accepted(self) -> int:
        return sum(count for status, count in self.statuses.items() if status < 300)


@asynccontextmanager
async def listening(services: Services) -> AsyncIterator[str]:
    """The address of the real server in front of these services."""
    port = free_port()
    server = make_server(structs.replace(services, settings=structs.replace(services.settings, port=port)))
    serving = asyncio.create_task(server.serve())
    await server.wait_until_started()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await serving


async def hold(
    services: Services,
    address: str,
    member: Member,
    known: Mapping[str, Known],
    *,
    examples: int,
    first: int = 0,
    only: str = "",
) -> list[Line]:
    """Calls everything, what reads first and what deletes last; `first` is the seed, `only` how the names begin."""
    described = await asyncio.to_thread(requests.get, f"{address}/api/v1/openapi.json", timeout=_SECONDS)
    schema = schemathesis.openapi.from_dict(_without_security(described.json()))
    lines = []
    for operation in sorted((_sound(each) for each in schema.get_all_operations()), key=_place):
        if not _name(operation).startswith(only):
            continue
        headers = {"authorization": f"Bearer {await _new_token(services, member)}"}
        calls = _Calls(address, operation, known[_name(operation)], headers)
        lines.append(await asyncio.to_thread(calls.make, examples, first))
    return lines


def _without_security(description: dict[str, Any]) -> dict[str, Any]:
    """Or every second call would carry a token that was made up."""
    description.pop("security")
    for operations in description["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return description


def _sound(found: Ok[Operation] | Err[InvalidSchema]) -> Operation:
    assert isinstance(found, Ok), found
    return found.ok()


def _place(operation: Operation) -> tuple[int, int, str]:
    name = _name(operation)
    return LAST.index(name) + 1 if name in LAST else 0, _ORDER[operation.method.lower()], name


def _name(operation: Operation) -> str:
    return str(operation.definition.raw["operationId"])


async def _new_token(services: Services, member: Member) -> str:
    """Of a session of its own: the operation before may have closed the other ones."""
    async with services.database.system() as session:
        grant = await open_session(session, member.user_id, member.tenant_id, Visitor(None))
    claims = Claims(sub=member.user_id, tid=member.tenant_id, role=member.role, sid=grant.session_id)
    return sign_access_token(services.keys, claims)


class _Calls:
    def __init__(self, address: str, operation: Operation, known: Known, headers: Mapping[str, str]) -> None:
        self._address, self._operation, self._known = address, operation, known
        self._session = requests.Session()
        self._session.headers.update({**headers, **known.headers})
        self._line = Line(_name(operation))
        in_path = [each.name for each in operation.path_parameters]
        self._ids = {name: known.ids[name] for name in in_path if name in known.ids}

    def make(self, examples: int, first: int) -> Line:
        started = time.perf_counter()
        with self._session:
            if self._line.operation_id not in ENDLESS or examples:
                self._check(self._operation.Case(path_parameters=self._ids, **self._known.request))
            self._try(self._known_cases(GenerationMode.POSITIVE), examples - examples // 3, first)
            self._try(self._operation.as_strategy(GenerationMode.NEGATIVE), examples // 3, first)
        self._line.seconds = time.perf_counter() - started
        return self._line

    def _known_cases(self, mode: GenerationMode) -> st.SearchStrategy[Call]:
        """Mostly with the ids of what is there, or nearly every answer would be that there is no such thing."""
        anything = self._operation.as_strategy(mode)
        if self._ids:
            known = self._operation.as_strategy(mode, path_parameters=self._ids)
            anything = st.one_of(known, known, known, anything)
        return st.tuples(anything, st.integers(0, 3)).map(lambda pair: self._with_ids(*pair))

    def _with_ids(self, case: Call, chance: int) -> Call:
        """Fields of the body and of the query lead to what is there in three of four cases."""
        for place in (case.body, case.query):
            if chance and isinstance(place, dict):
                place |= {name: self._known.ids[name] for name in place if name in self._known.ids}
        return case

    def _try(self, cases: st.SearchStrategy[Call], examples: int, first: int) -> None:
        @seed(first)
        @settings(
            max_examples=max(1, examples),
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def every(case: Call) -> None:
            self._check(case)

        with suppress(Unsatisfiable):  # nothing can be wrong with a request that has no parts
            every()

    def _check(self, case: Call) -> None:
        request = case.as_transport_kwargs(base_url=self._address)
        stream = self._line.operation_id in ENDLESS
        prepared = self._session.prepare_request(requests.Request(**{**request, "cookies": request.get("cookies")}))
        if len(prepared.url or "") > LONGEST_ADDRESS:
            return
        with self._sent(prepared, stream=stream) as response:
            if stream and response.ok:
                response._content = b""
            self._line.statuses[response.status_code] += 1
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:
                for failure in group.exceptions:
                    told = f"{failure.title}: {failure.message}\n{_shown(response)}"
                    self._line.findings.setdefault(failure.title, told)

    @contextmanager
    def _sent(self, prepared: requests.PreparedRequest, *, stream: bool) -> Iterator[requests.Response]:
        """A stream has a connection of its own, which ends with what was read of it."""
        if not stream:
            yield self._session.send(prepared, timeout=_SECONDS, allow_redirects=False)
            return
        with requests.Session() as session:
            response = session.send(prepared, timeout=_SECONDS, stream=True, allow_redirects=False)
            yield response
            response.raw.close()


def _shown(response: requests.Response) -> str:
    sent = response.request
    return f"{sent.method} {sent.url}\n{sent.body!r:.600}\n-> {response.status_code} {response.text[:600]}"
