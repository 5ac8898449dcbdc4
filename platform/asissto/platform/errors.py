"""The one tree of errors: each has an HTTP status, a stable code, and its sentences in `texts.py`.

AsisstoError
├── InvalidInput            400 invalid_input, and below it what is wrong with one field
│   ├── QuestionEmpty, QuestionTooLong, MalformedJson, WeakPassword, PasswordWrong, UnknownSetting, UnknownVariable, …
│   ├── CalibrationUnsupported  too few questions for the budget of false answers
│   ├── AddressUnusable, AddressRefused  an address of the web that may not be fetched
│   └── DocumentRefused     the file's own fault: empty, encrypted, corrupt, garbled, scanned, a bomb, unknown type
├── PaymentNeeded           402 (BalanceTooLow, PlanLimit, ModelNotIncluded, AnswersUsedUp, AnswersPaused)
├── NotSignedIn             401 (SignInFailed, SecondFactorRequired, SecondFactorWrong, TokenExpired, TokenReused)
├── Forbidden               403 (CsrfMissing, RegistrationClosed, TenantSuspended, LinkSpent, HookRefused,
│                               PaymentHookRefused, …)
├── NotFound                404
├── Conflict                409 (EmailTaken, NameTaken, DocumentBusy, VersionConflict, …)
├── TooLarge                413
├── TooManyRequests         429
├── SourceProblem           502, why a page or a site was not taken; the log of a sync keeps it
├── ProviderError           502, a call to the outside failed; `permanent` says whether trying again can help
│   └── WrongDimensions     the embedding model gives vectors of another length than it was taken for
├── MailFailed              502, and MailMissing 503 where no mail server is set
├── PaymentRefused, PaymentUnanswered  502, what a payment provider did
├── StorageFull             507
└── NotReady                503 (PortInUse, DataDirUnusable, StorageUnavailable, ChannelResting)
    ├── DatabaseTooOld, DatabaseWontStart
    └── DatabaseDown (DatabaseSlow)
"""

from typing import ClassVar

from asissto.platform.texts import Language, Phrase, reason_text, text


class AsisstoError(Exception):
    """Base of every error that a user may see; `params` fill the placeholders of its sentence."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    temporary = False
    """Whether what failed is away for a while, so that the same call may work later."""
    retry_after: float | None = None
    """The pause in seconds that the other side asked for."""

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


class PasswordWrong(InvalidInput):
    """Somebody who is signed in already has to prove once more who they are."""

    code = "password_wrong"


class ScopesBeyondRole(InvalidInput):
    """`scopes` are permissions that whoever makes the key does not have, or that no key may have."""

    code = "scopes_beyond_role"


class UnknownSetting(InvalidInput):
    code = "unknown_setting"


class BadSetting(InvalidInput):
    code = "bad_setting"


class UnknownVariable(InvalidInput):
    """A text names a variable that its assistant does not declare, or a question brings one."""

    code = "unknown_variable"


class RerankerMissing(InvalidInput):
    """The settings ask for a local cross-encoder, and no package that runs one is installed."""

    code = "reranker_missing"


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


class OriginalMissing(DocumentRefused):
    """The file store works, and the file is not there."""

    status = 410
    code = "original_missing"


class AddressUnusable(InvalidInput):
    code = "address_unusable"


class AddressRefused(InvalidInput):
    """`address` is what the name stood for when it was to be connected to."""

    code = "address_refused"


class CalibrationUnsupported(InvalidInput):
    """So few unanswerable questions cannot show that so small a budget of false answers is kept."""

    code = "calibration_unsupported"


class PaymentNeeded(AsisstoError):
    status = 402
    code = "payment_needed"


class BalanceTooLow(PaymentNeeded):
    """An account would cross its floor; nothing was booked."""

    code = "balance_too_low"


class PlanLimit(PaymentNeeded):
    """`what` is the part of `plan` that is used up: a name in `plan_limits.Kept`."""

    code = "plan_limit"

    def sentence(self, language: Language) -> str:
        return text(
            "error.plan_limit", language, **{**self.params, "what": text(f"quota.{self.params['what']}", language)}
        )


class ModelNotIncluded(PaymentNeeded):
    """`models` are those that `plan` includes."""

    code = "model_not_included"


class AnswersUsedUp(PaymentNeeded):
    """For whoever tries an assistant: neither an included answer nor the price of one more is left."""

    code = "answers_used_up"


class AnswersPaused(PaymentNeeded):
    """The workspace has neither answers nor money left, and wants its customers' messages to wait."""

    code = "answers_paused"
    temporary = True


class NotSignedIn(AsisstoError):
    status = 401
    code = "not_signed_in"


class SignInFailed(NotSignedIn):
    code = "sign_in_failed"


class SecondFactorRequired(NotSignedIn):
    """The password is right: the same request again with a `code` of the authenticator app, or a recovery code."""

    code = "second_factor_required"


class SecondFactorWrong(NotSignedIn):
    """Also for a code that was used already."""

    code = "second_factor_wrong"


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


class HookRefused(Forbidden):
    """A request to a channel's address without its secret or signature; nothing of it is stored."""

    code = "hook_refused"


class OriginRefused(Forbidden):
    """A page that may not show the widget, or a widget that there is not."""

    code = "origin_refused"


class IdentityRefused(Forbidden):
    """What a page says of its visitor is not signed by the widget's secret, has expired, or is missing where needed."""

    code = "identity_refused"


class EmailUnconfirmed(Forbidden):
    code = "email_unconfirmed"


class InvitationForAnother(Forbidden):
    """Whoever is signed in has another address than the one that was invited."""

    code = "invitation_for_another"


class TenantSuspended(Forbidden):
    """The workspace rests by order of the platform; what it has stays."""

    code = "tenant_suspended"


class LinkSpent(Forbidden):
    code = "link_spent"


class NotFound(AsisstoError):
    """`kind` has its word in texts.py, as `kind.assistant`."""

    status = 404
    code = "not_found"

    def __init__(self, *, kind: str) -> None:
        super().__init__(kind=Phrase(f"kind.{kind}"))


class PaymentHookRefused(Forbidden):
    """An event of a payment provider without its signature, or that cannot be read; nothing of it is stored."""

    code = "payment_hook_refused"


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


class DocumentBusy(Conflict):
    code = "document_busy"


class VersionConflict(Conflict):
    code = "version_conflict"


class PairExists(Conflict):
    code = "pair_exists"


class LastOwner(Conflict):
    code = "last_owner"


class LastAdmin(Conflict):
    code = "last_admin"


class NoOwner(Conflict):
    """Nobody can sign in as a tenant that has no owner."""

    code = "no_owner"


class AssistantPaused(Conflict):
    code = "assistant_paused"


class DraftExists(Conflict):
    code = "draft_exists"


class NoDraft(Conflict):
    code = "no_draft"


class PublishingGuarded(Conflict):
    code = "publishing_guarded"


class PublishRefused(Conflict):
    """`broken` are the questions that the published version passes and the draft does not."""

    code = "publish_refused"


class SetGuards(Conflict):
    code = "set_guards"


class RunsDiffer(Conflict):
    code = "runs_differ"


class CurrencyDiffers(Conflict):
    """The workspace's money is of another currency than the plan or the payment."""

    code = "currency_differs"


class ConversationClosed(Conflict):
    code = "conversation_closed"


class CustomerUnreachable(Conflict):
    code = "customer_unreachable"


class SpaceChanged(Conflict):
    """The tenant's embedding model was switched while vectors were made: they belong to the old one."""

    code = "space_changed"


class TooLarge(AsisstoError):
    status = 413
    code = "too_large"


class PaymentKeyReused(Conflict):
    """The idempotency key belongs to another request than this one."""

    code = "payment_key_reused"


class PaymentNotOpen(Conflict):
    """The payment stands otherwise than the operation needs."""

    code = "payment_not_open"


class TooManyRequests(AsisstoError):
    status = 429
    code = "too_many_requests"


class SourceProblem(AsisstoError):
    status = 502
    code = "source_problem"


class PageUnreachable(SourceProblem):
    code = "page_unreachable"


class PageTimeout(SourceProblem):
    code = "page_timeout"


class PageStatus(SourceProblem):
    code = "page_status"

    def __init__(self, *, url: str, status: int) -> None:
        self.answered = status
        super().__init__(url=url, status=status)


class PageGone(PageStatus):
    code = "page_gone"


class PageBusy(SourceProblem):
    """The site asks to come back after `seconds`."""

    code = "page_busy"

    def __init__(self, *, url: str, status: int, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(url=url, status=status)


class PageTooLarge(SourceProblem):
    code = "page_too_large"


class PageRedirects(SourceProblem):
    code = "page_redirects"


class PageElsewhere(SourceProblem):
    code = "page_elsewhere"


class PageDisallowed(SourceProblem):
    code = "page_disallowed"


class PageHidden(SourceProblem):
    code = "page_hidden"


class PageDuplicate(SourceProblem):
    code = "page_duplicate"


class PageTypeUnknown(SourceProblem):
    code = "page_type_unknown"


class PageEmpty(SourceProblem):
    code = "page_empty"


class PageUnlinked(SourceProblem):
    code = "page_unlinked"


class RobotsUnavailable(SourceProblem):
    code = "robots_unavailable"


class SitemapUnreadable(SourceProblem):
    code = "sitemap_unreadable"


class CrawlStopped(SourceProblem):
    """The sync ended before it had seen everything, so that it says nothing of pages that it did not meet."""

    code = "crawl_stopped"


class CrawlPageLimit(CrawlStopped):
    code = "crawl_page_limit"


class CrawlTimeLimit(CrawlStopped):
    code = "crawl_time_limit"


class CrawlCancelled(CrawlStopped):
    code = "crawl_cancelled"


class CrawlSilent(CrawlStopped):
    code = "crawl_silent"


class PagesMissing(SourceProblem):
    code = "pages_missing"


class ProviderError(AsisstoError):
    """A call to the outside failed; `permanent` says that the same call will fail again."""

    status = 502
    code = "provider_failed"

    def __init__(self, *, permanent: bool, reason: str, retry_after: float | None = None, **params: str | int) -> None:
        self.permanent = permanent
        self.temporary = not permanent
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(field=None, reason=reason, retry_after=retry_after, **params)

    def sentence(self, language: Language) -> str:
        return reason_text(self.code, self.params, language)


class WrongDimensions(ProviderError):
    code = "wrong_dimensions"

    def __init__(self, *, model: str, given: int, wanted: int) -> None:
        self.given = given
        super().__init__(permanent=True, reason=self.code, model=model, given=given, wanted=wanted)


class MailFailed(AsisstoError):
    """`permanent` where the mail server refuses the letter for good."""

    status = 502
    code = "mail_failed"

    def __init__(self, *, permanent: bool, detail: str) -> None:
        self.permanent = permanent
        self.temporary = not permanent
        super().__init__(detail=detail)


class PaymentRefused(AsisstoError):
    """The payment provider said no, and would say so again."""

    status = 502
    code = "payment_refused"


class PaymentUnanswered(AsisstoError):
    """The payment provider may have done it or not; the same call again does nothing twice."""

    status = 502
    code = "payment_unanswered"
    temporary = True


class StorageFull(AsisstoError):
    status = 507
    code = "storage_full"


class NotReady(AsisstoError):
    status = 503
    code = "not_ready"
    temporary = True


class MailMissing(AsisstoError):
    """No mail server is set."""

    status = 503
    code = "mail_missing"


class ChannelResting(NotReady):
    """The channel is paused: its provider keeps the event and brings it again."""

    code = "channel_resting"
    retry_after = 60.0


class DatabaseDown(NotReady):
    code = "database_down"


class DatabaseSlow(DatabaseDown):
    """No connection came free, or a statement took too long: for those who wait, as good as none."""

    code = "database_slow"


class DatabaseTooOld(NotReady):
    code = "database_too_old"


class DatabaseWontStart(NotReady):
    code = "database_wont_start"


class DataDirUnusable(NotReady):
    code = "data_dir_unusable"


class PortInUse(NotReady):
    code = "port_in_use"


class StorageUnavailable(NotReady):
    """The file store cannot be used; `permanent` says that it stays so until somebody changes a setting."""

    code = "storage_unavailable"

    def __init__(self, *, permanent: bool, reason: str) -> None:
        self.permanent = permanent
        super().__init__(reason=reason)
