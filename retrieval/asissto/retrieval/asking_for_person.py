"""Hears a customer ask for a person instead of the assistant, in Russian and English.

Measured on sets that it was not written from: see `tests/test_handing_over.py`.
"""

import re

from asissto.ingestion.lexemes import folded

_LONGEST = 600
"""Characters; who writes more has a question, and may name an operator in it."""

_MOST_WORDS = 25
"""Of one clause that asks for somebody; it also bounds what the expressions below may try."""

_RU_PERSON = r"""(?:оператор(?:а|у|ом|ов)?|менеджер(?:а|у|ом)?|человек(?:а|у|ом)?|сотрудник(?:а|у|ом)?
    |специалист(?:а|у|ом)?|консультант(?:а|у|ом)?|администратор(?:а|у|ом)?|руководител(?:ь|я|ю|ем)
    |начальник(?:а|у|ом)?|представител(?:ь|я|ю|ем)|(?:тех)?поддержк(?:а|у|е|ой)|живые\ люди|людьми|людей
    |(?:кто-нибудь|кого-нибудь|кем-нибудь|кто-то)\ жив(?:ой|ого|ым))"""
_RU_KIND = r"""(?:живо(?:й|го|му)|живым|реальн(?:ый|ого|ым|ому)|настоящ(?:ий|его|им|ему)|нормальн(?:ый|ого|ым)
    |ваш(?:его|ему|им|у|ей)?|люб(?:ой|ого|ым|ому)|друг(?:ого|им|ому)|старш(?:ий|его|им|ему)|служб(?:ой|у|е)
    |отдел(?:ом|а)?|кем-то|кем-нибудь|кого-нибудь|с\ кем-нибудь\ из)"""
_RU_GAP = rf"""(?:(?:мне|нам|меня|нас|уже|бы|ли|пожалуйста|наконец|срочно|лучше|тогда|просто|сейчас|напрямую
    |лично|сюда|на|к|с|со|от|из|в|разговор|диалог|чат|вопрос|мой|мою|этот|проблему|обращение|{_RU_KIND})\ )*"""
_RU_CALL = r"""(?:позов(?:и|ите|ете|ешь)|зови(?:те)?|соедини(?:те)?|переключи(?:те)?|переведи(?:те)?
    |переводи(?:те)?|свяжи(?:те)?|пригласи(?:те)?|подключи(?:те)?|дай(?:те)?|передай(?:те)?|вызови(?:те)?
    |верни(?:те)?|давай(?:те)?|пусть\ (?:мне\ |нам\ )?(?:ответит|подключится|позвонит))"""
_RU_TALK = r"""(?:поговорить|говорить|пообщаться|общаться|связаться|соединить|переключить|перевести|позвать
    |разговаривать|подключить|пригласить|вызвать|дозваться|дозвониться|достучаться)"""
_RU_NEED = r"(?:нужен|нужна|нужно|хочу|требую|требуется|необходим|жду|прошу|мне\ бы|где|есть)"
_RU_FILLER = r"""(?:пожалуйста|плиз|плз|срочно|сейчас|наконец|уже|скорее|быстро|быстрее|здравствуйте|привет
    |алло|ало|але|эй|мне|бы|на|с|к|нужен|нужна|тут|здесь|есть|давайте|давай|я|хочу|же|связи|связь|в|чат)"""
_RU_END = rf"(?:\ {_RU_FILLER})*"
_RU_MACHINE = r"""(?:бот(?:ом|ами|а)?|робот(?:ом|ами|а)?|машин(?:ой|у)|автоответчик(?:ом)?|программ(?:ой|у)
    |чат-ботом|нейросетью|компьютером|железкой)"""

_RUSSIAN = re.compile(
    rf"""
    ^(?:{_RU_FILLER}\ )*+(?:{_RU_KIND}\ )*{_RU_PERSON}(?:\ {_RU_PERSON})?{_RU_END}$
    |^(?:(?!(?:как|сколько|что|почему|зачем|где|когда|чем|кто
        |какой)\ )\S+\ )*?{_RU_CALL}\ {_RU_GAP}{_RU_PERSON}\b(?!\ (?:доступ|прав|контакт|телефон|номер|деньги
        |документ))
    |\b(?:хочу|хотим|хотел(?:а|и)?\ бы|хотелось\ бы|прошу|требую|могу(?:\ ли)?(?:\ я)?|можете|можешь
        |могли\ бы\ вы|можно|надо|нужно|необходимо|давайте\ я|мне\ бы|хотел(?:а)?
        |лучше)\ {_RU_GAP}{_RU_TALK}\ {_RU_GAP}{_RU_PERSON}\b
    |\b(?:как|не\ могу|никак\ не\ могу|куда
        |где)\ {_RU_GAP}(?:можно\ )?{_RU_GAP}{_RU_TALK}\ {_RU_GAP}{_RU_PERSON}{_RU_END}$
    |\b(?:можно|мне\ бы|хочу|давайте|лучше)\ с\ {_RU_GAP}{_RU_PERSON}(?:\ {_RU_TALK})?{_RU_END}$
    |^{_RU_TALK}\ {_RU_GAP}{_RU_PERSON}\b
    |^(?:{_RU_FILLER}\ )*(?:мне
        |нам)?\ ?{_RU_NEED}\ (?!ли\b){_RU_GAP}{_RU_PERSON}(?:\ (?:а\ )?не\ {_RU_MACHINE})?{_RU_END}$
    |\b(?:кто-нибудь|кто-то|есть\ кто|есть\ кто-нибудь|есть\ (?:тут|здесь)(?:\ кто|\ кто-нибудь)?
        |тут\ есть(?:\ кто|\ кто-нибудь)?|здесь\ есть(?:\ кто)?|есть\ ли\ тут
        |есть\ ли\ здесь)\ {_RU_GAP}(?:жив(?:ой|ые|ого)|{_RU_KIND}\ {_RU_PERSON})(?:\ {_RU_PERSON}
        |\ люди)?{_RU_END}$
    |\bне\ (?:хочу|буду|желаю|намерен(?:а)?)\ (?:с\ вами\ )?(?:больше\ )?(?:говорить|общаться|разговаривать
        |переписываться)\ с\ (?:этим\ )?{_RU_MACHINE}
    |\b(?:надоел(?:и|о)?|хватит|достал(?:и)?|задолбал(?:и)?|уберите
        |отключите)\ (?:уже\ )?(?:общаться\ с\ |говорить\ с\ |этот\ |эти\ |этим\ |мне\ |ваш(?:и)?\ )*{_RU_MACHINE}
    """.replace("\n|", "|"),
    re.VERBOSE,
)

_EN_KIND = r"""(?:real|live|human|actual|living|another|different|senior|support|service|customer|care|sales
    |help|bloody|damn|fucking|freaking|goddamn|nice|the|a|an|your|some|any|one\ of\ your|from)"""
_EN_PERSON = r"""(?:humans?|persons?|people|agents?|operators?|representatives?|reps?|someone|somebody|anyone
    |anybody|manager|supervisor|advis[oe]r|consultant|assistant|specialist|employee|staff|human\ being|support
    |customer\ (?:service|support|care)|(?:support|service)\ (?:team|desk)|team\ member|attendant)"""
_EN_WHO = rf"(?:{_EN_KIND}\ )*{_EN_PERSON}"
_EN_TALK = r"""(?:speak|speaking|talk|talking|chat|chatting|contact|contacting|reach|get\ in\ touch|communicate
    |connect)"""
_EN_FILLER = r"""(?:please|pls|plz|now|asap|right|here|hello|hi|hey|ok|okay|just|the|a|an|i|need|want|get|me|us
    |to|immediately|help|today|instead|for|and|not|bot|available|thanks|somewhere|there|at|all|directly|quickly
    |urgently|can|help|me|online)"""
_EN_END = rf"(?:\ {_EN_FILLER})*"
_EN_NOT = r"""(?!\ ?(?:['’]s|of|in|for|fee|number|account|role|licen[cs]e|resources|rights|error|id|code|salary
    |job|earns?|does|do|is|are|who|which|that|permission|dashboard|seat|commission|model|api|settings?|page
    |panel|mode|password|email|login|about\ my\ application)\b)"""
_EN_ASKED = r"""^(?:what\ is|what\ does|what\ are|why\ (?:do|does|is|are|should)|who|when|where|which
    |is\ it\ (?:necessary|required|mandatory)|do\ (?:i|we)\ (?:have|need)|does|did|should|must|will|if|are|am
    |how\ (?:much|many|long|often|does|do\ you|should|to\ become)|has|have\ you|had)\b"""

_ENGLISH = re.compile(
    rf"""
    ^(?:{_EN_FILLER}\ )*+(?:{_EN_KIND}\ )*(?:human|person|real\ people|agent|operator|representative|rep|manager
        |supervisor|human\ being|support\ agent|customer\ (?:service|support|care)|live\ (?:chat|support|help)
        |human\ (?:help|support|assistance)|attendant|someone|somebody){_EN_END}$
    |\b{_EN_TALK}\ (?:directly\ |only\ )?(?:t|to|with|wth|wit)\ {_EN_WHO}\b{_EN_NOT}
    |\b(?:contact|contacting|reach|reaching|call|get\ hold\ of|get\ ahold\ of|phone)\ {_EN_WHO}{_EN_END}$
    |\b(?:connect|transfer|put|pass|forward|switch|redirect|direct|escalate|hand|route)\ (?:me|us|this|it
        |my\ \w+)\ (?:through\ |over\ |on\ |across\ )?(?:to|with)\ {_EN_WHO}\b{_EN_NOT}
    |\b(?:get|give|find|bring|send|call|fetch|let)\ (?:me|us)\ (?:to\ )?(?!someone|somebody
        |anyone){_EN_WHO}{_EN_END}$
    |\b(?:i|we)\ (?:just\ |really\ |only\ |urgently\ )?(?:want|need|demand|require|prefer|would\ like|d\ like
        |'d\ like|wanna\ have)\ (?:help\ from\ |assistance\ from\ )?(?!someone|somebody|anyone|support|help
        |people){_EN_WHO}(?:\ (?:to\ (?:help|assist|talk|speak|answer|call|reply|deal)\b.*|not\ a\ (?:bot|robot
        |machine).*))?{_EN_END}$
    |\b(?:is|are)\ there\ (?:a|an|any)?\ ?(?:real|live|actual|human)\ {_EN_WHO}
    |\b(?:is|are)\ there\ (?:a|an|any)?\ ?(?:{_EN_KIND}\ )*(?:human|person|someone|somebody|anyone|people|agent
        |operator)\ (?:here|there|available|online|i\ can|i\ could|to\ (?:talk|speak|chat))
    |\b(?:don'?t|do\ not|dont)\ (?:want|wish|like)\ to\ (?:speak|talk|chat|deal)\ (?:to
        |with)\ (?:a\ |an\ |this\ |the\ |your\ )?(?:bot|robot|machine|computer|ai|chatbot)
    |\b(?:stop|enough\ with|sick\ of|tired\ of|no\ more)\ (?:the\ |this\ |these\ |your\ )?(?:bots?|robots?
        |chatbots?|automated\ (?:replies|answers|responses))
    |\b(?:agent|operator|representative|human|person)\ (?:please|now|asap)$
    """,
    re.VERBOSE,
)

_CLAUSE = re.compile(r"[.!?;,\n—–:()]+")
_SPACES = re.compile(r"\s+")
_EN_QUESTION = re.compile(_EN_ASKED, re.VERBOSE)
_RU_NOT = re.compile(
    r"\b(?:стать|работать|работает|работают|зарабатывает|получает|обязан|должен|должна|вакансия|вакансии"
    r"|зарплата"
    r"|для чего|в чем|чем занимается|кто так(?:ой|ая)|что так|что делает|сколько стоит|сколько получает|номер"
    r"|телефон"
    r"|график|адрес|роль|права|удалить|добавить|назначить|изменить|сменить)\b"
)
_EN_JOB = re.compile(
    r"\b(?:become|becoming|work as|working as|job|salary|earn|vacanc\w+|hire|hiring|train|role of|what time"
    r"|hours)\b"
)


def asks_for_person(message: str) -> bool:
    """Whether somebody wants to speak with a person now; questions about operators and managers are questions."""
    if len(message) > _LONGEST:
        return False
    clauses = (_SPACES.sub(" ", clause).strip() for clause in _CLAUSE.split(folded(message)))
    short = (clause for clause in clauses if 0 < len(clause.split(" ")) <= _MOST_WORDS)
    return any(_asks(clause.strip("\"'«»“” ")) for clause in short)


def _asks(clause: str) -> bool:
    if _RUSSIAN.search(clause):
        return not _RU_NOT.search(clause)
    return bool(_ENGLISH.search(clause)) and not _EN_QUESTION.search(clause) and not _EN_JOB.search(clause)
