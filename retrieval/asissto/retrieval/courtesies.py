"""Tells greetings and thanks from questions, and answers them without search and without a model."""

import re
from typing import Literal

from asissto.ingestion.lexemes import folded

Courtesy = Literal["greeting", "thanks"]

_LONGEST = 100
_GREETING = (
    r"привет(?:ик|ики|ствую|ствуем|ы)?|здравствуй(?:те)?|здрасьте|здрасте|здорово|хай|хелло|салют|ку|алло|ало"
    r"|добр(?:ый|ое|ого|ой|ая)\s(?:день|утро|вечер|дня|утра|вечера|времени|ночи|ночь)(?:\sсуток)?|доброго\sвремени\sсуток"
    r"|hi|hello|hey|hiya|howdy|yo|greetings|good\s(?:morning|afternoon|evening|day)|how\sare\syou(?:\s(?:doing|today))*|how'?s\sit\sgoing"
    r"|hows?\s(?:ya|you)\s(?:doing|been)|how\sya\s(?:doin|doing|been)|как\s(?:дела|поживаете|жизнь|ты|вы)|what'?s\sup|sup"
)
_THANKS = (
    r"спасиб(?:о|ки|очки)|спс|пасиб(?:а|о)?|благодар(?:ю|им|ен|на|ствую|ны)|признател(?:ен|ьна)|мерси"
    r"|ок|окей|оки|хорошо|ладно|понятно|понял[аи]?|ясно|принято|отлично|супер|класс(?:но)?|круто|здорово\sспасибо"
    r"|замечательно|прекрасно|все\s(?:понятно|ясно|хорошо|отлично|супер)|разобрал(?:ся|ась|ись)|помогло|договорились"
    r"|до\s(?:свидания|встречи|связи)|пока|всего\s(?:доброго|хорошего)|(?:хорошего|приятного|доброго)\s(?:дня|вечера)"
    r"|thanks?|thank\syou|thankful|grateful|gratitude|thx|tnx|ty|cheers|much\sappreciated|appreciate\s(?:it|that|your\shelp)"
    r"|ok|okay|k|got\sit|i\ssee|understood|perfect|great|awesome|cool|nice|excellent|wonderful|all\s(?:clear|good)"
    r"|that'?s\s(?:all|great|perfect|clear)|bye(?:\sbye)?|goodbye|good\s?night|farewell|until\snext\stime|see\s(?:you|ya)(?:\slater)?|i\sappreciate\s(?:it|that)"
    r"|have\sa\s(?:nice|good|great)\s(?:day|one|evening)|that\s(?:helped|helps)"
)
_FILLER = (
    r"вам|вас|тебе|всем|вы|и|за|ваш[ау]?|ответ|ответы|помощь|информацию|разъяснени[ея]|большое|огромное|очень|все|всё"
    r"|еще|раз|уже|что|помогли|ответили|тогда|ну|а|так|уважаемы[ей]|коллеги|друзья|дорогие|бот|робот|господа|да"
    r"|you|for|your|the|it|help|helping|me|answer|answers|info|information|so|very|much|a|an|lot|lots|many|again|there"
    r"|everyone|all|team|guys|and|that|this|really|was|is|very|helpful|bot|oh|yes|well|then|to|support|reply|dear|sir|madam"
    r"|my|friend|out|today|chat|chatting|talk|talking|with|now|pleasure|i'?m|i\sam|ai"
)
_PARTS = re.compile(rf"(?:(?P<greeting>{_GREETING})|(?P<thanks>{_THANKS})|(?P<filler>{_FILLER}))(?!\w)\s*")
_NO_WORD = re.compile(r"[^\w']+")
_START = re.compile(r"/start(?:@\w+)?(?:\s+[\w-]{1,64})?")
_THUMBS = re.compile("[\U0001f44d\U0001f64f\u2764\U0001f44c\U0001f91d\U0001f600-\U0001f60d\U0001f642\U0001f44b]")


def opens_chat(message: str) -> bool:
    """Whether it is the command that a messenger sends when a customer opens the chat, with or without a parameter."""
    return _START.fullmatch(message.strip()) is not None


def courtesy(message: str) -> Courtesy | None:
    """What the message is where it says nothing else; "hello, what does it cost?" is a question."""
    if len(message) > _LONGEST:
        return None
    if opens_chat(message):
        return "greeting"
    words = _NO_WORD.sub(" ", folded(message)).strip()
    if not words:
        return "thanks" if _THUMBS.search(message) else None
    heard, at = set[str](), 0
    while at < len(words):
        part = _PARTS.match(words, at)
        if part is None:
            return None
        heard.add(str(part.lastgroup))
        at = part.end()
    if "thanks" in heard:
        return "thanks"
    return "greeting" if "greeting" in heard else None
