"""What the fork server loads once, so that each parse finds it there; nobody else imports this module."""

from multiprocessing import spawn

from asissto.ingestion import mail, parse_process, partition, pdf, pictures, spreadsheets

LOADED = (mail, parse_process, partition, pdf, pictures, spreadsheets)

# Each child would first import the main module of the worker's program: 2.5 CPU-s, and nothing in it is for parsing.
spawn._fixup_main_from_path = spawn._fixup_main_from_name = lambda _: None  # type: ignore[attr-defined]  # noqa: SLF001
