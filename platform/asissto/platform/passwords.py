"""Passwords: argon2id in threads of their own, so that guessing keeps neither the loop nor the memory busy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from msgspec import Meta

from asissto.platform.errors import WeakPassword

Password = Annotated[str, Meta(max_length=200)]
SHORTEST = 10
# The OWASP profile: 24 ms and 19 MiB a hash, where the library's default takes 220 ms and 64 MiB.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
NOBODYS = _HASHER.hash("the hash that unknown people are checked against")


def check_strength(password: str) -> None:
    """Raises WeakPassword."""
    if len(password) < SHORTEST:
        raise WeakPassword(field="password", minimum=SHORTEST)


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, password)


async def verify_password(password: str, stored: str | None) -> bool:
    """Takes as long for somebody unknown (None) as for somebody known, so that the time does not tell them apart."""
    matches = await asyncio.get_running_loop().run_in_executor(_THREADS, _matches, password, stored or NOBODYS)
    return matches and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other costs than ours."""
    return _HASHER.check_needs_rehash(stored)


def _matches(password: str, stored: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except VerifyMismatchError:
        return False
