"""The mail channel: a mailbox read over IMAP and answered over SMTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from asissto.channels.contract import (
    Account,
    Attachment,
    Capabilities,
    CommonSecrets,
    CommonSettings,
    Connector,
    Destination,
    Event,
    Health,
    Part,
    Said,
    Sent,
)
from asissto.channels.mail_caps import Heard, unanswered
from asissto.channels.mail_connecting import MailServer, open_connection
from asissto.channels.mail_reading import Reader
from asissto.channels.mail_rendering import render_mail
from asissto.channels.mail_sending import Letter, greet, hand_over, write_letter
from asissto.channels.mail_threads import Threads

if TYPE_CHECKING:
    from asissto.channels.mail_fetching import Inbox, Place

Address = Annotated[str, Meta(max_length=254, pattern=r"^[A-Za-z0-9._%+=/-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")]
Password = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
_PIECE = 65_536
_PATIENCE = 3.0
"""Seconds that copies under way get when the mailbox is closed."""

T = TypeVar("T")


class MailSettings(CommonSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`aliases` are other addresses of the same people: what comes from them is not answered.

    `plus_token`: replies are asked to `address+token@…`, which the mail server must deliver to the same mailbox; it
    keeps conversations together where a mail program drops the references. `authserv_id` is the name by which the
    owner's mail server signs its Authentication-Results (`mx.google.com`, `*.yandex.net`); without it no sender counts
    as verified. `cap_per_hour` and `cap_per_day` are mails of one address that are answered. Of a mail above `max_mb`
    only the words are read, and both sides are told. `sent_folder` gets a copy of each answer, which some providers
    keep by themselves; without a name it is not asked for.
    """

    imap: MailServer
    smtp: MailServer
    from_address: Address
    from_name: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    aliases: Annotated[tuple[Address, ...], Meta(max_length=50)] = ()
    folder: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] = "INBOX"
    plus_token: bool = False
    authserv_id: Annotated[str, Meta(max_length=253, pattern=r"^((\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)?$")] = ""
    cap_per_hour: Annotated[int, Meta(ge=1, le=1_000)] = 10
    cap_per_day: Annotated[int, Meta(ge=1, le=1_000)] = 30
    max_mb: Annotated[int, Meta(ge=1, le=50)] = 25
    sent_folder: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class MailSecrets(CommonSecrets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without a password of its own, SMTP is entered with that of IMAP."""

    imap_password: Password
    smtp_password: Password | None = None


class Mailbox(Connector):
    """One connection is kept for polls, in a thread of its own; sending, copying and fetching open theirs."""

    capabilities: ClassVar = Capabilities(again="idempotent")
    Settings: ClassVar[type[CommonSettings]] = MailSettings
    Secrets: ClassVar[type[CommonSecrets]] = MailSecrets

    _inbox: "Inbox | None" = None
    _thread: ThreadPoolExecutor | None = None

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._copies: set[asyncio.Task[None]] = set()

    @property
    def polls(self) -> bool:
        return True

    async def poll(self, cursor: dict[str, Any]) -> tuple[Sequence[Event], dict[str, Any]]:
        """The cursor is the place in the mailbox, and how often whom was heard."""
        place, heard = _read_cursor(cursor)
        try:
            inbox = self._inbox = self._inbox or await self._open()
            events, place = await self._in_thread(lambda: self._look(inbox, place))
        except BaseException:
            self._leave()
            raise
        minute = int(time.time() / 60)
        capped = [self._capped(event, heard, minute) for event in events]
        return capped, {"place": msgspec.to_builtins(place), "heard": heard.recent(minute)}

    def render(self, said: Said) -> list[Part]:
        return [render_mail(said)]

    async def send(self, to: Destination, part: Part, key: int) -> Sent:
        letter = write_letter(self._threads(), self._settings.from_name, to, part, key)
        await hand_over(self.account, self._settings.smtp, self._smtp_password, letter)
        if self._settings.sent_folder:
            self._copy(letter)
        return Sent(letter.message_id)

    def _copy(self, letter: Letter) -> None:
        """Nothing waits for it: a process that dies meanwhile must not have sent the mail in vain."""
        from asissto.channels.mail_copies import keep_copy

        copying = keep_copy(self.account, self._settings.sent_folder, letter.message_id, letter.content)
        task = asyncio.create_task(copying)
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        inbox = await self._open()
        try:
            content = await asyncio.to_thread(inbox.part, attachment.ref, self._most_bytes)
        finally:
            await asyncio.to_thread(inbox.close)
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]

    async def check(self) -> Health:
        _, _, notes = await asyncio.gather(self._check_imap(), self._check_smtp(), self._notes())
        return Health(name=self._settings.from_address, notes=notes)

    async def _notes(self) -> tuple[str, ...]:
        from asissto.channels.mail_copies import has_folder

        folder = self._settings.sent_folder
        is_missing = bool(folder) and not await has_folder(self.account, folder)
        notes = {
            "channel.note.senders_unverified": not self._settings.authserv_id,
            "channel.note.no_sent_folder": is_missing,
        }
        return tuple(note for note, holds in notes.items() if holds)

    async def close(self) -> None:
        if self._copies:
            _, late = await asyncio.wait(self._copies, timeout=_PATIENCE)
            for copying in late:
                copying.cancel()
        self._leave()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _check_imap(self) -> None:
        inbox = await self._open()
        try:
            await asyncio.to_thread(inbox.greet)
        finally:
            await asyncio.to_thread(inbox.close)

    async def _check_smtp(self) -> None:
        await greet(self.account, self._settings.smtp, self._smtp_password, self._settings.from_address)

    async def _open(self) -> "Inbox":
        from asissto.channels.mail_fetching import Inbox

        connection = await open_connection(self.account, self._settings.imap)
        password = self._secrets.imap_password
        try:
            return await asyncio.to_thread(Inbox, connection, self._settings.imap, password, self._settings.folder)
        except BaseException:
            connection.close()
            raise

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    @property
    def _executor(self) -> ThreadPoolExecutor:
        """A thread per mailbox: it mostly waits, and those of the loop are few."""
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="mailbox")
        return self._thread

    def _look(self, inbox: "Inbox", place: "Place | None") -> tuple[list[Event], "Place"]:
        """Mails are read in the thread too, which may take a second for a large one."""
        found, place = inbox.look(place, self._most_bytes)
        reader = self._reader()
        return [reader.read(mail.raw, mail.place, cut_from=mail.cut_from) for mail in found], place

    def _leave(self) -> None:
        """Its thread closes the connection as soon as it has noticed that it was cut."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            inbox.cut()
            self._executor.submit(inbox.close)

    def _capped(self, event: Event, heard: Heard, minute: int) -> Event:
        caps = {"per_hour": self._settings.cap_per_hour, "per_day": self._settings.cap_per_day}
        if event.kind != "message" or heard.lets_through(event.address["to"], minute, **caps):
            return event
        return unanswered(event)

    def _reader(self) -> Reader:
        settings = self._settings
        own = {each.lower() for each in (*settings.aliases, settings.imap.user, settings.smtp.user)}
        return Reader(self._threads(), frozenset(own), settings.authserv_id)

    def _threads(self) -> Threads:
        """The ids stay when passwords change, so that replies to older mails still find their conversations."""
        secret = self.account.tenant_id.bytes + self.account.channel_id.bytes
        return Threads(secret, self._settings.from_address, self._settings.plus_token)

    @property
    def _settings(self) -> MailSettings:
        settings = self.account.settings
        assert isinstance(settings, MailSettings)
        return settings

    @property
    def _smtp_password(self) -> str | None:
        return self._secrets.smtp_password or self._secrets.imap_password

    @property
    def _secrets(self) -> MailSecrets:
        secrets = self.account.secrets
        assert isinstance(secrets, MailSecrets)
        return secrets

    @property
    def _most_bytes(self) -> int:
        return self._settings.max_mb * 1_000_000


def _read_cursor(cursor: dict[str, Any]) -> tuple["Place | None", Heard]:
    from asissto.channels.mail_fetching import Place

    place = cursor.get("place")
    return place and msgspec.convert(place, Place), Heard(dict(cursor.get("heard", {})))
