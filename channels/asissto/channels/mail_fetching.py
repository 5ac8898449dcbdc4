"""Reads a mailbox over IMAP, in a thread: what is new since the last look, and single parts of mails."""

import email
import re
import socket
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from imap_tools import AND
from imap_tools.errors import UnexpectedCommandStatusError
from imap_tools.utils import check_command_status

from asissto.channels.mail_connecting import MailServer
from asissto.channels.mail_imap import sign_in, told
from asissto.channels.send_errors import Permanent

IDLE_SECONDS = 15.0
"""A poll ends within this and the time of one look, about 25 seconds in all."""

_LOOK_SECONDS = 8.0
_MOST_MAILS, _MOST_BYTES = 50, 20_000_000
"""Of one poll: what is left comes with the next one, which follows at once."""

_BEGINNING = 200_000  # bytes of a mail that is too large, in which its words are


class Place(msgspec.Struct, frozen=True):
    """How far a mailbox was read; `at` is the day of the last look, UTC. `mailbox` names server, user and folder."""

    mailbox: str
    uidvalidity: int
    last_uid: int
    at: date


class Fetched(msgspec.Struct, frozen=True):
    """`place` is what `Inbox.part` finds the mail by. `cut_from`: this is the beginning of a mail of so many bytes."""

    place: str
    raw: bytes
    cut_from: int | None


class Inbox:
    """A folder of a mailbox, open for reading: nothing in it is changed, nothing marked as seen."""

    def __init__(self, connection: socket.socket, server: MailServer, password: str, folder: str) -> None:
        """Blocks. Raises ChannelBroken where the password or the folder is wrong, else Retryable."""
        self._name = f"{server.user}@{server.host}/{folder}"
        self._box = sign_in(connection, server, password)
        try:
            with told(is_entering=True):
                self._enter(folder)
        except BaseException:
            self._box.close()
            raise

    def _enter(self, folder: str) -> None:
        status = self._box.folder.status(folder, ["UIDVALIDITY", "UIDNEXT"])
        self._uidvalidity, self._end = status["UIDVALIDITY"], status["UIDNEXT"] - 1
        self._box.folder.set(folder, readonly=True)
        self._can_idle = b"IDLE" in self._box.client.capability()[1][0].upper().split()

    def greet(self) -> None:
        with told():
            self._box.client.noop()

    def look(self, place: Place | None, most_bytes: int) -> tuple[list[Fetched], Place]:
        """What came since, waiting for it a while where there is nothing yet. Blocks.

        A mailbox that is new to us begins at its present end: old mail is not answered.
        """
        with told():
            if place is None or place.mailbox != self._name:
                return [], Place(self._name, self._uidvalidity, self._end, datetime.now(UTC).date())
            place = self._resumed(place)
            found, place = self._new(place, most_bytes)
            if not found:
                self._wait()
                found, place = self._new(place, most_bytes)
            return found, place

    def part(self, place: str, most_bytes: int) -> bytes:
        """`place` is `uidvalidity/uid/section`; without a section the whole mail. Blocks. Raises Permanent."""
        uidvalidity, uid, section = place.split("/")
        if int(uidvalidity) != self._uidvalidity:
            raise Permanent("the mailbox was built anew")
        with told():
            content = self._bytes(int(uid), section, most_bytes + 1)
            head = self._bytes(int(uid), f"{section}.MIME", 100_000) if section else b""
        if content is None or head is None:
            raise Permanent("the mail is not in the folder any more")
        if len(content) > most_bytes:
            raise Permanent("larger than mails of this channel may be")
        return _decoded(head, content) if section else content

    def cut(self) -> None:
        self._box.cut()

    def close(self) -> None:
        self._box.close()

    def _resumed(self, place: Place) -> Place:
        """A mailbox that was built anew is read from the day of the last look; what is known by its key stays known."""
        if place.uidvalidity == self._uidvalidity:
            return place
        since = self._box.uids(AND(date_gte=place.at), charset=None)
        first = min((int(uid) for uid in since), default=self._end + 1)
        return Place(self._name, self._uidvalidity, first - 1, place.at)

    def _new(self, place: Place, most_bytes: int) -> tuple[list[Fetched], Place]:
        """`UID n:*` always names the last mail, however low its UID is."""
        self._box.client.noop()
        named = self._box.uids(f"UID {place.last_uid + 1}:*", charset=None)
        uids = sorted(uid for uid in map(int, named) if uid > place.last_uid)[:_MOST_MAILS]
        fetched, last = self._fetch(uids, most_bytes)
        at = datetime.now(UTC).date()
        return fetched, msgspec.structs.replace(place, last_uid=last or place.last_uid, at=at)

    def _fetch(self, uids: Sequence[int], most_bytes: int) -> tuple[list[Fetched], int]:
        """And the last UID that was looked at: time and bytes of one poll have an end, but one mail always fits."""
        sizes = self._sizes(uids)
        fetched: list[Fetched] = []
        last, total, until = 0, 0, time.monotonic() + _LOOK_SECONDS
        for uid in uids:
            is_whole = sizes.get(uid, 0) <= most_bytes
            size = min(sizes.get(uid, 0), most_bytes) if is_whole else _BEGINNING
            if fetched and (total + size > _MOST_BYTES or time.monotonic() > until):
                break
            raw = self._bytes(uid, "", most_bytes if is_whole else _BEGINNING)
            last, total = uid, total + size
            if raw is not None:  # else it was deleted meanwhile
                fetched.append(Fetched(f"{self._uidvalidity}/{uid}", raw, None if is_whole else sizes[uid]))
        return fetched, last

    def _sizes(self, uids: Sequence[int]) -> dict[int, int]:
        if not uids:
            return {}
        lines = self._command("FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE)")
        return {
            int(uid[1]): int(size[1])
            for line in lines
            if isinstance(line, bytes)
            and (uid := re.search(rb"\bUID (\d+)", line))
            and (size := re.search(rb"RFC822\.SIZE (\d+)", line))
        }

    def _bytes(self, uid: int, section: str, most: int) -> bytes | None:
        lines = self._command("FETCH", str(uid), f"(BODY.PEEK[{section}]<0.{most}>)")
        return next((line[1] for line in lines if isinstance(line, tuple)), None)

    def _command(self, *words: str) -> list[Any]:
        result = self._box.client.uid(*words)
        check_command_status(result, UnexpectedCommandStatusError)
        return list(result[1])

    def _wait(self) -> None:
        if self._can_idle:
            self._box.idle.wait(timeout=IDLE_SECONDS)
        else:
            time.sleep(IDLE_SECONDS / 3)


def _decoded(head: bytes, content: bytes) -> bytes:
    part = email.message_from_bytes(head.rstrip(b"\r\n") + b"\r\n\r\n" + content)
    if part.is_multipart():  # a mail within the mail is kept as it is
        return content
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else content
