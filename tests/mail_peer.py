"""A mail server for tests: real SMTP (aiosmtpd) and IMAP (pymap) over sockets, a journal, and faults on demand.

Alone, `python tests/mail_peer.py FOLDER` prints its addresses, puts each FOLDER/drop/*.eml into the mailbox, writes
what was sent to FOLDER/sent/, and takes one fault a line from FOLDER/faults, such as `recipient 451 4.7.1 Later`.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys
import warnings
from argparse import Namespace
from collections import deque
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as SmtpSession

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of sign-ins without encryption
USER, PASSWORD = "help@shop.example", "mailbox-pass"
Stage = Literal["greeting", "login", "sender", "recipient", "content"]


class Letter(msgspec.Struct, frozen=True):
    sender: str
    recipients: list[str]
    content: bytes

    @property
    def mail(self) -> Message:
        return BytesParser(policy=modern).parsebytes(self.content)


class MailPeer:
    """`async with MailPeer() as peer:` serves one mailbox; `peer.letters` is what it was given to send.

    A fault is a stage of SMTP and the reply to it: words such as `550 5.1.1 No such user`, or `cut`, or `hang`; for the
    content also `cut_after` and `hang_after`, by which time the letter has been taken.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> None:
        self.letters: list[Letter] = []
        self._tls, self._starttls = tls, starttls
        self._faults: deque[tuple[str, str]] = deque()
        self._relayed: set[asyncio.StreamWriter] = set()
        self._stack = AsyncExitStack()
        self.is_mute = False
        self.is_down = False

    async def __aenter__(self) -> Self:
        self.smtp_port = await self._serve_smtp()
        self.imap_port = await self._serve_relay(await self._serve_imap())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        await self._stack.aclose()

    def fail_with(self, stage: Stage, reply: str, *, times: int = 1) -> None:
        self._faults.extend([(stage, reply)] * times)

    def fault(self, stage: Stage) -> str | None:
        return self._faults.popleft()[1] if self._faults and self._faults[0][0] == stage else None

    def cut(self) -> None:
        """Ends all IMAP connections."""
        for writer in [*self._relayed]:
            writer.transport.abort()

    async def drop(self, *mails: bytes, folder: str = "INBOX") -> None:
        """New mail; whoever idles hears of it unless the peer `is_mute`."""
        from pymap.parsing.message import AppendMessage

        box = await self._box(folder)
        for mail in mails:
            await box.append(AppendMessage(mail, datetime.now(UTC), frozenset()), recent=True)

    async def contents(self, folder: str) -> list[tuple[set[bytes], bytes]]:
        """Flags and bytes of each mail."""
        from pymap.parsing.specials import FetchRequirement

        box = await self._box(folder)
        found = []
        async for message in box.messages():
            loaded = await message.load_content(FetchRequirement.CONTENT)
            found.append(({flag.value for flag in message.permanent_flags}, bytes(loaded)))
        return found

    async def rebuild(self) -> None:
        """A new and empty mailbox in the place of the old: its UIDVALIDITY changes."""
        boxes, _ = await self._boxes()
        await boxes.rename_mailbox("INBOX", f"old-{id(boxes._inbox)}")

    async def _box(self, folder: str) -> Any:
        boxes, _ = await self._boxes()
        with suppress(ValueError):
            if folder != "INBOX":
                await boxes.add_mailbox(folder)
        return await boxes.get_mailbox(folder)

    async def _boxes(self) -> Any:
        async with self._backend.login.demo_user_identity.new_session():
            return self._backend.config.set_cache[USER]

    async def _serve_smtp(self) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # aiosmtpd warns of sign-ins without encryption, which tests want
            server = await asyncio.get_running_loop().create_server(self._smtp, "127.0.0.1", 0, ssl=self._tls)
        await self._stack.enter_async_context(server)
        return int(server.sockets[0].getsockname()[1])

    def _smtp(self) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SMTP(
                _Handler(self),
                authenticator=self._authenticate,
                auth_require_tls=False,
                auth_required=True,
                tls_context=self._starttls,
                require_starttls=self._starttls is not None,
                enable_SMTPUTF8=True,
                hostname="mx.shop.example",
                timeout=60,
            )

    def _authenticate(
        self, server: SMTP, session: SmtpSession, _: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        reply = self.fault("login")
        if reply is not None:
            return AuthResult(success=False, handled=False, message=reply)
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=False, message=None if known else "535 5.7.8 Wrong password")

    async def _serve_imap(self) -> int:
        from proxyprotocol.reader import ProxyProtocolReader
        from pymap.backend.dict import DictBackend
        from pymap.imap import IMAPServer
        from pysasl.hashing import BuiltinHash

        args = Namespace(
            host=None, port=0, debug=False, cert=None, key=None, tls=self._starttls is not None, proxy_protocol=None,
            passlib_cfg=None, demo_data=False, demo_user=USER, demo_password=PASSWORD, inherited_sockets=None,
        )  # fmt: skip
        self._backend, config = await DictBackend.init(
            args,
            secure_auth=False,
            invalid_user_sleep=0.0,
            hash_context=BuiltinHash(rounds=1),  # else a sign-in takes a quarter of a second
            ssl_context=self._starttls or ssl.create_default_context(),
        )
        config.apply_context()
        serve = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(self._backend.login, config))
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self._tls)
        await self._stack.enter_async_context(server)
        return int(server.sockets[0].getsockname()[1])

    async def _serve_relay(self, port: int) -> int:
        """What stands between us and IMAP, and may fail."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self.is_down:
                writer.transport.abort()
                return
            there, here = await asyncio.open_connection("127.0.0.1", port)
            self._relayed |= {writer, here}
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._pass(reader, here), self._pass(there, writer, mute=True))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        await self._stack.enter_async_context(server)
        return int(server.sockets[0].getsockname()[1])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mute: bool = False) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if mute and self.is_mute and b" EXISTS" in data and data.startswith(b"* "):
                    continue
                writer.write(data)
                await writer.drain()
        self._relayed.discard(writer)
        writer.close()


class _Handler:
    def __init__(self, peer: MailPeer) -> None:
        self._peer = peer

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: SmtpSession, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        reply = await self._meet(server, "greeting")
        return [reply] if reply else responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._meet(server, "sender") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: SmtpSession, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._meet(server, "recipient") or "250 OK"

    async def handle_DATA(self, server: SMTP, session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        reply = self._peer.fault("content")
        if reply is None or reply.endswith("_after"):
            assert isinstance(envelope.content, bytes)
            self._peer.letters.append(Letter(str(envelope.mail_from), [*envelope.rcpt_tos], envelope.content))
        return await self._do(server, reply) or "250 2.0.0 Taken"

    async def _meet(self, server: SMTP, stage: Stage) -> str | None:
        return await self._do(server, self._peer.fault(stage))

    async def _do(self, server: SMTP, reply: str | None) -> str | None:
        if reply in ("hang", "hang_after"):
            await asyncio.sleep(60)
        if reply in ("cut", "cut_after"):
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return reply


async def _serve(folder: Path) -> None:
    """Until it is killed."""
    drop, sent, faults = folder / "drop", folder / "sent", folder / "faults"
    drop.mkdir(parents=True, exist_ok=True)
    sent.mkdir(exist_ok=True)
    async with MailPeer() as peer:
        addresses = {"imap_port": peer.imap_port, "smtp_port": peer.smtp_port, "user": USER, "password": PASSWORD}
        print(json.dumps({"host": "127.0.0.1", **addresses}), flush=True)  # noqa: T201
        written = 0
        while True:
            for path in sorted(drop.glob("*.eml")):
                await peer.drop(path.read_bytes())
                path.unlink()
            for number, letter in enumerate(peer.letters[written:], written):
                (sent / f"{number:06}.eml").write_bytes(letter.content)
            written = len(peer.letters)
            if faults.exists():
                lines = faults.read_text().splitlines()
                faults.unlink()
                for line in lines:
                    stage, _, reply = line.partition(" ")
                    peer.fail_with(stage, reply)  # type: ignore[arg-type]
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    try:
        asyncio.run(_serve(parser.parse_args().folder))
    except KeyboardInterrupt:
        sys.exit(0)
