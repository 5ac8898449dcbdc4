"""Replies as the common mail programs write them, in Russian and English, with what is new in each."""

from typing import Literal, NamedTuple


class Reply(NamedTuple):
    program: str
    subtype: Literal["plain", "html"]
    body: str
    new: str


OURS_RU = "Здравствуйте! Вернуть товар можно в течение 14 дней [1]."
OURS_EN = "You can return the goods within 14 days [1]."

REPLIES = (
    Reply(
        "gmail ru",
        "plain",
        f"""А если коробка открыта?

пт, 20 нояб. 2026 г. в 12:04, Магазин <help@shop.example>:

> {OURS_RU}
>
> Источники:
> [1] Правила возврата
>
""",
        "А если коробка открыта?",
    ),
    Reply(
        "gmail ru, attribution over two lines",
        "plain",
        f"""Спасибо, а чек обязателен?

пт, 20 нояб. 2026 г. в 12:04, Служба поддержки интернет-магазина <
help@shop.example>:

> {OURS_RU}
""",
        "Спасибо, а чек обязателен?",
    ),
    Reply(
        "gmail ru, older",
        "plain",
        f"""Понял.

20 ноября 2026 г., 12:04 пользователь Магазин <help@shop.example> написал:

> {OURS_RU}
""",
        "Понял.",
    ),
    Reply(
        "gmail en",
        "plain",
        f"""What if the box is open?

On Fri, Nov 20, 2026 at 12:04 PM Shop <help@shop.example> wrote:

> {OURS_EN}
>
> Sources:
""",
        "What if the box is open?",
    ),
    Reply(
        "gmail en, attribution over two lines",
        "plain",
        f"""And without a receipt?

On Fri, Nov 20, 2026 at 12:04 PM Customer Care of the Shop <
help@shop.example> wrote:

> {OURS_EN}
""",
        "And without a receipt?",
    ),
    Reply(
        "gmail en, answers between the lines",
        "plain",
        f"""On Fri, Nov 20, 2026 at 12:04 PM Shop <help@shop.example> wrote:

> {OURS_EN}

Does this hold for batteries?

> Keep the receipt.

I have lost it.
""",
        "Does this hold for batteries?\n\nI have lost it.",
    ),
    Reply(
        "gmail html ru",
        "html",
        f"""<div dir="ltr">А самовывоз есть?</div><br><div class="gmail_quote"><div dir="ltr"
class="gmail_attr">пт, 20 нояб. 2026&nbsp;г.
в 12:04, Магазин &lt;<a href="mailto:help@shop.example">help@shop.example</a>&gt;:<br></div><blockquote
class="gmail_quote"
style="margin:0 0 0 .8ex"><div>{OURS_RU}</div></blockquote></div>""",
        "А самовывоз есть?",
    ),
    Reply(
        "yandex web, html alone",
        "html",
        f"""<div>Добрый день!</div><div> </div><div>Когда привезут заказ?</div><div> </div><div>20.11.2026, 12:04,
"Магазин"
&lt;help@shop.example&gt;:</div><blockquote><p>{OURS_RU}</p></blockquote><div> </div><div>-- </div><div>Иван
Петров</div>""",
        "Добрый день!\n\nКогда привезут заказ?",
    ),
    Reply(
        "yandex web, signature above the quote",
        "html",
        f"""<div>Привезите после шести.</div><div><br /></div><div>-- <br />С уважением, Мария</div><div><br
/></div><div>20.11.2026,
12:04, "Магазин" &lt;help@shop.example&gt;:</div><blockquote><div>{OURS_RU}</div></blockquote>""",
        "Привезите после шести.",
    ),
    Reply(
        "yandex plain",
        "plain",
        f"""Можно оплатить картой?

20.11.2026, 12:04, "Магазин" <help@shop.example>:
> {OURS_RU}
""",
        "Можно оплатить картой?",
    ),
    Reply(
        "yandex, with the fields of the mail",
        "plain",
        f"""Добрый день, а где трек-номер?

----------------
Кому: help@shop.example;
Тема: Заказ 1024;
20.11.2026, 12:04, "Магазин" <help@shop.example>:

{OURS_RU}
""",
        "Добрый день, а где трек-номер?",
    ),
    Reply(
        "yandex mobile ru",
        "plain",
        f"""Да, подходит

Отправлено из мобильной Яндекс Почты: http://m.ya.ru/ymail

20 ноября 2026 г., 12:04 +03:00 от help@shop.example:

> {OURS_RU}
""",
        "Да, подходит",
    ),
    Reply(
        "yandex en",
        "plain",
        f"""Fine with me.

20.11.2026, 12:04, "Shop" <help@shop.example>:

{OURS_EN}

--
Shop
""",
        "Fine with me.",
    ),
    Reply(
        "mail.ru web",
        "plain",
        f"""Нужен ли паспорт?

--
Анна Кузнецова


>Пятница, 20 ноября 2026, 12:04 +03:00 от Магазин <help@shop.example>:
>
>{OURS_RU}
""",
        "Нужен ли паспорт?",
    ),
    Reply(
        "mail.ru web, quote without marks",
        "plain",
        f"""Нужен ли паспорт?

Пятница, 20 ноября 2026, 12:04 +03:00 от Магазин <help@shop.example>:

{OURS_RU}

Источники:
[1] Правила возврата
""",
        "Нужен ли паспорт?",
    ),
    Reply(
        "mail.ru html",
        "html",
        f"""<div>Есть ли рассрочка?</div><div>&nbsp;</div><blockquote style="border-left:1px solid
#0857A6">Пятница, 20 ноября 2026,
12:04 +03:00 от Магазин &lt;help@shop.example&gt;:<br>&nbsp;<div>{OURS_RU}</div></blockquote>""",
        "Есть ли рассрочка?",
    ),
    Reply(
        "mail.ru mobile",
        "plain",
        f"""Хорошо, спасибо

Отправлено из Mail для Android

пятница, 20 ноября 2026 г., 12:04 +0300 от help@shop.example <help@shop.example>:
> {OURS_RU}
""",
        "Хорошо, спасибо",
    ),
    Reply(
        "outlook ru",
        "plain",
        f"""Добрый день.
Просим выслать счёт на юридическое лицо.

С уважением,
Пётр Сидоров
ООО «Ромашка»
+7 495 000-00-00

From: Магазин <help@shop.example>
Sent: Friday, November 20, 2026 12:04 PM
To: Пётр Сидоров <petr@romashka.example>
Subject: Re: Заказ 1024

{OURS_RU}
""",
        "Добрый день.\nПросим выслать счёт на юридическое лицо.",
    ),
    Reply(
        "outlook ru, russian header",
        "plain",
        f"""Срок поставки?

________________________________
От: Магазин <help@shop.example>
Отправлено: 20 ноября 2026 г. 12:04
Кому: Пётр Сидоров <petr@romashka.example>
Тема: Re: Заказ 1024

{OURS_RU}
""",
        "Срок поставки?",
    ),
    Reply(
        "outlook en, original message",
        "plain",
        f"""Please send an invoice.

Kind regards,
Peter

-----Original Message-----
From: Shop <help@shop.example>
Sent: Friday, November 20, 2026 12:04 PM
To: Peter
Subject: RE: Order 1024

{OURS_EN}
""",
        "Please send an invoice.",
    ),
    Reply(
        "outlook html",
        "html",
        f"""<html><head><style>p.MsoNormal{{margin:0}}</style></head><body><div class="WordSection1"><p
class="MsoNormal">Is delivery
free?<o:p></o:p></p><p class="MsoNormal"><o:p>&nbsp;</o:p></p><div style="border:none;border-top:solid #E1E1E1
1.0pt"><p
class="MsoNormal"><b>From:</b> Shop &lt;help@shop.example&gt; <br><b>Sent:</b> Friday, November 20, 2026 12:04
PM<br><b>To:</b>
Peter<br><b>Subject:</b> RE: Order</p></div><p class="MsoNormal">{OURS_EN}</p></div></body></html>""",
        "Is delivery free?",
    ),
    Reply(
        "outlook mobile ru",
        "plain",
        f"""Жду ответа по гарантии

Получить Outlook для iOS<https://aka.ms/o0ukef>
________________________________
От: Магазин <help@shop.example>
Отправлено: Friday, November 20, 2026 12:04:00 PM
Кому: petr@romashka.example <petr@romashka.example>
Тема: Re: Гарантия

{OURS_RU}
""",
        "Жду ответа по гарантии",
    ),
    Reply(
        "outlook mobile en",
        "plain",
        f"""When does it arrive?

Get Outlook for Android<https://aka.ms/AAb9ysg>
________________________________
From: Shop <help@shop.example>
Sent: Friday, November 20, 2026 12:04:00 PM
To: peter@romashka.example <peter@romashka.example>
Subject: Re: Order

{OURS_EN}
""",
        "When does it arrive?",
    ),
    Reply(
        "iphone ru",
        "plain",
        f"""А доставка в Казань?

Отправлено с iPhone

> 20 нояб. 2026 г., в 12:04, Магазин <help@shop.example> написал(а):
>
> {OURS_RU}
""",
        "А доставка в Казань?",
    ),
    Reply(
        "iphone ru, attribution without a mark",
        "plain",
        f"""Адрес прежний.

Отправлено с моего iPhone

20 нояб. 2026 г., в 12:04, Магазин <help@shop.example> написал(а):

> {OURS_RU}
""",
        "Адрес прежний.",
    ),
    Reply(
        "iphone en",
        "plain",
        f"""Can you ship to Oslo?

Sent from my iPhone

> On 20 Nov 2026, at 12:04, Shop <help@shop.example> wrote:
>
> {OURS_EN}
""",
        "Can you ship to Oslo?",
    ),
    Reply(
        "iphone html en",
        "html",
        f"""<html><head></head><body dir="auto">Is there a discount?<br><br><div dir="ltr">Sent from my
iPhone</div><div dir="ltr"><br>
<blockquote type="cite">On Nov 20, 2026, at 12:04&#8239;PM, Shop &lt;help@shop.example&gt;
wrote:<br><br></blockquote></div>
<blockquote type="cite"><div dir="ltr">{OURS_EN}</div></blockquote></body></html>""",
        "Is there a discount?",
    ),
    Reply(
        "thunderbird ru, below the quote",
        "plain",
        f"""20.11.2026 12:04, Магазин пишет:
> {OURS_RU}

А если прошло 15 дней?

-- 
Олег
""",  # noqa: W291 - the mark of a signature ends in a space
        "А если прошло 15 дней?",
    ),
    Reply(
        "thunderbird en",
        "plain",
        f"""On 20/11/2026 12:04, Shop wrote:
> {OURS_EN}
Thanks. Who pays the postage?
""",
        "Thanks. Who pays the postage?",
    ),
    Reply(
        "passed on with a word, gmail",
        "plain",
        """Что они имеют в виду?

---------- Forwarded message ---------
От: Склад <store@depot.example>
Date: пт, 20 нояб. 2026 г. в 12:04
Subject: Недостача
To: Анна <anna@mail.example>

Привезли 3 коробки вместо 4.
""",
        """Что они имеют в виду?

---------- Forwarded message ---------
От: Склад <store@depot.example>
Date: пт, 20 нояб. 2026 г. в 12:04
Subject: Недостача
To: Анна <anna@mail.example>

Привезли 3 коробки вместо 4.""",
    ),
    Reply(
        "passed on without a word",
        "plain",
        """

-------- Пересылаемое сообщение --------
20.11.2026, 12:04, "Склад" <store@depot.example>:

Привезли 3 коробки вместо 4.
""",
        """-------- Пересылаемое сообщение --------
20.11.2026, 12:04, "Склад" <store@depot.example>:

Привезли 3 коробки вместо 4.""",
    ),
    Reply(
        "no quote, dates and colons in the text",
        "plain",
        """Здравствуйте! Заказ 1024 от 20.11.2026:
- чайник, 2 шт.
- от 5 до 7 дней обещали доставку

From the site I understood: delivery is free.
Кому звонить?
""",
        """Здравствуйте! Заказ 1024 от 20.11.2026:
- чайник, 2 шт.
- от 5 до 7 дней обещали доставку

From the site I understood: delivery is free.
Кому звонить?""",
    ),
    Reply(
        "a farewell that asks",
        "plain",
        """С уважением отношусь к вашей работе.
Но где мой заказ?
""",
        "С уважением отношусь к вашей работе.\nНо где мой заказ?",
    ),
    Reply("nothing but a quote", "plain", f"> {OURS_EN}\n", f"> {OURS_EN}"),
)
