"""All settings, read once from the environment; an unknown ASISSTO_* name stops the start."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from asissto.platform.errors import BadSetting, UnknownSetting


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/asissto`, or `~/.local/share/asissto`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "asissto"


def setting(sentence: str, *, ge: int | None = None, le: int | None = None) -> Meta:
    """The sentence that docs/reference/settings.md shows beside the name, and the limits of a number."""
    return Meta(description=sentence, ge=ge, le=le)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is read from ASISSTO_ + its name in capitals; the two OPENAI_* names are the SDK's own."""

    data_dir: Annotated[Path, setting("Folder of the embedded database, uploaded files, keys and models.")] = (
        msgspec.field(default_factory=default_data_dir)
    )
    database_url: Annotated[
        str | None,
        setting("Address of an outside Postgres (15 or newer, pgvector 0.8 or newer); empty: the embedded one."),
    ] = None
    host: Annotated[str, setting("Address that the web server listens on.")] = "127.0.0.1"
    port: Annotated[int, setting("Port that the web server listens on.", ge=1, le=65535)] = 8000
    public_url: Annotated[
        str | None, setting("Address by which customers reach the server, without a slash at the end.")
    ] = None
    trusted_proxies: Annotated[
        str, setting("Addresses and networks of proxies, by commas, whose `X-Forwarded-For` is believed.")
    ] = "127.0.0.1,::1"
    open_calls_per_minute: Annotated[
        int, setting("Calls without sign-in that one address may make in a minute.", ge=1)
    ] = 600
    hook_calls_per_minute: Annotated[
        int, setting("Calls that one address of a provider may make to the hooks of channels in a minute.", ge=1)
    ] = 12_000
    keys: Annotated[
        str | None,
        setting(
            "Key ring for secrets and tokens, `id:base64url` of 32 bytes each, newest first; empty: made in the data folder."
        ),
    ] = None
    registration: Annotated[
        Literal["open", "invitation", "closed"],
        setting("Who may make an account: anybody with a workspace of their own, only who is invited, or nobody."),
    ] = "open"
    smtp_host: Annotated[
        str | None, setting("Mail server by which the service itself writes; empty: links are printed, not sent.")
    ] = None
    smtp_port: Annotated[int, setting("Port of that mail server.", ge=1, le=65535)] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        setting("How the connection to it is encrypted; `none` only inside a network of your own."),
    ] = "starttls"
    smtp_user: Annotated[str | None, setting("User of that mail server; empty: nobody signs in.")] = None
    smtp_password: Annotated[str | None, setting("Password of that user.")] = None
    smtp_from: Annotated[
        str | None, setting("Sender of these mails, such as `Asissto <no-reply@example.com>`; empty: the user.")
    ] = None
    billing: Annotated[
        bool, setting("Whether plans and balances limit what workspaces may use; off: nothing is counted or charged.")
    ] = False
    language: Annotated[Literal["ru", "en"], setting("Language of the command line and of new workspaces.")] = "en"
    chat_model: Annotated[str, setting("Model of new assistants where OPENAI_API_KEY or OPENAI_BASE_URL is set.")] = (
        "gpt-5-mini"
    )
    embedding_model: Annotated[
        str, setting("`local` for the built-in English model, else a model name of the OpenAI-compatible endpoint.")
    ] = "local"
    embedding_dimensions: Annotated[
        int, setting("Floats in a vector of the outside embedding model.", ge=8, le=4000)
    ] = 1536
    files_url: Annotated[
        str | None,
        setting(
            "Where uploaded files are kept: `s3://bucket/prefix` of an S3-compatible server; empty: the data folder."
        ),
    ] = None
    s3_endpoint: Annotated[
        str | None, setting("Address of the S3-compatible server; empty: Amazon's own for the region.")
    ] = None
    s3_region: Annotated[str, setting("Region of the bucket; most servers other than Amazon's take any.")] = "us-east-1"
    s3_access_key: Annotated[str | None, setting("Access key of the bucket; empty: the role of the machine.")] = None
    s3_secret_key: Annotated[str | None, setting("Secret key that belongs to the access key.")] = None
    s3_path_style: Annotated[
        bool, setting("Whether the bucket stands in the path of an address, else in its host name.")
    ] = True
    max_upload_mb: Annotated[int, setting("Largest file that may be uploaded, in MB.", ge=1)] = 100
    parse_seconds: Annotated[int, setting("Time limit for reading one file, in seconds.", ge=1)] = 300
    parse_memory_mb: Annotated[int, setting("Memory limit for reading one file, in MB.", ge=256)] = 2048
    crawl_private_addresses: Annotated[
        bool, setting("Whether web sources may lie in private networks and on ports of their own.")
    ] = False
    provider_private_addresses: Annotated[
        bool, setting("Whether model providers of workspaces may lie in private networks and speak without TLS.")
    ] = False
    workers: Annotated[int, setting("Worker processes that `asissto up` starts.", ge=1, le=64)] = 1
    worker_jobs: Annotated[int, setting("Jobs that one worker runs at the same time.", ge=1)] = 2
    worker_turns: Annotated[int, setting("Customers whose messages one worker answers at the same time.", ge=1)] = 32
    log_format: Annotated[Literal["console", "json"], setting("How log lines are written.")] = "console"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], setting("Least important log lines shown.")] = (
        "info"
    )
    sample: Annotated[bool, setting("Whether the guide is loaded as a sample knowledge base at the first start.")] = (
        True
    )
    rerank_url: Annotated[
        str | None,
        setting("Address of an endpoint that reorders what was found, without `/rerank` at the end; empty: none."),
    ] = None
    rerank_model: Annotated[
        str | None,
        setting(
            "Model of that endpoint; without an address a local cross-encoder of fastembed or sentence-transformers."
        ),
    ] = None
    rerank_key: Annotated[str | None, setting("Key of that endpoint.")] = None
    stripe_key: Annotated[str | None, setting("Secret key of Stripe; empty: nobody pays by Stripe.")] = None
    stripe_webhook_secret: Annotated[
        str | None, setting("Signing secret of the Stripe endpoint `/api/v1/payments/hooks/stripe`.")
    ] = None
    stripe_url: Annotated[str | None, setting("Address of Stripe's API, where it is not Stripe's own.")] = None
    yookassa_shop_id: Annotated[str | None, setting("Number of the YooKassa shop; empty: nobody pays by YooKassa.")] = (
        None
    )
    yookassa_key: Annotated[str | None, setting("Secret key of the YooKassa shop.")] = None
    yookassa_url: Annotated[str, setting("Address of YooKassa's API.")] = "https://api.yookassa.ru/v3"
    yookassa_vat_code: Annotated[
        Annotated[int, Meta(ge=1, le=12)] | None,
        setting("VAT code of the receipts by 54-FZ that YooKassa sends; empty: it sends none."),
    ] = None
    bank_details: Annotated[
        str | None, setting("What customers who pay by bank transfer are told; empty: nobody pays by transfer.")
    ] = None
    invoice_seller: Annotated[
        str, setting("Who issues invoices: name, address and tax number, parts separated by `;`.")
    ] = "Asissto"
    openai_api_key: Annotated[
        str | None, setting("Key of the OpenAI-compatible endpoint; empty: answers are quoted, not generated.")
    ] = None
    openai_base_url: Annotated[
        str | None, setting("Address of the OpenAI-compatible endpoint, where it is not OpenAI's own.")
    ] = None

    @property
    def address(self) -> str:
        """Under which browsers find the service."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def has_mail(self) -> bool:
        """Whether the service can write to people."""
        return self.smtp_host is not None

    @property
    def has_chat_model(self) -> bool:
        """Whether answers can be generated at all."""
        return bool(self.openai_api_key or self.openai_base_url)


def environment_name(field: str) -> str:
    return field.upper() if field.startswith("openai_") else f"ASISSTO_{field.upper()}"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises UnknownSetting for a name that no field answers to, BadSetting for a value that does not fit."""
    names = {environment_name(field): field for field in Settings.__struct_fields__}
    unknown = sorted(name for name in environment if name.startswith("ASISSTO_") and name not in names)
    if unknown:
        raise UnknownSetting(names=", ".join(unknown))
    given = {field: environment[name] for name, field in names.items() if environment.get(name)}
    for field, value in given.items():
        try:
            msgspec.convert({field: value}, Settings, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise BadSetting(name=environment_name(field), detail=str(error)) from None
    return msgspec.convert(given, Settings, strict=False, dec_hook=_decode)


def _decode(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value)).expanduser().resolve()
    raise NotImplementedError(kind)
