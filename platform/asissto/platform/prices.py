"""What a call costs: by the workspace's own prices, else by the list that comes with us, else nobody knows."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

LIST = Path(__file__).with_name("prices.json")
WORKSPACE = "workspace"
MILLION = 1_000_000

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Price(Struct, frozen=True, kw_only=True):
    """Millionths of `currency` for a million tokens; `source` is `workspace`, or the list and its date."""

    currency: str
    input_micros: int
    cached_micros: int
    output_micros: int
    source: str

    def cost_micros(self, *, prompt: int, cached: int, completion: int) -> int:
        """Millionths of the currency; `cached` is a part of `prompt`."""
        fresh = max(0, prompt - cached)
        total = fresh * self.input_micros + cached * self.cached_micros + completion * self.output_micros
        return round(total / MILLION)


class OwnPrice(Struct, frozen=True):
    """A price of the workspace, from that day on; `provider_id` None is the endpoint of the settings."""

    provider_id: UUID | None
    model: str
    effective_from: date
    price: Price


class PriceBook(Struct, frozen=True):
    """The prices of one workspace."""

    own: Sequence[OwnPrice] = ()

    def own_price(self, provider_id: UUID | None, model: str, day: date) -> Price | None:
        """The newest that holds on that day."""
        fitting = [each for each in self.own if (each.provider_id, each.model) == (provider_id, model)]
        valid = [each for each in fitting if each.effective_from <= day]
        return max(valid, key=lambda each: each.effective_from).price if valid else None


def listed_price(model: str) -> Price | None:
    """By the model's name with or without the date of a snapshot, and behind a gateway's `openai/`."""
    prices = _listed()
    name = model.removeprefix("openai/")
    return prices.get(name) or prices.get(_DATED.sub("", name))


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    input: int
    cached: int
    output: int


class _List(Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    date: date
    currency: str
    models: dict[str, _Line]


@cache
def _listed() -> dict[str, Price]:
    read = msgspec.json.decode(LIST.read_bytes(), type=_List)
    return {
        name: Price(
            currency=read.currency,
            input_micros=line.input,
            cached_micros=line.cached,
            output_micros=line.output,
            source=f"{read.source} {read.date}",
        )
        for name, line in read.models.items()
    }
