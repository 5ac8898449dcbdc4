"""The one tree of errors: each has an HTTP status, a stable code, and its sentences in `texts.py`.

AsisstoError
├── InvalidInput            400 invalid_input, and below it what is wrong with one field
│   ├── QuestionEmpty, QuestionTooLong, MalformedJson, WeakPassword, UnknownSetting
│   └── DocumentRefused     the file's own fault: empty, encrypted, corrupt, garbled, scanned, a bomb, unknown type
├── NotSignedIn             401 (SignInFailed, TokenExpired, TokenReused, LinkSpent)
├── Forbidden               403 (CsrfMissing, RegistrationClosed)
├── NotFound                404
├── Conflict                409 (EmailTaken, NameTaken, VersionConflict)
├── TooLarge                413
├── TooManyRequests         429
├── ProviderError           502, a call to the outside failed; `permanent` says whether trying again can help
└── NotReady                503 (DatabaseDown, DatabaseTooOld, DataDirUnusable, PortInUse)
"""

from typing import ClassVar

from asissto.platform.texts import Language, Phrase, text


class AsisstoError(Exception):
    """Base of every error that a user may see; `params` fill the placeholders of its sentence."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, *, field: str | None = None, **params: object) -> None:
        self.field = field
        self.params = params
        super().__init__(self.sentence("en"))

    def sentence(self, language: Language) -> str:
        """What is wrong and what to do, in the reader's language."""
        params = {
            name: value.say(language) if isinstance(value, Phrase) else value for name, value in self.params.items()
        }
        return text(f"error.{self.code}", language, field=self.field or "", **params)


class InvalidInput(AsisstoError):
    status = 400
    code = "invalid_input"


class MalformedJson(InvalidInput):
    code = "malformed_json"


class QuestionEmpty(InvalidInput):
    code = "question_empty"


class QuestionTooLong(InvalidInput):
    code = "question_too_long"


class WeakPassword(InvalidInput):
    code = "weak_password"


class UnknownSetting(InvalidInput):
    code = "unknown_setting"


class BadSetting(InvalidInput):
    code = "bad_setting"


class DocumentRefused(InvalidInput):
    """The file cannot become passages, and trying again will not help."""

    code = "document_refused"


class DocumentEmpty(DocumentRefused):
    code = "document_empty"


class DocumentEncrypted(DocumentRefused):
    code = "document_encrypted"


class DocumentCorrupt(DocumentRefused):
    code = "document_corrupt"


class DocumentGarbled(DocumentRefused):
    code = "document_garbled"


class DocumentNeedsOcr(DocumentRefused):
    code = "document_needs_ocr"


class DocumentTypeUnknown(DocumentRefused):
    status = 415
    code = "document_type_unknown"


class DocumentTypeMismatch(DocumentRefused):
    """`found` is what the content is, as in `EXE`."""

    status = 415
    code = "document_type_mismatch"


class DocumentConverterMissing(DocumentRefused):
    code = "document_converter_missing"


class DocumentBomb(DocumentRefused):
    """A small file that unpacks into a huge one."""

    code = "document_bomb"


class DocumentTooComplex(DocumentRefused):
    code = "document_too_complex"


class DocumentTooLarge(DocumentRefused):
    status = 413
    code = "document_too_large"


class DocumentParseTimeout(DocumentRefused):
    code = "document_parse_timeout"


class DocumentOcrTimeout(DocumentRefused):
    code = "document_ocr_timeout"


class DocumentParseMemory(DocumentRefused):
    code = "document_parse_memory"


class NotSignedIn(AsisstoError):
    status = 401
    code = "not_signed_in"


class SignInFailed(NotSignedIn):
    code = "sign_in_failed"


class TokenExpired(NotSignedIn):
    code = "token_expired"


class TokenInvalid(NotSignedIn):
    code = "token_invalid"


class TokenReused(NotSignedIn):
    code = "token_reused"


class Forbidden(AsisstoError):
    status = 403
    code = "forbidden"


class CsrfMissing(Forbidden):
    code = "csrf_missing"


class RegistrationClosed(Forbidden):
    code = "registration_closed"


class LinkSpent(Forbidden):
    code = "link_spent"


class NotFound(AsisstoError):
    """`kind` has its word in texts.py, as `kind.assistant`."""

    status = 404
    code = "not_found"

    def __init__(self, *, kind: str) -> None:
        super().__init__(kind=Phrase(f"kind.{kind}"))


class MethodNotAllowed(AsisstoError):
    status = 405
    code = "method_not_allowed"


class Conflict(AsisstoError):
    status = 409
    code = "conflict"


class EmailTaken(Conflict):
    code = "email_taken"


class NameTaken(Conflict):
    code = "name_taken"


class LastOwner(Conflict):
    code = "last_owner"


class AssistantPaused(Conflict):
    code = "assistant_paused"


class TooLarge(AsisstoError):
    status = 413
    code = "too_large"


class TooManyRequests(AsisstoError):
    status = 429
    code = "too_many_requests"


class ProviderError(AsisstoError):
    """A call to the outside failed; `permanent` says that the same call will fail again."""

    status = 502
    code = "provider_failed"

    def __init__(self, *, permanent: bool, reason: str, retry_after: float | None = None) -> None:
        self.permanent = permanent
        self.reason = reason
        super().__init__(reason=reason, retry_after=retry_after)


class NotReady(AsisstoError):
    status = 503
    code = "not_ready"


class DatabaseDown(NotReady):
    code = "database_down"


class DatabaseTooOld(NotReady):
    code = "database_too_old"


class DatabaseWontStart(NotReady):
    code = "database_wont_start"


class DataDirUnusable(NotReady):
    code = "data_dir_unusable"


class PortInUse(NotReady):
    code = "port_in_use"
