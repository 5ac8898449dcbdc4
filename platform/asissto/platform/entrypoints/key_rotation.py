"""`asissto keys rotate`: the sealed columns of every component, with the newest key from now on."""

import click
import msgspec

from asissto.channels.accounts import SEALED as CHANNELS
from asissto.platform.entrypoints.screen import print_json
from asissto.platform.rotation import PLACES, Resealed, rotate
from asissto.platform.services import Services

SEALED = (*PLACES, *CHANNELS)


class Rotated(msgspec.Struct, frozen=True):
    """`done` when nothing is sealed with an older key any more that could be opened."""

    newest: str
    older: list[str]
    places: list[Resealed]
    done: bool


async def rotate_here(services: Services, *, as_json: bool) -> bool:
    """Says of each column how many secrets were sealed anew; True when no secret is left that could not be opened."""
    places = [place async for place in rotate(services.database, services.keys, SEALED)]
    newest, *older = (name for name, _ in services.keys.keys)
    told = Rotated(newest, older, places, done=not any(place.unreadable for place in places))
    if as_json:
        print_json(told)
        return told.done
    for place in places:
        click.echo(f"{place.place}: {place.sealed_anew} sealed anew, {place.unreadable} that no key opens")
    if told.done and older:
        click.echo(f"Every secret is sealed with {newest}. No longer needed for them: {', '.join(older)}.")
    return told.done
