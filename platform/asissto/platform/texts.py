"""Every sentence the product says, in Russian and English; a test holds the two key sets equal."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Language = Literal["ru", "en"]


def known_language(name: str) -> Language:
    """English for whatever is not Russian, as rows of the database name it."""
    return "ru" if name == "ru" else "en"


class Phrase(msgspec.Struct, frozen=True):
    """A part of a sentence that is itself to be said in the reader's language."""

    key: str
    limit: int | float | None = None

    def say(self, language: Language) -> str:
        return text(self.key, language, limit=self.limit)


def text(key: str, language: Language, **params: object) -> str:
    """The sentence behind `key` with its placeholders filled; raises KeyError for an unknown key."""
    en, ru = TEXTS[key]
    return (ru if language == "ru" else en).format(**params)


def reason_text(code: str, params: Mapping[str, object], language: Language) -> str:
    """The sentence of an error that was kept as its code and params; what a provider did is said in words too."""
    provider = f"provider.{params.get('reason')}"
    reason = {"reason": text(provider, language)} if provider in TEXTS else {}
    return text(f"error.{code}", language, **{"field": "", **params, **reason})


TEXTS: dict[str, tuple[str, str]] = {
    # Mail of the platform itself.
    "mail.reset.subject": ("A new password for Asissto", "Новый пароль для Asissto"),
    "mail.reset.text": (
        "Hello {name},\n\nsomebody asked for a new password for your account. Follow this link within 30 minutes to choose one:\n\n"
        "{link}\n\nIf it was not you, do nothing: your password stays as it is.\n",
        "Здравствуйте, {name}!\n\nКто-то запросил новый пароль для вашей учётной записи. Чтобы задать его, перейдите по ссылке в течение 30 минут:\n\n"
        "{link}\n\nЕсли это были не вы, ничего не делайте: пароль останется прежним.\n",
    ),
    "mail.confirm.subject": ("Confirm your e-mail address", "Подтвердите адрес электронной почты"),
    "mail.confirm.text": (
        "Hello {name},\n\nfollow this link within 72 hours to confirm that this address is yours:\n\n"
        "{link}\n\nIf you have no account at Asissto, do nothing.\n",
        "Здравствуйте, {name}!\n\nЧтобы подтвердить, что этот адрес ваш, перейдите по ссылке в течение 72 часов:\n\n"
        "{link}\n\nЕсли у вас нет учётной записи Asissto, ничего не делайте.\n",
    ),
    "mail.invitation.subject": ("{inviter} invites you to “{workspace}”", "{inviter} приглашает вас в «{workspace}»"),
    "mail.invitation.text": (
        "Hello,\n\n{inviter} invites you to the workspace “{workspace}” at Asissto. Follow this link within 72 hours to join:\n\n"
        "{link}\n\nIf you do not know what this is about, do nothing.\n",
        "Здравствуйте!\n\n{inviter} приглашает вас в рабочее пространство «{workspace}» в Asissto. Чтобы присоединиться, перейдите по ссылке в течение 72 часов:\n\n"
        "{link}\n\nЕсли вы не понимаете, о чём речь, ничего не делайте.\n",
    ),
    "report.digest.subject": (
        "{workspace}: figures from {since} to {until}",
        "{workspace}: показатели с {since} по {until}",
    ),
    "report.digest.text": (
        "The workspace “{workspace}” from {since} to {until}, and as long before:\n",
        "Рабочее пространство «{workspace}» с {since} по {until} и за такой же срок до этого:\n",
    ),
    "report.csv.subject": ("{workspace}: rows from {since} to {until}", "{workspace}: строки с {since} по {until}"),
    "report.csv.text": (
        "The rows from {since} to {until} are ready. The link is good for 14 days:\n\n{link}",
        "Строки с {since} по {until} готовы. Ссылка действует 14 дней:\n\n{link}",
    ),
    "report.before": ("before:", "до этого:"),
    "report.significant": ("- a real change", "- это не случайность"),
    "report.who.assistant": (
        "greatest part of the change, in points: assistant “{name}”, {points}",
        "наибольшая часть изменения, в пунктах: ассистент «{name}», {points}",
    ),
    "report.who.channel": (
        "greatest part of the change, in points: channel “{name}”, {points}",
        "наибольшая часть изменения, в пунктах: канал «{name}», {points}",
    ),
    "report.end": (
        "You asked for this report. To end it, without signing in: {link}",
        "Вы подписались на этот отчёт. Отписаться, не входя в систему: {link}",
    ),
    "report.end_question": ("Do you want to end this report?", "Отписаться от этого отчёта?"),
    "report.end_button": ("End the report", "Отписаться"),
    "report.ended": ("This report has ended. No more letters come.", "Вы отписаны: этот отчёт больше не приходит."),
    "report.unknown_link": ("There is no such report.", "Такого отчёта нет."),
    "figure.questions": ("Questions", "Вопросы"),
    "figure.answered_share": ("Answered", "Отвечено"),
    "figure.resolved_share": ("Resolved without a person", "Решено без человека"),
    "figure.durable_share": ("Resolved for good (7 days)", "Решено окончательно (7 дней)"),
    "figure.hand_over_share": ("Handed over to a person", "Передано человеку"),
    "figure.first_reply_p50": ("Time to the first reply, median", "Время до первого ответа, медиана"),
    "figure.first_reply_p95": ("Time to the first reply, 95th percentile", "Время до первого ответа, 95-й процентиль"),
    "figure.thumbs_up_share": ("Thumbs up", "Палец вверх"),
    "figure.csat": ("Satisfied customers (4 and 5 of 5)", "Довольные клиенты (4 и 5 из 5)"),
    "figure.cost": ("Models cost", "Стоимость моделей"),
    "figure.sms_segments": ("SMS segments", "Сегменты SMS"),
    "conflict.report_exists": ("you have this report already", "этот отчёт у вас уже есть"),
    "kind.report": ("report", "отчёт"),
    "mail.quota_near.subject": (
        "“{workspace}” has used {percent} % of its plan: {what}",
        "«{workspace}»: израсходовано {percent} % тарифа, {what}",
    ),
    "mail.quota_near.text": (
        "Hello,\n\nthe workspace “{workspace}” has used {used} of the {limit} that its plan «{plan}» includes: {what}.\n\n"
        "Nothing has changed yet. A larger plan or a higher balance keeps it so; you find both under “Plan and balance”.\n",
        "Здравствуйте!\n\nРабочее пространство «{workspace}» израсходовало {used} из {limit}, входящих в тариф «{plan}»: {what}.\n\n"
        "Пока всё работает как раньше. Чтобы так и осталось, выберите тариф побольше или пополните баланс в разделе «Тариф и баланс».\n",
    ),
    "mail.quota_full.subject": (
        "“{workspace}” has used all of its plan: {what}",
        "«{workspace}»: тариф израсходован полностью, {what}",
    ),
    "mail.quota_full.text": (
        "Hello,\n\nthe workspace “{workspace}” has used {used} of the {limit} that its plan «{plan}» includes: {what}.\n\n"
        "What is there goes on working; for more a larger plan is needed, or, for answers, balance. You find both under “Plan and balance”.\n",
        "Здравствуйте!\n\nРабочее пространство «{workspace}» израсходовало {used} из {limit}, входящих в тариф «{plan}»: {what}.\n\n"
        "Всё, что уже есть, продолжает работать; для большего нужен тариф побольше, а для ответов подойдёт и баланс. И то и другое — в разделе «Тариф и баланс».\n",
    ),
    # Errors: what is wrong, then what to do.
    "error.internal": (
        "Something went wrong on our side. Try again; if it happens again, tell support the request id.",
        "Что-то сломалось на нашей стороне. Попробуйте ещё раз; если повторится, сообщите поддержке номер запроса.",
    ),
    "error.invalid_input": (
        "The value of “{field}” cannot be used: {detail}. Correct it and send the request again.",
        "Значение поля «{field}» не подходит: {detail}. Исправьте его и отправьте запрос снова.",
    ),
    "error.malformed_json": (
        "The request body is not valid JSON. Check the quotes and brackets and send it again.",
        "Тело запроса — не корректный JSON. Проверьте кавычки и скобки и отправьте снова.",
    ),
    "error.question_empty": (
        "The question is empty. Type what you want to know.",
        "Вопрос пуст. Напишите, что вы хотите узнать.",
    ),
    "error.question_too_long": (
        "The question has {length} characters, at most {limit} are allowed. Shorten it.",
        "В вопросе {length} знаков, допускается не больше {limit}. Сократите его.",
    ),
    "error.weak_password": (
        "The password is too short: use at least {minimum} characters.",
        "Пароль слишком короткий: нужно не меньше {minimum} знаков.",
    ),
    "error.unknown_setting": (
        "{names}: no such setting. Check the spelling against docs/reference/settings.md.",
        "{names}: такой настройки нет. Сверьте написание с docs/reference/settings.md.",
    ),
    "error.bad_setting": (
        "The setting {name} has a value that cannot be used: {detail}.",
        "У настройки {name} неподходящее значение: {detail}.",
    ),
    "error.unknown_variable": (
        "“{field}” names the variable “{name}”, which is not declared. "
        "Declare it in settings.variables, or correct the name.",
        "В поле «{field}» названа переменная «{name}», которая не объявлена. "
        "Объявите её в settings.variables или исправьте имя.",
    ),
    "error.reranker_missing": (
        "The reranking model “{model}” needs the package fastembed or sentence-transformers. Install one, or set ASISSTO_RERANK_URL.",
        "Для модели переранжирования «{model}» нужен пакет fastembed или sentence-transformers. Установите один из них или задайте ASISSTO_RERANK_URL.",
    ),
    "error.document_busy": (
        "“{title}” is being worked on. Wait until it is ready or has failed, then try again.",
        "Документ «{title}» ещё обрабатывается. Дождитесь, пока он будет готов или завершится ошибкой, и повторите.",
    ),
    "error.document_refused": (
        "The file “{name}” could not be read: {detail}.",
        "Файл «{name}» не удалось прочитать: {detail}.",
    ),
    "error.document_empty": (
        "The file “{name}” holds no text. Upload a file with text in it.",
        "В файле «{name}» нет текста. Загрузите файл с текстом.",
    ),
    "error.document_encrypted": (
        "The file “{name}” is protected by a password. Remove the password and upload it again.",
        "Файл «{name}» защищён паролем. Снимите пароль и загрузите файл снова.",
    ),
    "error.document_corrupt": (
        "The file “{name}” is damaged and cannot be opened. Save it anew in its program and upload it again.",
        "Файл «{name}» повреждён и не открывается. Пересохраните его в исходной программе и загрузите снова.",
    ),
    "error.document_garbled": (
        "The fonts of “{name}” give unreadable characters instead of text. "
        "Export the PDF anew with embedded fonts, or upload the original document.",
        "Шрифты файла «{name}» дают нечитаемые знаки вместо текста. "
        "Сохраните PDF заново со встроенными шрифтами или загрузите исходный документ.",
    ),
    "error.document_needs_ocr": (
        "“{name}” consists of pictures of text, and text recognition is not installed here. "
        "Recognise the text in a scanning program and upload the result, or ask the administrator to install tesseract.",
        "«{name}» состоит из изображений текста, а распознавание текста здесь не установлено. "
        "Распознайте текст в программе для сканирования и загрузите результат или попросите администратора установить tesseract.",
    ),
    "error.document_type_unknown": (
        "Files of the type of “{name}” are not supported. Supported: {supported}.",
        "Файлы такого типа, как «{name}», не поддерживаются. Поддерживаются: {supported}.",
    ),
    "error.document_type_mismatch": (
        "The content of “{name}” is of the type {found}, which is not supported. Supported: {supported}.",
        "По содержанию «{name}» — файл типа {found}, а такие файлы не поддерживаются. Поддерживаются: {supported}.",
    ),
    "error.document_converter_missing": (
        "“{name}” can be read only with the help of LibreOffice, which is not installed here. "
        "Save it as DOCX and upload that, or ask the administrator to install LibreOffice Writer.",
        "«{name}» можно прочитать только с помощью LibreOffice, а здесь он не установлен. "
        "Сохраните файл как DOCX и загрузите его или попросите администратора установить LibreOffice Writer.",
    ),
    "error.document_bomb": (
        "“{name}” is made to unpack into far more than a document holds (over {limit_mb} MB) and was not opened. "
        "Save it anew in its program, or upload a smaller file.",
        "«{name}» при распаковке занимает намного больше, чем бывает у документов (свыше {limit_mb} МБ), и не был открыт. "
        "Пересохраните файл в исходной программе или загрузите файл меньшего размера.",
    ),
    "error.document_too_complex": (
        "The structure of “{name}” is too deep or too large to be read. Save it in a simpler form, for example as plain text, and upload that.",
        "Структура файла «{name}» слишком глубока или велика, чтобы его прочитать. Сохраните его в более простом виде, например как обычный текст, и загрузите снова.",
    ),
    "error.document_too_large": (
        "The file “{name}” is larger than {limit_mb} MB. Split it, or raise ASISSTO_MAX_UPLOAD_MB.",
        "Файл «{name}» больше {limit_mb} МБ. Разделите его или увеличьте ASISSTO_MAX_UPLOAD_MB.",
    ),
    "error.document_parse_timeout": (
        "Reading “{name}” took longer than {seconds} s and was stopped. Split the file and upload the parts.",
        "Чтение файла «{name}» заняло больше {seconds} с и было остановлено. Разделите файл и загрузите по частям.",
    ),
    "error.document_ocr_timeout": (
        "Recognising the text of “{name}” takes too long: {done} of {total} pages were read within {seconds} s. "
        "Split the file and upload the parts, or raise ASISSTO_PARSE_SECONDS.",
        "Распознавание текста «{name}» занимает слишком много времени: за {seconds} с прочитано страниц: {done} из {total}. "
        "Разделите файл и загрузите по частям или увеличьте ASISSTO_PARSE_SECONDS.",
    ),
    "error.document_parse_memory": (
        "Reading “{name}” needed more than {limit_mb} MB of memory and was stopped. Split the file and upload the parts.",
        "Для чтения файла «{name}» не хватило {limit_mb} МБ памяти. Разделите файл и загрузите по частям.",
    ),
    "error.original_missing": (
        "The original is not in the file store any more. Upload the file again.",
        "Исходного файла больше нет в хранилище. Загрузите его снова.",
    ),
    "error.address_unusable": (
        "The address {url} cannot be used. It must begin with http:// or https:// and may name neither a password nor a port of its own.",
        "Адрес {url} не подходит. Он должен начинаться с http:// или https:// и не содержать ни пароля, ни номера порта.",
    ),
    "error.address_refused": (
        "The address leads into a private network ({address}), where the server does not go. "
        "For an intranet the administrator sets ASISSTO_CRAWL_PRIVATE_ADDRESSES.",
        "Адрес ведёт во внутреннюю сеть ({address}), куда сервер не ходит. "
        "Для интранета администратор включает ASISSTO_CRAWL_PRIVATE_ADDRESSES.",
    ),
    "error.source_problem": ("The site could not be read.", "Сайт не удалось прочитать."),
    "error.page_unreachable": (
        "{url} cannot be reached: {detail}. Open the address in a browser to see whether the site works.",
        "Страница {url} недоступна: {detail}. Откройте адрес в браузере и проверьте, работает ли сайт.",
    ),
    "error.page_timeout": (
        "{url} did not answer within {seconds} s.",
        "Страница {url} не ответила за {seconds} с.",
    ),
    "error.page_status": (
        "The site answered {url} with the error {status}.",
        "На запрос {url} сайт ответил ошибкой {status}.",
    ),
    "error.page_gone": (
        "The page {url} is not there any more (error {status}).",
        "Страницы {url} больше нет (ошибка {status}).",
    ),
    "error.page_busy": (
        "The site asks to come back later (error {status} at {url}). The next sync tries again.",
        "Сайт просит зайти позже (ошибка {status} на {url}). Следующая синхронизация попробует снова.",
    ),
    "error.page_too_large": (
        "{url} is larger than {limit_mb} MB.",
        "Страница {url} больше {limit_mb} МБ.",
    ),
    "error.page_redirects": (
        "{url} redirects in a circle or too many times.",
        "Страница {url} перенаправляет по кругу или слишком много раз.",
    ),
    "error.page_elsewhere": (
        "{url} redirects to another site, {target}. Add that site as a source of its own if you need it.",
        "Страница {url} перенаправляет на другой сайт, {target}. Если он нужен, добавьте его отдельным источником.",
    ),
    "error.page_disallowed": (
        "The site's robots.txt does not allow {url} to be read.",
        "Файл robots.txt сайта не разрешает читать {url}.",
    ),
    "error.page_hidden": (
        "{url} asks not to be indexed (noindex).",
        "Страница {url} просит её не индексировать (noindex).",
    ),
    "error.page_duplicate": (
        "{url} is another address of {target}.",
        "{url} — другой адрес страницы {target}.",
    ),
    "error.page_type_unknown": (
        "{url} is of the type {media_type}, which cannot be read.",
        "Страница {url} имеет тип {media_type}, такие не читаются.",
    ),
    "error.page_empty": (
        "{url} holds no text of its own. Pages that only a browser can put together are not read.",
        "На странице {url} нет своего текста. Страницы, которые собирает только браузер, не читаются.",
    ),
    "error.page_unlinked": (
        "Nothing leads to {url} any more.",
        "На {url} больше ничто не ведёт.",
    ),
    "error.robots_unavailable": (
        "The site's robots.txt cannot be read ({detail}), so nothing is read until it can.",
        "Файл robots.txt сайта не читается ({detail}), поэтому пока не читается и сам сайт.",
    ),
    "error.sitemap_unreadable": (
        "{url} is no sitemap that can be read.",
        "По адресу {url} нет читаемой карты сайта.",
    ),
    "error.crawl_stopped": (
        "The sync ended early; what was there before stays.",
        "Синхронизация завершилась раньше; прежние страницы остались.",
    ),
    "error.crawl_page_limit": (
        "The site has more than {limit} pages, the limit of this source. Raise the limit or name the paths to read; pages that were not reached stay as they are.",
        "На сайте больше {limit} страниц — это предел источника. Увеличьте предел или укажите нужные разделы; непрочитанные страницы остались как были.",
    ),
    "error.crawl_time_limit": (
        "Reading the site took longer than {hours} h and was stopped; pages that were not reached stay as they are.",
        "Чтение сайта заняло больше {hours} ч и было остановлено; непрочитанные страницы остались как были.",
    ),
    "error.crawl_cancelled": (
        "The sync was cancelled; pages that were not reached stay as they are.",
        "Синхронизация отменена; непрочитанные страницы остались как были.",
    ),
    "error.crawl_silent": (
        "The site did not answer {count} times in a row, so the sync was stopped; what was there before stays.",
        "Сайт не ответил {count} раз подряд, поэтому синхронизация остановлена; прежние страницы остались.",
    ),
    "error.pages_missing": (
        "More than half of the pages ({count}) cannot be found at once. They stay for now and go if the next sync does not find them either.",
        "Не нашлось сразу больше половины страниц ({count}). Пока они остаются; если их не найдёт и следующая синхронизация, они будут удалены.",
    ),
    "error.payment_needed": (
        "This has to be paid for first. Choose a plan or top up the balance.",
        "Это нужно сначала оплатить. Выберите тариф или пополните баланс.",
    ),
    "error.plan_limit": (
        "The plan «{plan}» includes no more than {limit}: {what}. Choose a larger plan, or remove what is not needed.",
        "Предел тарифа «{plan}»: {what} — не больше {limit}. Выберите тариф побольше или уберите лишнее.",
    ),
    "error.model_not_included": (
        "The plan «{plan}» does not include the model {model}. Choose one of these, or a larger plan: {models}.",
        "В тариф «{plan}» не входит модель {model}. Выберите тариф побольше или одну из этих: {models}.",
    ),
    "error.answers_used_up": (
        "The answers of the plan are used up, and the balance is too low for more. Top it up or choose a larger plan.",
        "Ответы тарифа закончились, а на балансе не хватает средств. Пополните его или выберите тариф побольше.",
    ),
    "error.answers_paused": (
        "The answers of this workspace are used up, and messages wait. Top up the balance or choose a larger plan.",
        "Ответы этого рабочего пространства закончились, сообщения ждут. Пополните баланс или выберите тариф побольше.",
    ),
    "error.currency_differs": (
        "The balance is kept in {currency}, and this is in {wanted}. Choose what is in {currency}.",
        "Баланс ведётся в {currency}, а здесь {wanted}. Выберите то, что в {currency}.",
    ),
    "error.balance_too_low": (
        "The balance is too low for this. Top it up and try again.",
        "На балансе не хватает средств. Пополните его и повторите.",
    ),
    "error.not_signed_in": ("Sign in first.", "Сначала войдите."),
    "error.sign_in_failed": (
        "The e-mail or the password is wrong.",
        "Неверная почта или пароль.",
    ),
    "error.token_expired": (
        "The session has expired. Sign in again.",
        "Сеанс истёк. Войдите снова.",
    ),
    "error.token_invalid": (
        "The access token cannot be used. Sign in again.",
        "Токен доступа не подходит. Войдите снова.",
    ),
    "error.token_reused": (
        "This refresh token was used before, so the whole session was closed for safety. Sign in again.",
        "Этот токен обновления уже использован, поэтому сеанс закрыт ради безопасности. Войдите снова.",
    ),
    "error.forbidden": (
        "Your role does not allow this. Ask an owner of the workspace.",
        "Ваша роль этого не позволяет. Обратитесь к владельцу рабочего пространства.",
    ),
    "error.csrf_missing": (
        "The request lacks the X-CSRF-Token header. Reload the page and try again.",
        "В запросе нет заголовка X-CSRF-Token. Обновите страницу и попробуйте снова.",
    ),
    "error.hook_refused": (
        "The request does not carry this channel's secret or signature. Install the channel's address anew.",
        "В запросе нет секрета или подписи этого канала. Установите адрес канала заново.",
    ),
    "error.origin_refused": (
        "This page may not show the widget. Add the page's origin to the allowed origins of the channel.",
        "Этой странице нельзя показывать виджет. Добавьте её источник (origin) в разрешённые в настройках канала.",
    ),
    "error.identity_refused": (
        "The visitor's identity is missing, its signature is wrong, or it has expired. Sign the user id anew with the "
        "channel's identity_secret.",
        "Посетитель не указан, подпись неверна или истекла. Подпишите идентификатор пользователя заново секретом "
        "identity_secret канала.",
    ),
    "error.registration_closed": (
        "Registration is closed here. Ask the administrator for an invitation.",
        "Регистрация здесь закрыта. Попросите приглашение у администратора.",
    ),
    "error.tenant_suspended": (
        "This workspace is suspended. Nothing in it is lost; the administrator of the platform can resume it.",
        "Работа этого рабочего пространства приостановлена. Ничего не потеряно; возобновить её может администратор платформы.",
    ),
    "error.link_spent": (
        "This link was used already or has expired. Ask for a new one.",
        "Эта ссылка уже использована или истекла. Запросите новую.",
    ),
    "error.second_factor_required": (
        "Enter the code of your authenticator app, or one of your recovery codes.",
        "Введите код из приложения-аутентификатора или один из резервных кодов.",
    ),
    "error.second_factor_wrong": (
        "The code is wrong or was used already. Wait for the next one and enter it.",
        "Код неверен или уже использован. Дождитесь следующего и введите его.",
    ),
    "error.password_wrong": (
        "The password is not right. Enter the one that you sign in with now.",
        "Пароль неверен. Введите тот, с которым вы входите сейчас.",
    ),
    "error.email_unconfirmed": (
        "Your e-mail address is not confirmed yet. Follow the link that was sent to it, or ask for a new one.",
        "Ваш адрес электронной почты ещё не подтверждён. Перейдите по ссылке из письма или запросите новую.",
    ),
    "error.invitation_for_another": (
        "This invitation is for another e-mail address. Sign in with that one, or ask for an invitation of your own.",
        "Это приглашение для другого адреса электронной почты. Войдите с ним или попросите приглашение для своего адреса.",
    ),
    "error.scopes_beyond_role": (
        "A key cannot have these permissions: {scopes}. Choose among your own; keys, members and accounts are for people alone.",
        "Ключу нельзя дать эти права: {scopes}. Выберите из своих; ключами, участниками и учётными записями управляют только люди.",
    ),
    "error.mail_failed": (
        "The mail server did not take the letter: {detail}. Check the ASISSTO_SMTP_* settings.",
        "Почтовый сервер не принял письмо: {detail}. Проверьте настройки ASISSTO_SMTP_*.",
    ),
    "error.mail_missing": (
        "This server cannot send mail: ASISSTO_SMTP_HOST is not set. Ask the administrator, who can print the link (`asissto link`).",
        "Этот сервер не отправляет почту: не задан ASISSTO_SMTP_HOST. Обратитесь к администратору: он может напечатать ссылку (`asissto link`).",
    ),
    "error.not_found": ("There is no such {kind}.", "Не найдено: {kind}."),
    "error.method_not_allowed": (
        "This address does not take that method.",
        "Этот адрес не принимает такой метод.",
    ),
    "error.conflict": ("This clashes with what is there: {detail}.", "Это противоречит тому, что уже есть: {detail}."),
    "error.email_taken": (
        "There is an account with this e-mail already. Sign in instead.",
        "Учётная запись с такой почтой уже есть. Войдите.",
    ),
    "error.calibration_unsupported": (
        "{unanswerable} questions without an answer cannot show that the share of false answers stays below {budget}. "
        "Add more, {needed} in all at least, or allow a share of {supported}.",
        "По вопросам без ответа ({unanswerable}) нельзя показать, что доля ложных ответов ниже {budget}. "
        "Добавьте такие вопросы, всего не меньше {needed}, или разрешите долю {supported}.",
    ),
    "error.name_taken": (
        "The name “{name}” is taken. Choose another.",
        "Название «{name}» занято. Выберите другое.",
    ),
    "error.version_conflict": (
        "Somebody else has changed this in the meantime. Load it anew and repeat your change.",
        "Пока вы правили, это изменил кто-то другой. Загрузите заново и повторите изменение.",
    ),
    "error.pair_exists": (
        "The question “{question}” is answered already, by the pair {pair_id}. Change that pair, or ask in other words.",
        "На вопрос «{question}» ответ уже есть, в паре {pair_id}. Измените ту пару или сформулируйте вопрос иначе.",
    ),
    "error.last_owner": (
        "A workspace keeps at least one owner. Make somebody else an owner first.",
        "В рабочем пространстве остаётся хотя бы один владелец. Сначала назначьте другого.",
    ),
    "error.last_admin": (
        "The platform keeps at least one administrator. Make somebody else an administrator first.",
        "На платформе остаётся хотя бы один администратор. Сначала назначьте другого.",
    ),
    "error.no_owner": (
        "This workspace has no owner in whose place one could act. Invite an owner first.",
        "У этого рабочего пространства нет владельца, от имени которого можно действовать. Сначала пригласите владельца.",
    ),
    "error.conversation_closed": (
        "This conversation is closed. Send the question without it to begin a new one; in a messenger it opens when the "
        "customer writes.",
        "Этот диалог закрыт. Чтобы начать новый, отправьте вопрос без указания диалога; в мессенджере диалог откроется, "
        "когда клиент напишет.",
    ),
    "error.assistant_paused": (
        "This assistant is paused and does not answer. Make it active again, or ask another one.",
        "Этот ассистент приостановлен и не отвечает. Включите его снова или спросите другого.",
    ),
    "error.draft_exists": (
        "This assistant has a draft that would undo your change when it is published. "
        "Change the draft, or publish or discard it first.",
        "У этого ассистента есть черновик, и при публикации он отменил бы ваше изменение. "
        "Измените черновик либо сначала опубликуйте или удалите его.",
    ),
    "error.no_draft": (
        "This assistant has no draft. Change something first.",
        "У этого ассистента нет черновика. Сначала что-нибудь измените.",
    ),
    "error.publishing_guarded": (
        "A question set guards what this assistant publishes. Change its draft and publish that.",
        "Публикацию этого ассистента охраняет набор вопросов. Измените черновик и опубликуйте его.",
    ),
    "error.publish_refused": (
        "The draft breaks questions that the published version passes ({count}): {broken}. "
        "Correct the draft, or publish it all the same by an override with a reason.",
        "Черновик портит вопросы, с которыми опубликованная версия справляется ({count}): {broken}. "
        "Исправьте черновик или опубликуйте его всё равно: override с указанием причины.",
    ),
    "error.set_guards": (
        "This question set guards what an assistant publishes. Take the gate away first.",
        "Этот набор вопросов охраняет публикацию ассистента. Сначала снимите охрану.",
    ),
    "error.customer_unreachable": (
        "The message cannot be sent. {reason} Wait until the customer writes again, or reach them another way.",
        "Сообщение отправить нельзя. {reason} Дождитесь, пока клиент напишет сам, или свяжитесь с ним иначе.",
    ),
    "error.runs_differ": (
        "Only two finished runs of the same question set can be compared.",
        "Сравнить можно только два завершённых прогона одного набора вопросов.",
    ),
    "error.space_changed": (
        "The embedding model of this workspace has just changed. Send the request again.",
        "Модель эмбеддингов этого рабочего пространства только что сменилась. Отправьте запрос снова.",
    ),
    "error.too_large": (
        "The request is larger than allowed ({limit}).",
        "Запрос больше допустимого ({limit}).",
    ),
    "error.too_many_requests": (
        "Too many requests. Try again in {seconds} s.",
        "Слишком много запросов. Повторите через {seconds} с.",
    ),
    "error.payment_hook_refused": (
        "The event does not carry the provider's signature, or cannot be read. Check the signing secret in the settings.",
        "В событии нет подписи платёжного сервиса, или его нельзя прочитать. Проверьте секрет подписи в настройках.",
    ),
    "error.payment_key_reused": (
        "This key was used for another payment. Send a new key for a new payment.",
        "Этот ключ уже использован для другого платежа. Для нового платежа нужен новый ключ.",
    ),
    "error.payment_not_open": (
        "The payment is {state}, so this cannot be done to it. Load it again.",
        "Платёж {state}, поэтому так сделать нельзя. Загрузите его заново.",
    ),
    "error.payment_refused": (
        "The payment service {provider} refused the request: {reason}. Choose another way to pay, or tell the operator.",
        "Платёжный сервис {provider} отклонил запрос: {reason}. Выберите другой способ оплаты или сообщите оператору.",
    ),
    "error.payment_unanswered": (
        "The payment service {provider} did not answer. Send the same request again: nothing is paid twice.",
        "Платёжный сервис {provider} не ответил. Отправьте тот же запрос снова: дважды ничего не спишется.",
    ),
    "error.provider_failed": (
        "The model provider did not answer as expected: {reason}.",
        "Поставщик модели ответил не так, как ожидалось: {reason}.",
    ),
    "error.wrong_dimensions": (
        "The embedding model {model} gives vectors of {given} numbers instead of {wanted}. Correct the dimensions.",
        "Модель эмбеддингов {model} даёт векторы из {given} чисел, а не из {wanted}. Исправьте размерность.",
    ),
    "error.storage_full": (
        "There is no space left in the file store. Free some, then try again.",
        "В хранилище файлов закончилось место. Освободите место и попробуйте снова.",
    ),
    "error.storage_unavailable": (
        "The file store cannot be used: {reason}. Try again later; `asissto doctor` shows whether it works.",
        "Хранилище файлов недоступно: {reason}. Повторите позже; работает ли оно, покажет `asissto doctor`.",
    ),
    "error.not_ready": ("The service is starting. Try again in a moment.", "Служба запускается. Повторите чуть позже."),
    "error.channel_resting": (
        "The channel is paused. Bring the event again later.",
        "Канал приостановлен. Доставьте событие позже.",
    ),
    "error.database_down": (
        "The database at {address} does not answer. Start it, or check ASISSTO_DATABASE_URL.",
        "База данных {address} не отвечает. Запустите её или проверьте ASISSTO_DATABASE_URL.",
    ),
    "error.database_slow": (
        "The database is too busy to answer in time. Try again in a moment.",
        "База данных слишком занята и не ответила вовремя. Повторите чуть позже.",
    ),
    "error.database_too_old": (
        "The database has {found}; {needed} or newer is needed.",
        "В базе данных {found}; нужна версия {needed} или новее.",
    ),
    "error.database_wont_start": (
        "The embedded database in {path} did not start: {detail}",
        "Встроенная база данных в {path} не запустилась: {detail}",
    ),
    "error.data_dir_unusable": (
        "The data folder {path} cannot be written: {detail}. Choose another with ASISSTO_DATA_DIR.",
        "В папку данных {path} нельзя писать: {detail}. Выберите другую через ASISSTO_DATA_DIR.",
    ),
    "error.port_in_use": (
        "Port {port} is taken by another program. Choose another with ASISSTO_PORT.",
        "Порт {port} занят другой программой. Выберите другой через ASISSTO_PORT.",
    ),
    # What is wrong with a value, within error.invalid_input.
    "invalid.missing": ("it is missing", "оно не указано"),
    "invalid.no_dimension": (
        "the figure cannot be divided by it",
        "показатель так не делится",
    ),
    "invalid.period": (
        "the period must begin before it ends and be no longer than {limit} days",
        "период должен начинаться раньше, чем кончается, и быть не длиннее {limit} дней",
    ),
    "invalid.timezone": ("it is no time zone, as Europe/Moscow", "это не часовой пояс, как Europe/Moscow"),
    "invalid.unknown": ("there is no such field", "такого поля нет"),
    "invalid.too_short": ("it is shorter than {limit}", "оно короче {limit}"),
    "invalid.too_long": ("it is longer than {limit}", "оно длиннее {limit}"),
    "invalid.too_small": ("it is below {limit}", "оно меньше {limit}"),
    "invalid.too_large": ("it is above {limit}", "оно больше {limit}"),
    "invalid.choice": ("it is none of the allowed values", "такого значения нет среди допустимых"),
    "invalid.form": ("it does not have the expected form", "оно не того вида, который ожидается"),
    "invalid.kind": ("it is of another type than expected", "оно другого типа, чем ожидается"),
    "invalid.no_manager": ("somebody in it is no manager of the platform", "кто-то в нём не менеджер платформы"),
    "invalid.email": ("it is not an e-mail address", "это не адрес электронной почты"),
    "invalid.code": (
        "it is wrong or was used already; wait for the next one",
        "код неверен или уже использован; дождитесь следующего",
    ),
    "invalid.past": ("it lies in the past", "этот момент уже прошёл"),
    "invalid.same_topic": (
        "a topic cannot become a part of itself",
        "тема не может стать частью самой себя",
    ),
    "invalid.cursor": ("no list has given it out", "ни один список его не выдавал"),
    "invalid.empty_passage": (
        "a passage cannot be empty; switch it off instead",
        "фрагмент не может быть пустым; выключите его",
    ),
    "invalid.pair_passage": (
        "this passage is the answer of a pair; change the pair instead",
        "этот фрагмент — ответ пары; измените саму пару",
    ),
    "invalid.repeated": ("it repeats the question of line {limit}", "оно повторяет вопрос строки {limit}"),
    "invalid.cites_nothing": (
        "where no answer is expected, nothing can be cited",
        "там, где ответа не ждут, ссылаться не на что",
    ),
    "invalid.characters": ("it holds characters that cannot be stored", "в нём есть знаки, которые нельзя сохранить"),
    "invalid.dimensions": ("the model gives vectors of {limit} numbers", "модель даёт векторы из {limit} чисел"),
    "invalid.base_url": (
        "it is not an address such as https://example.com/v1",
        "это не адрес вида https://example.com/v1",
    ),
    "invalid.https": ("it has to begin with https://", "оно должно начинаться с https://"),
    "invalid.header": (
        "it has a name or a value that cannot be sent as a header",
        "в нём есть имя или значение, которое нельзя отправить в заголовке",
    ),
    "invalid.secret_again": (
        "it was given for another host; give it again",
        "оно было задано для другого узла; задайте его снова",
    ),
    "invalid.provider": ("there is no such provider in the workspace", "такого поставщика нет в рабочем пространстве"),
    # Why a provider did not answer as expected, within error.provider_failed and of a field.
    "provider.bad_api_key": ("it refused the API key", "он не принял ключ API"),
    "provider.broken_stream": ("its answer broke off or was garbled", "его ответ оборвался или испорчен"),
    "provider.circuit_open": (
        "it failed several times in a row and is left alone for half a minute",
        "он несколько раз подряд не ответил, и полминуты его не спрашивают",
    ),
    "provider.empty_answer": ("its answer was empty", "его ответ пуст"),
    "provider.key_unreadable": (
        "its key cannot be read with the server's key ring any more; give it again",
        "его ключ больше не читается связкой ключей сервера; задайте его снова",
    ),
    "provider.no_provider": (
        "the provider was deleted or switched off",
        "поставщик удалён или выключен",
    ),
    "provider.private_address": (
        "its address lies in a private network",
        "его адрес находится в частной сети",
    ),
    "provider.no_endpoint": (
        "neither OPENAI_API_KEY nor OPENAI_BASE_URL is set",
        "не заданы ни OPENAI_API_KEY, ни OPENAI_BASE_URL",
    ),
    "provider.rate_limited": ("its limit of requests is reached", "исчерпан его лимит запросов"),
    "provider.refused": ("it refused the request", "он отклонил запрос"),
    "provider.server_error": ("it had an error of its own", "на его стороне произошла ошибка"),
    "provider.timeout": ("it took too long", "он отвечал слишком долго"),
    "provider.unknown_model": ("it does not know this model", "он не знает такой модели"),
    "provider.unreachable": ("its address cannot be reached", "его адрес недоступен"),
    # What clashes, within error.conflict.
    "conflict.edited_since": (
        "it was taken back already, or changed again since",
        "это уже отменено или с тех пор изменено снова",
    ),
    "conflict.gap_state": (
        "the gap was approved or dismissed already",
        "этот пробел уже закрыт или отклонён",
    ),
    "conflict.api_channel": (
        "the API channel belongs to every workspace; it can only be renamed",
        "канал API есть у каждого рабочего пространства, его можно только переименовать",
    ),
    "conflict.channel_sealed": (
        "the secrets of its channel cannot be opened; enter them again in the channel’s settings",
        "секреты его канала не удаётся открыть; введите их заново в настройках канала",
    ),
    "conflict.other_reply": (
        "another reply was sent with this key",
        "с этим ключом уже отправлен другой ответ",
    ),
    "conflict.attachment_state": (
        "only an attachment whose fetching has failed can be fetched once more",
        "загрузить ещё раз можно только вложение, которое не удалось получить",
    ),
    "conflict.part_state": (
        "in its present state the part can be neither sent again nor cancelled",
        "в нынешнем состоянии эту часть нельзя ни отправить снова, ни отменить",
    ),
    "conflict.same_contact": ("a contact is one person with itself anyway", "контакт и так один человек с самим собой"),
    "conflict.exists": ("it is there already", "это уже есть"),
    "conflict.second_factor": (
        "the second factor is switched on already; switch it off first",
        "второй фактор уже включён; сначала отключите его",
    ),
    "conflict.member": ("this person is a member already", "этот человек уже участник"),
    # What was not found, within error.not_found.
    "grant.done": ("{email} has the role {role} on the platform now.", "У {email} теперь роль {role} на платформе."),
    "kind.topic": ("topic", "тема"),
    "kind.topic_edit": ("change of a topic", "изменение темы"),
    "kind.question_gap": ("gap of knowledge", "пробел в знаниях"),
    "topics.by_words": (
        "The embedding model does not know this language: topics were found by common words alone and are coarser. "
        "A multilingual model makes them exact.",
        "Модель эмбеддингов не знает этого языка: темы найдены только по общим словам и поэтому грубее. "
        "С многоязычной моделью они станут точными.",
    ),
    "kind.address": ("address", "адрес"),
    "kind.assistant": ("assistant", "ассистент"),
    "kind.attachment": ("attachment", "вложение"),
    "kind.channel": ("channel", "канал"),
    "kind.privacy_request": ("request about personal data", "запрос о персональных данных"),
    "kind.export": (
        "export: the link was used, or has expired",
        "выгрузка: ссылка уже использована или устарела",
    ),
    "kind.citation": ("citation", "цитата"),
    "kind.collection": ("collection", "коллекция"),
    "kind.contact": ("contact", "контакт"),
    "kind.conversation": ("conversation", "диалог"),
    "kind.document": ("document", "документ"),
    "kind.edit": ("edit", "правка"),
    "kind.gate": ("gate", "охрана публикации"),
    "kind.finding": ("finding", "замечание"),
    "kind.member": ("member", "участник"),
    "kind.message": ("message", "сообщение"),
    "kind.part": ("part of a message", "часть сообщения"),
    "kind.invitation": ("invitation", "приглашение"),
    "kind.key": ("API key", "ключ API"),
    "kind.second_factor": ("second factor", "второй фактор"),
    "kind.session": ("session", "сеанс"),
    "kind.passage": ("passage", "фрагмент"),
    "kind.pair": ("question/answer pair", "пара «вопрос — ответ»"),
    "conflict.job": (
        "it is at work, was done, or another one for the same thing waits already",
        "оно выполняется, уже выполнено, или такое же уже ждёт",
    ),
    "conflict.billing_off": ("this server has neither plans nor limits", "на этом сервере нет ни тарифов, ни лимитов"),
    "invalid.plan_code": ("it is not the one of the address", "не совпадает с адресом"),
    "invalid.free_plan": (
        "the free plan costs nothing and is always offered",
        "бесплатный тариф ничего не стоит и доступен всегда",
    ),
    "invalid.adjustment": ("it is zero", "равно нулю"),
    "invalid.standard_programme": ("the standard programme stays in use", "стандартная программа остаётся в работе"),
    "invalid.programme": ("there is no such programme in use", "такой действующей программы нет"),
    "invalid.rate": (
        "a rate has either basis_points or fixed",
        "у ставки есть либо basis_points, либо fixed",
    ),
    "invalid.own_referral": (
        "its partner belongs to the workspace",
        "его партнёр сам из этого рабочего пространства",
    ),
    "invalid.payout_reference": (
        "a payout that was paid has the reference of the transfer and paid_on, its date",
        "у проведённой выплаты есть номер перевода и дата, paid_on",
    ),
    "conflict.code_taken": (
        "this code is taken, or looks like one that is",
        "этот код занят или похож на занятый",
    ),
    "conflict.most_codes": ("a partner has {limit} codes at most", "у партнёра не больше {limit} кодов"),
    "conflict.payout_state": (
        "the payout does not stand so that this could follow",
        "в нынешнем состоянии выплаты это невозможно",
    ),
    "conflict.payout_minimum": (
        "less than {limit} is payable, in the smallest unit of the currency",
        "к выплате меньше {limit} в наименьших единицах валюты",
    ),
    "kind.partner": ("partner", "партнёр"),
    "kind.payout": ("payout", "выплата"),
    "kind.referral": ("referral", "привлечение"),
    "kind.referral_code": ("referral code", "партнёрский код"),
    "kind.plan": ("plan", "тариф"),
    "kind.price": ("price", "цена"),
    "kind.provider": ("model provider", "поставщик моделей"),
    "kind.question_case": ("question of the set", "вопрос набора"),
    "kind.question_set": ("question set", "набор вопросов"),
    "kind.receipt": ("receipt", "протокол ответа"),
    "kind.invoice": ("invoice", "счёт"),
    "kind.payment": ("payment", "платёж"),
    "kind.payment_provider": ("payment service", "платёжный сервис"),
    "payment.pending": ("not paid yet", "ещё не оплачен"),
    "payment.settled": ("paid", "оплачен"),
    "payment.failed": ("not carried out", "не прошёл"),
    "payment.refunded": ("refunded", "возвращён"),
    "payment.disputed": ("disputed", "оспорен"),
    "payment.problem.refused": (
        "The payment service refused the order: {detail}.",
        "Платёжный сервис отклонил заказ: {detail}.",
    ),
    "payment.problem.refund_refused": (
        "The payment service refused the refund: {detail}.",
        "Платёжный сервис отклонил возврат: {detail}.",
    ),
    "payment.problem.amount_differs": (
        "The payment service charged {detail}, which is not what was asked for. Nothing was booked; the operator decides.",
        "Платёжный сервис списал {detail}, а запрошено было другое. Ничего не зачислено, решает оператор.",
    ),
    "payment.problem.charged_twice": (
        "The payment was charged a second time, as {detail}. It was booked once; the operator refunds the other.",
        "Платёж списан второй раз, как {detail}. Зачислен один раз; второй вернёт оператор.",
    ),
    "payment.problem.currency_changed": (
        "The workspace counts in another currency by now. Nothing was booked; the operator decides.{detail}",
        "Валюта пространства с тех пор изменилась. Ничего не зачислено, решает оператор.{detail}",
    ),
    "payment.problem.never_ordered": (
        "The payment service did not answer in time. Start a new payment.{detail}",
        "Платёжный сервис не ответил вовремя. Начните новый платёж.{detail}",
    ),
    "payment.description": ("Balance top-up {id}", "Пополнение баланса {id}"),
    "paper.invoice": ("Invoice {number}", "Счёт {number}"),
    "paper.credit_note": ("Credit note {number}", "Корректировочный счёт {number}"),
    "paper.statement": ("Statement of {month}", "Выписка за {month}"),
    "paper.dated": ("Issued on {day}.", "Дата выставления: {day}."),
    "paper.corrects": ("It corrects the invoice {number}.", "Корректирует счёт {number}."),
    "paper.seller": ("Seller", "Продавец"),
    "paper.buyer": ("Buyer", "Покупатель"),
    "paper.what": ("Description", "Наименование"),
    "paper.at": ("Date (UTC)", "Дата (UTC)"),
    "paper.amount": ("Amount, {currency}", "Сумма, {currency}"),
    "paper.total": ("Total", "Итого"),
    "paper.opening": ("Balance at the beginning", "Остаток на начало"),
    "paper.closing": ("Balance at the end", "Остаток на конец"),
    "paper.kind.top_up": ("Top-up", "Пополнение"),
    "paper.kind.refund": ("Refund", "Возврат"),
    "paper.kind.refund_returned": ("Refund that came back", "Отменённый возврат"),
    "paper.kind.dispute": ("Disputed payment", "Оспоренный платёж"),
    "paper.kind.dispute_returned": ("Dispute that was won", "Выигранный спор"),
    "paper.kind.usage": ("Usage of a day", "Использование за день"),
    "paper.kind.plan": ("Plan", "Тариф"),
    "paper.kind.plan_credit": ("Credit for a plan that was changed", "Возврат за смену тарифа"),
    "paper.kind.adjustment": ("Adjustment", "Корректировка"),
    "paper.line.invoice": ("Balance top-up, payment {payment}", "Пополнение баланса, платёж {payment}"),
    "paper.line.credit_note": ("Refund of the payment {payment}", "Возврат по платежу {payment}"),
    "invalid.month": ("a month is written as 2026-11", "месяц пишется как 2026-11"),
    "invalid.currency_changed": (
        "the workspace counts in another currency than the payment",
        "валюта пространства не та, что у платежа",
    ),
    "invalid.payment_currency": (
        "the payment service does not take the currency of this workspace",
        "платёжный сервис не принимает валюту этого пространства",
    ),
    "invalid.refund_amount": (
        "at most {limit} minor units can still be refunded",
        "вернуть можно не больше {limit} минимальных единиц валюты",
    ),
    "kind.set_run": ("run", "прогон"),
    "kind.source": ("source", "источник"),
    "kind.sync": ("sync", "синхронизация"),
    "kind.job": ("job", "задание"),
    "kind.tenant": ("workspace", "рабочее пространство"),
    "kind.impersonation": ("session", "сеанс"),
    "kind.user": ("user", "пользователь"),
    "kind.version": ("version", "версия"),
    # Why an answer does not pass its case.
    "judge.abstained": ("It does not answer.", "Ответа нет."),
    "judge.answered": ("It answers what it should not.", "Ответ есть там, где его быть не должно."),
    "judge.not_handed_over": ("It does not hand over to a person.", "Разговор не передан человеку."),
    "judge.handed_over": ("It hands over to a person.", "Разговор передан человеку."),
    "judge.phrase_missing": ("It does not say “{phrase}”.", "В ответе нет слов «{phrase}»."),
    "judge.phrase_forbidden": ("It says “{phrase}”.", "В ответе есть слова «{phrase}»."),
    "judge.citation_missing": (
        "It cites none of the expected documents: {documents}.",
        "Нет ссылки ни на один из ожидаемых документов: {documents}.",
    ),
    # What the assistant says of itself.
    "answer.unknown": (
        "I did not find an answer to this in the documents. Please ask the question to a person.",
        "В документах я не нашёл ответа на этот вопрос. Пожалуйста, задайте его сотруднику.",
    ),
    "answer.greeting": (
        "Hello! Ask your question, and I will look for the answer in the documents.",
        "Здравствуйте! Задайте вопрос, и я найду ответ в документах.",
    ),
    "answer.thanks": (
        "You are welcome! If there is anything else, just ask.",
        "Пожалуйста! Если появятся ещё вопросы, пишите.",
    ),
    "hand_over.done": (
        "I am passing your question on to a person, who will answer here.",
        "Передаю ваш вопрос сотруднику, он ответит вам здесь.",
    ),
    "hand_over.offer": (
        "If you write “operator”, I will pass your question on to a person.",
        "Если написать «оператор», я передам ваш вопрос сотруднику.",
    ),
    "hand_over.nobody": (
        "I cannot pass you on to a person here: I only answer from the documents. Ask your question, and I will look.",
        "Я не могу позвать сотрудника: здесь отвечаю только я, по документам. Задайте вопрос, и я поищу ответ.",
    ),
    "hand_over.notice": (
        "A customer waits for a person ({reason}):\n{question}",
        "Клиент ждёт сотрудника ({reason}):\n{question}",
    ),
    "reason.asked_for_person": ("asked for one", "сам попросил"),
    "reason.no_knowledge": ("the documents say nothing about it", "в документах нет ответа"),
    "reason.low_confidence": ("the assistant is not sure", "ассистент не уверен в ответе"),
    "reason.guardrail": ("a rule of the assistant", "по правилу ассистента"),
    "reason.repeated_failure": ("several failures in a row", "несколько неудач подряд"),
    "reason.provider_down": ("the model is not available", "модель недоступна"),
    "reason.quota": ("the quota is used up", "исчерпана квота"),
    "quota.answers": ("answers", "ответы"),
    "quota.documents": ("documents", "документы"),
    "quota.storage_mb": ("MB of files", "МБ файлов"),
    "quota.channels": ("channels", "каналы"),
    "quota.seats": ("members", "участники"),
    "quota.text": (
        "I cannot answer at the moment. Your message is kept, please write again later.",
        "Сейчас я не могу ответить. Ваше сообщение сохранено, напишите, пожалуйста, позже.",
    ),
    "hand_over.waiting": (
        "Your message has reached a person, who will answer here.",
        "Ваше сообщение передано сотруднику, он ответит вам здесь.",
    ),
    # What channels say below and around an answer.
    "channel.sources": ("Sources", "Источники"),
    "channel.whole_answer": ("Whole answer with its sources:", "Полный ответ с источниками:"),
    "channel.closed_now": (
        "Nobody is here at the moment; a person will answer as soon as the working hours begin.",
        "Сейчас нерабочее время; сотрудник ответит, как только начнётся рабочий день.",
    ),
    "csat.question": (
        "How did we do? Please rate this conversation from 1 (poor) to 5 (great).",
        "Помогли ли мы вам? Оцените разговор от 1 (плохо) до 5 (отлично).",
    ),
    "channel.only_text": (
        "I have received it, but I can read only text so far. Please write your question in words.",
        "Получил, но пока я умею читать только текст. Напишите, пожалуйста, вопрос словами.",
    ),
    "channel.mail_too_large": (
        "Your mail is larger than I can take, so I have read only its words and not its attachments. Please send them in "
        "smaller mails, or a link to them.",
        "Ваше письмо больше допустимого размера, поэтому я прочитал только текст, без вложений. Пришлите их, пожалуйста, "
        "письмами поменьше или ссылкой.",
    ),
    "channel.too_many": (
        "That is more than I can answer at the moment. Please write again a little later.",
        "Сейчас сообщений больше, чем я успеваю обработать. Напишите, пожалуйста, немного позже.",
    ),
    "telegram.hook_in_the_way": (
        "Telegram still brings this bot's messages to another address. That ends when this channel fetches them.",
        "Telegram пока доставляет сообщения этого бота на другой адрес. Это прекратится, когда канал начнёт получать их сам.",
    ),
    "telegram.hook_missing": (
        "Telegram does not know where to bring this bot's messages. Set the channel up again.",
        "Telegram не знает, куда доставлять сообщения этого бота. Настройте канал заново.",
    ),
    "telegram.hook_fails": (
        "Telegram could not bring messages to this server lately, and they wait.",
        "Telegram недавно не смог доставить сообщения на этот сервер, и они ждут.",
    ),
    "telegram.no_groups": (
        "The bot may not join groups. Allow it in BotFather with /setjoingroups.",
        "Боту нельзя вступать в группы. Разрешите это в BotFather командой /setjoingroups.",
    ),
    "answer_page.title": ("Answer", "Ответ"),
    "answer_page.expired": (
        "This link has expired. Ask the question again to get a new one.",
        "Срок действия ссылки истёк. Задайте вопрос ещё раз, чтобы получить новую.",
    ),
    "answer_page.unknown": ("There is no answer behind this link.", "По этой ссылке ответа нет."),
    # What a test of a connection tells the owner.
    "twilio.no_public_url": (
        "The server has no public address, so Twilio cannot deliver messages. Set ASISSTO_PUBLIC_URL.",
        "У сервера нет публичного адреса, и Twilio не может доставлять сообщения. Задайте ASISSTO_PUBLIC_URL.",
    ),
    "twilio.enter_address": (
        "In the Twilio console, open the sender or the messaging service, and enter the address of this channel under "
        "“A message comes in” (or “Webhook URL for incoming messages”), method HTTP POST.",
        "В консоли Twilio откройте отправителя или Messaging Service и впишите адрес этого канала в поле "
        "«A message comes in» (или «Webhook URL for incoming messages»), метод HTTP POST.",
    ),
    "twilio.not_installed": (
        "The number in Twilio does not call this channel yet: install the channel.",
        "Номер в Twilio пока не обращается к этому каналу: установите канал.",
    ),
    "channel.note.senders_unverified": (
        "No sender counts as verified: the settings do not name the mail server whose checks may be trusted (authserv_id).",
        "Ни один отправитель не считается проверенным: в настройках не указан почтовый сервер, проверкам которого можно доверять (authserv_id).",
    ),
    "channel.note.no_sent_folder": (
        "There is no folder of the name in sent_folder, so answers leave no copy in the mailbox.",
        "Папки с именем из sent_folder нет, поэтому копии ответов в ящике не сохраняются.",
    ),
    "widget.no_identity_secret": (
        "The widget asks for a signed identity, and there is no identity_secret: nobody can write.",
        "Виджет требует подписанную личность посетителя, а секрета identity_secret нет: никто не сможет написать.",
    ),
    "reach.blocked": ("The customer has blocked the channel.", "Клиент заблокировал канал."),
    "reach.opted_out": ("The customer wants no more messages.", "Клиент отказался от сообщений."),
    "reach.not_allowed": (
        "The customer has not allowed messages from the channel.",
        "Клиент не разрешил каналу писать ему.",
    ),
    "reach.window_closed": (
        "The messenger allows free text only within 24 hours after the customer’s last message.",
        "Мессенджер разрешает обычный текст только в течение 24 часов после последнего сообщения клиента.",
    ),
    "reach.unreachable": ("The provider cannot reach the customer.", "Провайдер не может доставить сообщение клиенту."),
    # Why a part of a message was not sent; what the customer's side says is in reach.
    "delivery.retryable": (
        "The provider did not take it; it is tried again.",
        "Провайдер не принял сообщение; попытки продолжаются.",
    ),
    "delivery.rate_limited": (
        "The provider takes no more at the moment; it is tried again later.",
        "Провайдер сейчас не принимает новые сообщения; отправим позже.",
    ),
    "delivery.uncertain": (
        "The provider did not answer: it may have been sent.",
        "Провайдер не ответил: возможно, сообщение отправлено.",
    ),
    "delivery.unknown": (
        "It may have been sent or not: the provider did not answer. Ask the customer, or send it again.",
        "Неизвестно, дошло ли сообщение: провайдер не ответил. Спросите клиента или отправьте снова.",
    ),
    "delivery.malformed": ("The provider refused its format.", "Провайдер не принял формат сообщения."),
    "delivery.permanent": ("The provider refused it for good.", "Провайдер окончательно отклонил сообщение."),
    "delivery.channel_broken": (
        "The channel is broken; it is sent when the channel is repaired.",
        "Канал неисправен; сообщение уйдёт, когда канал починят.",
    ),
    "delivery.stale": (
        "It waited for too long and is not sent any more.",
        "Сообщение ждало слишком долго и уже не будет отправлено.",
    ),
    "delivery.taken_over": (
        "A person took the conversation over before it was sent.",
        "Диалог перешёл к сотруднику раньше, чем сообщение ушло.",
    ),
    "delivery.cancelled": ("A member cancelled it.", "Отменено сотрудником."),
    # Why an attachment is not there.
    "attachment.too_large": ("It is larger than 20 MB.", "Вложение больше 20 МБ."),
    "attachment.expired": (
        "The workspace keeps attachments no longer than this.",
        "Срок хранения вложений истёк.",
    ),
    "attachment.mail_too_large": (
        "The mail is larger than the channel takes (max_mb); only its beginning was read. It lies in the mailbox.",
        "Письмо больше, чем принимает канал (max_mb): прочитано только его начало. Само письмо лежит в ящике.",
    ),
    "attachment.too_many": (
        "More mails came from this address than the channel answers; the attachment lies in the mailbox.",
        "С этого адреса пришло больше писем, чем отвечает канал; вложение лежит в ящике.",
    ),
    "attachment.unsupported": (
        "Files of this channel cannot be fetched yet.",
        "Файлы из этого канала пока не загружаются.",
    ),
    "attachment.permanent": ("The provider does not give it out.", "Провайдер не отдаёт это вложение."),
    "attachment.channel_broken": (
        "The channel was broken when it came.",
        "Когда пришло вложение, канал был неисправен.",
    ),
    "attachment.fault": (
        "It could not be stored because of a fault on our side.",
        "Не удалось сохранить вложение из-за ошибки на нашей стороне.",
    ),
    "answer.refused": (
        "I cannot answer questions about this.",
        "На вопросы об этом я не отвечаю.",
    ),
    "answer.unsure": ("This may help:", "Возможно, поможет это:"),
    "answer.foreign": (
        "The document “{title}” says (in {spoken}):",
        "В документе «{title}» сказано ({spoken}):",
    ),
    "answer.in_en": ("English", "на английском"),
    "answer.in_ru": ("Russian", "на русском"),
    # Where a citation stands.
    "locator.page": ("p. {page}", "с. {page}"),
    # What a review of the knowledge finds.
    "finding.contradiction": (
        "“{first}” in “{a}”, but “{second}” in “{b}”.",
        "«{first}» в документе «{a}», но «{second}» в документе «{b}».",
    ),
    "finding.expired": ("“{first}” in “{a}”: {value} is past.", "«{first}» в документе «{a}»: срок ({value}) прошёл."),
    "finding.duplicate": (
        "The same text stands in “{a}” and in “{b}” (passages: {passages}), for example “{first}”.",
        "Один и тот же текст стоит в документах «{a}» и «{b}» (фрагментов: {passages}), например «{first}».",
    ),
    "finding.near_duplicate": (
        "“{a}” says nearly the same as “{b}”, which is newer (passages: {passages}): “{first}” and “{second}”.",
        "Документ «{a}» почти повторяет более новый «{b}» (фрагментов: {passages}): «{first}» и «{second}».",
    ),
    # What `asissto` prints.
    "up.sample": ("Loading the sample knowledge base", "Загружается учебная база знаний"),
    "up.address": ("Asissto is running at {address}", "Asissto работает: {address}"),
    "up.link": (
        "Become its administrator by this link, once, within 72 hours:\n  {link}",
        "Станьте администратором по этой ссылке (один раз, в течение 72 часов):\n  {link}",
    ),
    "console.not_built": (
        "The console is not built. In a checkout, with the network: run `make setup` and load this page anew. The API works without it.",
        "Консоль не собрана. В рабочей копии, при доступной сети: выполните `make setup` и обновите страницу. API работает и без неё.",
    ),
    "up.stop": ("Press Ctrl+C to stop.", "Остановить: Ctrl+C."),
    "cli.question": ("Question: {question}", "Вопрос: {question}"),
    "cli.confidence": ("confidence {confidence}, {ms} ms", "уверенность {confidence}, {ms} мс"),
    "cli.loading": ("Loading", "Загрузка"),
    "cli.asking": ("Asking", "Вопросы"),
    "cli.calibration": (
        "{questions} questions, {unanswerable} without an answer. AUROC {auroc}, calibration error {before}, {after} "
        "after the fit. They can show a budget of {supported}.",
        "Вопросов: {questions}, из них без ответа: {unanswerable}. AUROC {auroc}, ошибка калибровки {before}, {after} "
        "после подгонки. По ним можно показать бюджет {supported}.",
    ),
    "cli.thresholds": (
        "confidence, answered of the answerable, false answers, their share, upper bound at 95 %",
        "уверенность, отвечено из имеющих ответ, ложных ответов, их доля, верхняя граница при 95 %",
    ),
    "cli.reliability": (
        "questions, confidence promised, share with an answer",
        "вопросов, обещанная уверенность, доля имеющих ответ",
    ),
    "cli.calibration_saved": (
        "Saved as version {version} of “{name}”: it answers from confidence {least} on.",
        "Сохранено как версия {version} ассистента «{name}»: он отвечает с уверенности {least}.",
    ),
    "cli.calibration_not_saved": ("Not saved: add --save.", "Не сохранено: добавьте --save."),
    "cli.reading": ("Reading files", "Чтение файлов"),
    "demo.name": ("Demo workspace", "Демонстрационное пространство"),
    "demo.person": ("Demo owner", "Владелец для показа"),
    "demo.bank": ("Example Bank, account 00000000", "Банк «Пример», счёт 00000000"),
    "demo.owner": ("Sign in as {email} with {password}", "Вход: {email}, пароль {password}"),
    "demo.plan": (
        "Plan {plan}, {price} {currency} a period; balance {balance} {currency}",
        "Тариф «{plan}», {price} {currency} за период; на балансе {balance} {currency}",
    ),
    "demo.usage": ("Used, and included", "Использовано и включено"),
    "demo.ledger": ("Ledger: out of, into, amount", "Книга проводок: откуда, куда, сумма"),
    "demo.invoices": ("Invoices", "Счета"),
    "demo.partner": ("Demo partner", "Партнёр для показа"),
    "demo.referral": (
        "Brought by a partner with the code {code}, who has earned {amount} {currency}",
        "Привлёк партнёр с кодом {code}, ему начислено {amount} {currency}",
    ),
}
