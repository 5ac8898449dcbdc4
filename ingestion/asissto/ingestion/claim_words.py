"""Words that tell what a claim is about, which case of it is meant, and whether it says yes or no."""

import re
from functools import lru_cache

from asissto.ingestion.lexemes import lexemes


def _keys(listed: str) -> frozenset[str]:
    return frozenset(key(stem) for stem in lexemes(listed))


@lru_cache(maxsize=1 << 17)
def key(stem: str) -> str:
    """Six letters of a stem: `доставк` and `доставля` are one subject; see ALIKE for other kin."""
    short = stem[:6]
    return ALIKE.get(short, short)


def _alike(*groups: str) -> dict[str, str]:
    return {stem[:6]: lexemes(group)[0][:6] for group in groups for stem in lexemes(group)}


ALIKE = _alike(
    "возврат вернуть верните возвращать возвращаем возвращается",
    "доставка доставляем привезем привозим довезем",
    "оплата оплатить оплачивать платить платеж оплачивается",
    "отмена отменить отменять отменен",
    "запись записаться записываться запишитесь",
    "бронь бронирование забронировать бронировать",
    "покупка купить покупать приобрести приобретение",
    "скидка скидки",
    "хранение храним хранятся хранить хранится держим держать",
    "готов готовим готовится готовят изготовим изготовление изготавливаем",
    "ответ отвечаем отвечает ответим",
    "сотрудник работник",
    "клиент покупатель заказчик пациент посетитель",
    "магазин салон",
    "телефон позвонить звоните звонок",
    "вместимость вмещает рассчитан",
    "обмен обменять обменяете",
    "ремонт ремонтируем починка",
    "замер замерщик",
    "заморозка заморозить замораживаем замораживать",
    "работа работаем работает работают",
    "начало начнется начинается начинаем начнем",
    "заканчивается закончится конец окончание",
    "ship shipping shipped shipment deliver delivery delivered delivers",
    "refund return returned returns refunded",
    "cancel cancellation cancelled canceled cancelling",
    "warranty guarantee guaranteed",
    "payment pay paid pays payable",
    "reply respond response answer answered replies",
    "booking book reserve reservation booked",
    "customer client buyer guest patient visitor",
    "employee staff worker",
    "phone telephone call hotline",
    "purchase buy bought",
    "store shop",
    "hold seat accommodate",
    "repair fix repaired",
)
"""Kin that six letters do not show, in the words of small businesses."""

NEUTRAL = _keys("""
    стоит стоят стоимость цена цены составляет равна равен обойдется обходится будет нужно заплатить
    длится занимает занять срок сроки период течение продолжительность длительность
    работает работаем работы открыт открыта открыто открыты часы график режим время ждем
    дает даем действует имеет имеется находится является предоставляется предоставляем получите получить получает
    магазин салон клиника кафе ресторан отель гостиница студия мастерская школа сеть организация фирма
    контакт связь связаться
    пишите напишите звоните позвоните основан основана создан создана существует платный начинается подробность
    товар заказ покупка гость начало обрабатывается время
    пройдет проходит состоится проводится проводим занимается занимаются происходит продаем продается берем
    внутренний конечно пожалуйста извините
    сейчас обычно всегда всего каждый весь наш адрес почта электронная
    насчитывает количество число размер сумма максимум минимум
    момент со дня после условие правило общий информация вопрос ответ частый компания памятка прайс лист тариф
    менеджер руководство инструкция справка сайт регламент положение заметка описание новость долго быстро
    клиент линия телефон
    принимаем принимает осуществляется производится выполняется делаем можете вправе допускается успеть рассчитывать
    cost costs price priced charge charged fee is amount amounts total takes take lasts last duration term period within
    open opens opening hour hours work works available get receive offer offers give provide provides have has our
    store shop clinic cafe restaurant hotel studio salon chain business firm contacts write founded established since
    operating
    paid begin start detail item product goods order purchase guest process processed issued time
    answer answers internal external takes place held happen happens sorry please yes sure sell sells sold
    now usually always currently every each all per number address mail email contact reach
    moment after policy rule terms general information question faq frequently asked company list about guide
    handbook manual notes memo menu page site knowledge base team staff help long much many quick fast
    customer line phone tell
    soon once show shows do does
    you may can up to need allow allowed set stands run runs comes come cover covers
""")
"""What a claim can say or leave out without being about something else."""

CASES = _keys("""
    стандартный экспресс срочный базовый премиум ранний поздний стартовый бизнес корпоративный семейный детский взрослый
    женский мужской пенсионер студент школьник льготный оптовый розничный новый первый второй третий повторный
    первичный постоянный
    дневной ночной утренний вечерний летний зимний большой малый маленький средний крупный одиночный двухместный двойной
    индивидуальный групповой онлайн офлайн курьер самовывоз выходной будни праздничный дополнительный следующий
    ежемесячный ежегодный годовой месячный
    москва петербург межгород область регион город пригород юридический физический
    верхний нижний левый правый легковой грузовой внедорожник сезонный полный частичный
    standard express urgent basic premium late early starter business corporate enterprise family child children adult
    women men senior student wholesale retail new first second third repeat returning regular member day night morning
    evening summer winter large small medium big single double twin individual group online offline courier pickup
    weekend weekday holiday monthly yearly annual weekly daily additional extra next domestic
    overseas abroad local
    pro plus personal full partial upper lower left right economy deluxe suite junior
    initial follow deep light heavy
""")
"""Which case of a thing is meant: a word of these on one side only means another case."""

RATES = _keys("час часы день сутки неделя месяц год ночь человек hour day week month year night person")
"""What a price is for; it tells two prices apart, but not a price from none."""

CONDITIONS = re.compile(
    r"\b(?:для|при|если|кроме|только|без|помимо|вместо|for|if|when|unless|except|only|without|on|with|у)\s{1,2}"
    r"(?!заказ|покупк|сумм|order|purchase|each|every|all|any|your|our|the\b|кажд|люб|всех|вас|нас)(\w{3,})"
)
"""A noun after one of these is a case of its own where the other side lacks it."""

NEGATIVE = re.compile(
    r"\b(?:не|нет|no|not|never|cannot|can't|won't|don't|doesn't|isn't|aren't|unable)\s"
    r"(?!более|менее|больше|меньше|дольше|позже|позднее|ранее|раньше|more|less|later|only|только)"
    r"(?:(?:be|been|have|a|any|the|to|get|yet|может|можем|можете|могут|будет|будут|мы|вы)\s)*(?P<after>\w+)"
    r"|\b(?P<before>\w+)\s(?:нет|отсутствуют|отсутствует|не предусмотрен\w*|не предоставля\w+)\b"
    r"|\b(?P<cannot>нельзя|невозможн\w+|запрещ[ае]\w+|недоступ[ен]\w+|unavailable|prohibited|forbidden|banned)\b"
)
"""What is denied stands after the word, before it, or is permission itself."""

CAN = re.compile(
    r"\b(?:можно|возможн\w*|разреш\w+|доступ[ен]\w*|допуска\w+|can|may|allowed|permitted|available|possible|welcome)\b"
)
PERMISSION = "+"
PERMISSION_WORDS = _keys("""
    нельзя можно невозможно возможно запрещено запрещен разрешено разрешен разрешается запрещается недоступно доступно
    отсутствует имеется есть допускается предоставляется предоставляем осуществляется
    cannot can't won't prohibited forbidden banned permitted allowed welcome unavailable available possible
""")
"""Words that carry the yes or no itself, and so say nothing about the subject."""
