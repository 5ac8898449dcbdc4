"""Reads pictures of text: scans, photographs, screenshots."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps, ImageSequence

from asissto.ingestion.archives import UNPACKED_MB
from asissto.ingestion.ocr import Progress, can_recognise, recognised
from asissto.ingestion.parsing import Block, Content, TimeLimit
from asissto.platform.errors import DocumentBomb, DocumentCorrupt, DocumentNeedsOcr

LONGEST_SIDE: Final = 5000
"""Pixels: a page of A4 at 430 dpi; finer pictures take longer and give no more."""

_MOST_PIXELS = (UNPACKED_MB << 20) // 4
# Pillow's own bound is lower and warns only.
Image.MAX_IMAGE_PIXELS = None


def read_picture(path: Path, name: str, time: TimeLimit) -> Content:
    """Each picture of a TIFF is a page."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise DocumentBomb(name=name, limit_mb=UNPACKED_MB)
            if not can_recognise():
                raise DocumentNeedsOcr(name=name)
            return _read(image, name, time)
    # SyntaxError is Pillow's word for a broken PNG, struct.error and the rest for other formats.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise DocumentCorrupt(name=name) from error


def _read(image: Image.Image, name: str, time: TimeLimit) -> Content:
    pages = getattr(image, "n_frames", 1)
    progress = Progress(name, pages, time)
    blocks: list[Block] = []
    for number, frame in enumerate(_frames(image, name), 1):
        blocks += recognised(frame, number if pages > 1 else None, progress)
    read = ", ".join(map(str, range(1, pages + 1)))
    return Content(blocks, pages=pages if pages > 1 else None, warnings=(f"pages_recognised: {read}",))


def _frames(image: Image.Image, name: str) -> Iterator[Image.Image]:
    for frame in ImageSequence.Iterator(image):
        if frame.width * frame.height > _MOST_PIXELS:
            raise DocumentBomb(name=name, limit_mb=UNPACKED_MB)
        yield _prepared(frame)


def _prepared(frame: Image.Image) -> Image.Image:
    """Upright, grey on white, and neither finer nor coarser than tesseract reads well."""
    upright = ImageOps.exif_transpose(frame).convert("RGBA")
    paper = Image.new("RGBA", upright.size, "white")
    grey = Image.alpha_composite(paper, upright).convert("L")
    longest = max(grey.size)
    if longest > LONGEST_SIDE:
        grey.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    elif longest < 1500:  # screenshots and thumbnails of pages
        grey = grey.resize((2 * grey.width, 2 * grey.height), Image.Resampling.LANCZOS)
    return grey
