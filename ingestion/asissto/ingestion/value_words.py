"""The Russian and English words of amounts: numbers, units, currencies, months, days of the week, bounds."""


def _table(listed: str) -> dict[str, str]:
    """`word word = value` a line."""
    lines = (line.partition("=") for line in listed.strip().splitlines())
    return {word: value.strip() for words, _, value in lines for word in words.split()}


NUMBER_WORDS = {
    word: float(value)
    for word, value in _table("""
        один одна одно одного одной one = 1
        полтора полторы = 1.5
        два две двух two = 2
        три трех three = 3
        четыре четырех four = 4
        пять пяти five = 5
        шесть шести six = 6
        семь семи seven = 7
        восемь восьми eight = 8
        девять девяти nine = 9
        десять десяти ten = 10
        одиннадцать eleven = 11
        двенадцать двенадцати twelve = 12
        четырнадцать четырнадцати fourteen = 14
        пятнадцать пятнадцати fifteen = 15
        двадцать двадцати twenty = 20
        тридцать тридцати thirty = 30
        сорок forty = 40
        пятьдесят fifty = 50
        шестьдесят sixty = 60
        девяносто ninety = 90
        сто hundred = 100
    """).items()
}
CURRENCIES = _table("""
    ₽ руб рублей рубля рубль рублю рублям р rub ruble rubles rouble roubles = RUB
    $ usd доллар доллара долларов dollar dollars bucks = USD
    € eur евро euro euros = EUR
    £ gbp фунт фунта фунтов pound pounds = GBP
    ₸ kzt тенге = KZT
    byn = BYN
    юань юаня юаней yuan = CNY
""")
DURATIONS = {
    word: float(value)
    for word, value in _table("""
        секунда секунды секунд секунду сек second seconds sec = 0.016666666666666666
        минута минуты минут минуту мин minute minutes min mins = 1
        час часа часов часу hour hours hr hrs = 60
        день дня дней дню дн сутки суток day days = 1440
        неделя недели недель неделю week weeks = 10080
        месяц месяца месяцев мес month months = 43200
        год года лет году year years = 525600
    """).items()
}
WORKING = {"рабо", "банк", "busi", "work"}
MEASURES = {
    word: (value.split()[0], float(value.split()[1]))
    for word, value in _table("""
        кг килограмм килограмма килограммов kg kilogram kilograms kilos = g 1000
        г гр грамм грамма граммов gram grams = g 1
        т тонн тонна тонны ton tons tonnes = g 1000000
        км километр километра километров km kilometers kilometres = m 1000
        м метр метра метров meter meters metre metres = m 1
        см сантиметр сантиметра сантиметров cm = m 0.01
        мм миллиметр миллиметра миллиметров mm = m 0.001
        л литр литра литров liter liters litre litres = l 1
        мл ml = l 0.001
        гб gb гигабайт гигабайта gigabytes = b 1000000000
        мб mb мегабайт мегабайта megabytes = b 1000000
        тб tb = b 1000000000000
        шт штук штуки = pieces 1
        mile miles = mile 1
        lb lbs = lb 1
        квт = kw 1
    """).items()
}
MULTIPLES = {
    "тысячи": 1e3,
    "тысяч": 1e3,
    "тыс": 1e3,
    "млн": 1e6,
    "миллионов": 1e6,
    "миллиона": 1e6,
    "million": 1e6,
    "thousand": 1e3,
    "k": 1e3,
}
BOUNDS = {
    "от": "min",
    "не менее": "min",
    "не меньше": "min",
    "минимум": "min",
    "свыше": "min",
    "более": "min",
    "больше": "min",
    "начиная с": "min",
    "after": "min",
    "from": "min",
    "at least": "min",
    "over": "min",
    "more than": "min",
    "above": "min",
    "minimum of": "min",
    "до": "max",
    "не более": "max",
    "не больше": "max",
    "не дольше": "max",
    "максимум": "max",
    "менее": "max",
    "up to": "max",
    "at most": "max",
    "no more than": "max",
    "not more than": "max",
    "under": "max",
    "less than": "max",
    "below": "max",
    "until": "max",
    "till": "max",
    "by": "max",
    "before": "max",
    "maximum of": "max",
}
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "январ january jan",
            "феврал february feb",
            "март march mar",
            "апрел april apr",
            "мая май may",
            "июн june jun",
            "июл july jul",
            "август august aug",
            "сентябр september sept sep",
            "октябр october oct",
            "ноябр november nov",
            "декабр december dec",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAY_NAMES = {
    name: number
    for number, names in enumerate(
        (
            "понедельник понедельника понедельникам понедельники пн monday mondays mon",
            "вторник вторника вторникам вт tuesday tuesdays tue",
            "среда среду среды средам ср wednesday wednesdays wed",
            "четверг четверга четвергам чт thursday thursdays thu",
            "пятница пятницу пятницы пятницам пт friday fridays fri",
            "суббота субботу субботы субботам сб saturday saturdays sat",
            "воскресенье воскресенья воскресеньям вс sunday sundays sun",
        )
    )
    for name in names.split()
}
WEEKDAY_GROUPS = {
    "по будням": range(5),
    "в будни": range(5),
    "в будние дни": range(5),
    "по рабочим дням": range(5),
    "weekdays": range(5),
    "по выходным": range(5, 7),
    "в выходные": range(5, 7),
    "weekends": range(5, 7),
}
EVERY_DAY = "ежедневно|каждый день|без выходных|every day|daily|seven days a week|7 days a week"
