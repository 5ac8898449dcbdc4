"""Reads what is attached to a message of VK."""

import mimetypes
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from asissto.channels.contract import Attachment


class Size(msgspec.Struct, frozen=True):
    width: int = 0
    height: int = 0
    url: str = ""


class Photo(msgspec.Struct, frozen=True):
    sizes: list[Size] = []


class Doc(msgspec.Struct, frozen=True):
    title: str = ""
    size: int | None = None
    url: str = ""


class Voice(msgspec.Struct, frozen=True):
    duration: float | None = None
    link_ogg: str = ""


class Audio(msgspec.Struct, frozen=True):
    artist: str = ""
    title: str = ""
    duration: float | None = None
    url: str = ""


class Video(msgspec.Struct, frozen=True):
    """VK gives no file of it to communities."""

    title: str = ""
    duration: float | None = None


def attachments_of(told: Sequence[Any] | None, geo: dict[str, Any] | None) -> tuple[Attachment, ...]:
    """One that is not understood is there all the same, of type `other`."""
    places = [] if geo is None else [Attachment(type="location", name=_place(geo))]
    return (*(_attachment(each) for each in told or ()), *places)


def _attachment(told: Any) -> Attachment:
    kind = told.get("type") if isinstance(told, dict) else None
    read = _READERS.get(str(kind))
    try:
        return read(told.get(kind)) if read else Attachment(type="other", name=str(kind or ""))
    except msgspec.ValidationError:
        return Attachment(type="other", name=str(kind))


def _photo(told: Any) -> Attachment:
    sizes = msgspec.convert(told, Photo).sizes
    largest = max(sizes, key=lambda size: size.width * size.height, default=Size())
    return Attachment(type="photo", ref=largest.url, mime="image/jpeg")


def _doc(told: Any) -> Attachment:
    doc = msgspec.convert(told, Doc)
    mime = mimetypes.guess_type(doc.title)[0] or ""
    return Attachment(type="document", ref=doc.url, name=doc.title, mime=mime, size=doc.size)


def _voice(told: Any) -> Attachment:
    voice = msgspec.convert(told, Voice)
    return Attachment(type="voice", ref=voice.link_ogg, mime="audio/ogg", seconds=voice.duration)


def _audio(told: Any) -> Attachment:
    audio = msgspec.convert(told, Audio)
    name = " - ".join(part for part in (audio.artist, audio.title) if part)
    return Attachment(type="audio", ref=audio.url, name=name, mime="audio/mpeg", seconds=audio.duration)


def _video(told: Any) -> Attachment:
    video = msgspec.convert(told, Video)
    return Attachment(type="video", name=video.title, seconds=video.duration)


def _sticker(_told: Any) -> Attachment:
    return Attachment(type="sticker")


def _place(geo: dict[str, Any]) -> str:
    at = geo.get("coordinates")
    return f"{at.get('latitude')}, {at.get('longitude')}" if isinstance(at, dict) else ""


_READERS: dict[str, Callable[[Any], Attachment]] = {
    "photo": _photo,
    "doc": _doc,
    "audio_message": _voice,
    "audio": _audio,
    "video": _video,
    "sticker": _sticker,
}
