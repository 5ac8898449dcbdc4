"""The description of the API holds: whatever is sent to it, no fault of ours, no answer that it does not describe."""

from asissto.platform.entrypoints.web import build_app
from asissto.platform.services import Services
from contract_room import hold, listening
from contract_world import fitted_out, known_of
from copies import signed_in
from people import People

EXAMPLES = 3
"""Of each operation; with them the run takes less than a minute where nothing else runs."""


async def test_every_operation_keeps_to_its_description(services: Services, people: People) -> None:
    """Called as an owner over a socket, with and without what it asks for; the long run is `benchmarks/contract.py`."""
    async with signed_in(build_app(services), services, people["alice"]) as alice:
        known = await known_of(services, alice)
    async with listening(fitted_out(services)) as address:
        lines = await hold(services, address, people["alice"], known, examples=EXAMPLES)
    assert {line.operation_id: line.findings for line in lines if line.findings} == {}
    assert sorted(line.operation_id for line in lines) == sorted(known)
