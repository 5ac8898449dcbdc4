/** Every sentence of the widget in both languages; the type holds the keys equal. */

import type { Language } from "./config";

const en = {
  open: "Open the chat",
  openUnread: "Open the chat: there is a new message",
  close: "Close the chat",
  chat: "Chat",
  messages: "Messages",
  assistant: "AI assistant",
  waiting: "A colleague was called and will answer here",
  person: "A colleague is answering",
  closed: "The conversation is over; write to begin again",
  greeting: "Hello! What would you like to know?",
  placeholder: "Ask a question…",
  question: "Your message",
  send: "Send",
  sending: "Sending…",
  typing: "is writing an answer",
  you: "You",
  operator: "Colleague",
  source: "Source",
  closeSource: "Close the source",
  openDocument: "Open the document",
  newTab: "in a new tab",
  callPerson: "Talk to a person",
  askPerson: "I want to talk to a person",
  note: "AI can make mistakes.",
  earlier: "Earlier messages",
  retry: "Try again",
  loading: "Opening the conversation…",
  lost: "No connection. Trying again…",
  unreachable: "The message did not arrive: there is no connection.",
  cannotOpen: "The chat cannot be opened: there is no connection.",
  too_many_requests: "Too many messages at once. Please wait a minute.",
  channel_resting: "The chat is resting. Please come back later.",
  origin_refused: "This chat is not open for this page.",
  identity_refused: "We could not make sure who you are. Please sign in on this site again.",
  question_too_long: "The message is too long. Please make it shorter.",
  failed: "Something went wrong on our side.",
};

export type Key = keyof typeof en;

const ru: Record<Key, string> = {
  open: "Открыть чат",
  openUnread: "Открыть чат: есть новое сообщение",
  close: "Закрыть чат",
  chat: "Чат",
  messages: "Сообщения",
  assistant: "ИИ-ассистент",
  waiting: "Мы позвали сотрудника, он ответит здесь",
  person: "Отвечает сотрудник",
  closed: "Разговор завершён; напишите, чтобы начать снова",
  greeting: "Здравствуйте! Что вы хотите узнать?",
  placeholder: "Задайте вопрос…",
  question: "Ваше сообщение",
  send: "Отправить",
  sending: "Отправляется…",
  typing: "пишет ответ",
  you: "Вы",
  operator: "Сотрудник",
  source: "Источник",
  closeSource: "Закрыть источник",
  openDocument: "Открыть документ",
  newTab: "в новой вкладке",
  callPerson: "Позвать человека",
  askPerson: "Позовите человека",
  note: "ИИ может ошибаться.",
  earlier: "Более ранние сообщения",
  retry: "Повторить",
  loading: "Открываем разговор…",
  lost: "Нет связи. Пробуем снова…",
  unreachable: "Сообщение не дошло: нет связи.",
  cannotOpen: "Чат не открывается: нет связи.",
  too_many_requests: "Слишком много сообщений сразу. Подождите минуту.",
  channel_resting: "Чат на паузе. Загляните, пожалуйста, позже.",
  origin_refused: "Для этой страницы чат не открыт.",
  identity_refused: "Не получилось убедиться, что это вы. Войдите на сайт ещё раз.",
  question_too_long: "Сообщение слишком длинное. Сократите его, пожалуйста.",
  failed: "У нас что-то пошло не так.",
};

const ALL = { en, ru };

export type Say = (key: Key) => string;

export function speak(language: Language): Say {
  return (key) => ALL[language][key];
}

/** The sentence of a server's code; one for all that a visitor cannot mend. */
export function sentence(say: Say, code: string): string {
  return say(Object.hasOwn(en, code) ? (code as Key) : "failed");
}
