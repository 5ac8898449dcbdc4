const TEXTS = {
  en: {
    other: "Русский", signOut: "Sign out", name: "Your name", email: "E-mail", password: "Password", signIn: "Sign in",
    register: "Create a workspace", setup: "First administrator", toRegister: "No account yet? Create a workspace",
    toSignIn: "Have an account? Sign in", code: "Code of the authenticator app", forgot: "Forgot the password?", reset: "Set a new password",
    invitation: "Join the workspace", joining: "Join the workspace", toInvitation: "No account yet? Create one", confirm: "Confirm the address",
    invited: "“{0}” invites {1}.", mailed: "If there is an account with this address, a link is on its way to it.",
    changed: "The password is changed. Sign in with it.", confirmed: "Your e-mail address is confirmed.", askTitle: "Ask your documents", assistant: "Assistant", question: "Question",
    send: "Ask", documentsTitle: "Documents", collection: "Collection", files: "Add files", remove: "Delete", again: "Try again",
    sure: "Delete “{0}”? The assistant forgets it at once.", nothing: "No documents yet. Add a file, then ask about it.",
    thinking: "Looking it up…", confidence: "confidence {0} %, {1} ms", offline: "The server does not answer. Check the connection and try again.",
    queued: "waiting", parsing: "reading", chunking: "splitting", embedding: "indexing", publishing: "publishing",
    ready: "ready", failed: "failed", superseded: "replaced",
  },
  ru: {
    other: "English", signOut: "Выйти", name: "Ваше имя", email: "Электронная почта", password: "Пароль", signIn: "Войти",
    register: "Создать рабочее пространство", setup: "Первый администратор", toRegister: "Нет учётной записи? Создать рабочее пространство",
    toSignIn: "Есть учётная запись? Войти", code: "Код из приложения-аутентификатора", forgot: "Забыли пароль?", reset: "Задать новый пароль",
    invitation: "Присоединиться", joining: "Присоединиться", toInvitation: "Нет учётной записи? Создать", confirm: "Подтвердить адрес",
    invited: "«{0}» приглашает {1}.", mailed: "Если учётная запись с этим адресом есть, письмо со ссылкой уже в пути.",
    changed: "Пароль изменён. Войдите с ним.", confirmed: "Адрес электронной почты подтверждён.", askTitle: "Спросите свои документы", assistant: "Ассистент", question: "Вопрос",
    send: "Спросить", documentsTitle: "Документы", collection: "Коллекция", files: "Добавить файлы", remove: "Удалить", again: "Повторить",
    sure: "Удалить «{0}»? Ассистент сразу его забудет.", nothing: "Документов пока нет. Добавьте файл и спросите о нём.",
    thinking: "Ищу…", confidence: "уверенность {0} %, {1} мс", offline: "Сервер не отвечает. Проверьте соединение и попробуйте снова.",
    queued: "в очереди", parsing: "чтение", chunking: "разбиение", embedding: "индексация", publishing: "публикация",
    ready: "готов", failed: "ошибка", superseded: "заменён",
  },
};
const ON_THE_WAY = ["queued", "parsing", "chunking", "embedding", "publishing"];
const id = (name) => document.getElementById(name);
let language = localStorage.getItem("language") ?? (navigator.language.startsWith("ru") ? "ru" : "en");
let me, csrf, conversation, timer, watching;
const LINKS = ["setup", "reset", "confirm", "invitation"];
let entering = LINKS.find((name) => location.pathname === `/${name}`) ?? "signIn";
const FIELDS = {
  signIn: ["email", "password"], register: ["name", "email", "password"], setup: ["name", "email", "password"],
  forgot: ["email"], reset: ["password"], confirm: [], invitation: ["name", "password"], joining: ["password"],
};
const OTHERS = { signIn: "register", register: "signIn", forgot: "signIn", invitation: "joining", joining: "invitation" };
let needsCode = false;
const referral = () => JSON.parse(localStorage.getItem("referral") ?? "null");

function say(key, ...values) {
  return values.reduce((text, value, index) => text.replace(`{${index}}`, () => value), TEXTS[language][key] ?? key);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function translate() {
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = say(each.dataset.text);
  id("language").textContent = say("other");
  id("enter-title").textContent = id("enter-button").textContent = say(entering);
  id("enter-other").hidden = !(entering in OTHERS);
  id("enter-other").textContent = say({ signIn: "toRegister", joining: "toInvitation" }[entering] ?? "toSignIn");
  id("enter-forgot").hidden = !["signIn", "joining"].includes(entering);
  const fields = needsCode ? [...FIELDS[entering], "code"] : FIELDS[entering];
  for (const input of id("enter-form").querySelectorAll("input")) {
    input.disabled = input.parentElement.hidden = !fields.includes(input.name);
  }
  id("enter-form").elements.password.autocomplete = ["signIn", "joining"].includes(entering) ? "current-password" : "new-password";
}

async function send(method, path, { json, file, accept, signal } = {}) {
  const headers = { "Accept-Language": language, "X-CSRF-Token": csrf ?? "" };
  if (accept) headers.Accept = accept;
  const body = file ?? (json && JSON.stringify(json));
  return fetch(`/api/v1/${path}`, { method, headers, body, signal }).catch(() => { throw new Error(say("offline")); });
}

async function api(method, path, options) {
  let response = await send(method, path, options);
  if (response.status === 401 && !path.startsWith("auth/") && (await refresh())) response = await send(method, path, options);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ detail: response.statusText }));
  throw Object.assign(new Error(problem.detail), { code: problem.code });
}

async function refresh() {
  const response = await send("POST", "auth/refresh", { json: {} });
  if (response.ok) csrf = (await response.json()).csrf_token;
  return response.ok;
}

async function all(path) {
  const items = [];
  for (let after = ""; after !== null; ) {
    const page = await (await api("GET", `${path}?limit=200${after && `&after=${after}`}`)).json();
    items.push(...page.items);
    after = page.next;
  }
  return items;
}

function attempt(work) {
  return async (event) => {
    event?.preventDefault();
    id("problem").hidden = id("notice").hidden = true;
    try {
      await work(event);
    } catch (error) {
      id("problem").textContent = error.message;
      id("problem").hidden = false;
    }
  };
}

async function open() {
  let response = LINKS.includes(entering) ? { ok: false } : await send("GET", "auth/me");
  if (response.status === 401 && (await refresh())) response = await send("GET", "auth/me");
  me = response.ok ? await response.json() : null;
  watching?.abort();
  csrf = me?.csrf_token;
  id("enter").hidden = Boolean(me);
  for (const name of ["ask", "documents", "sign-out"]) id(name).hidden = !me;
  id("workspace").textContent = me?.tenant.name ?? "";
  if (!me) return;
  id("ask").hidden = !me.permissions.includes("ask");
  id("upload").hidden = !me.permissions.includes("documents.write");
  for (const [name, path] of [["assistant", "assistants"], ["collection", "collections"]]) {
    id(name).replaceChildren(...(await all(path)).map((each) => element("option", { value: each.id, textContent: each.name })));
  }
  id("assistant-label").hidden = id("assistant").length < 2;
  await list();
  follow();
}

function follow() {
  watching?.abort();
  watch(watching = new AbortController());
}

async function watch(watcher) {
  const { signal } = watcher;
  while (!signal.aborted) {
    try {
      for await (const [name, data] of events(await api("GET", "events?topics=documents", { accept: "text/event-stream", signal }))) {
        watcher.live = true;
        if (name === "reset") await attempt(list)();
        if (name === "document") update(data);
      }
    } catch { /* list() below says what is wrong, if something still is */ }
    watcher.live = false;
    if (!signal.aborted) await attempt(list)();
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}

function update(each) {
  const old = document.getElementById(each.id);
  if (each.kind === "pair") return;
  if (each.state === "deleted") old?.remove();
  else if (old) old.replaceWith(row(each));
  else id("list").prepend(row(each));
  id("nothing").hidden = id("list").childElementCount > 0;
}

const token = () => new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const PATHS = {
  signIn: "auth/sign-in", register: "auth/register", setup: "auth/setup", forgot: "auth/reset", reset: "auth/reset/password",
  confirm: "auth/confirm", invitation: "auth/invitation/register", joining: "auth/invitation/sign-in",
};
const DONE = { forgot: "mailed", reset: "changed", confirm: "confirmed" };

async function enter() {
  const form = Object.fromEntries(new FormData(id("enter-form")));
  const link = entering === "joining" || LINKS.includes(entering) ? { token: token() } : {};
  const extra = { ...link, ...(["register", "invitation"].includes(entering) && { language }), ...(!DONE[entering] && { cookies: true }) };
  if (entering === "register") Object.assign(extra, referral());
  const response = await api("POST", PATHS[entering], { json: { ...form, ...extra } }).catch((error) => {
    needsCode ||= error.code === "second_factor_required";
    translate();
    throw error;
  });
  const done = DONE[entering];
  if (!done) csrf = (await response.json()).csrf_token;
  if (entering === "register") localStorage.removeItem("referral");
  if (entering !== "forgot") history.replaceState(null, "", "/");
  entering = "signIn";
  needsCode = false;
  id("enter-form").reset();
  translate();
  await open();
  if (done) notice(say(done));
}

function notice(words) {
  id("notice").textContent = words;
  id("notice").hidden = false;
}

async function keepReferral() {
  const address = new URL(location.href);
  const code = address.searchParams.get("ref");
  if (!code) return;
  address.searchParams.delete("ref");
  history.replaceState(null, "", address);
  if (location.pathname === "/") turn("register");
  const counted = await send("POST", "referrals/clicks", { json: { code } }).catch(() => null);
  if (counted?.status !== 404 && code.length <= 100) {
    const followed = { referral_code: code, referral_clicked_at: new Date().toISOString() };
    localStorage.setItem("referral", JSON.stringify(followed));
  }
}

async function showInvitation() {
  const { workspace, email } = await (await api("POST", "auth/invitation", { json: { token: token() } })).json();
  notice(say("invited", workspace, email));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", piece; !(piece = await reader.read()).done; ) {
    const blocks = (rest + piece.value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
      if (field("data")) yield [field("event"), JSON.parse(field("data"))];
    }
  }
}

async function ask() {
  const input = id("ask-form").elements.question;
  const answer = element("div", { className: "answer", textContent: say("thinking") });
  id("talk").append(element("p", { className: "question", textContent: input.value }), answer);
  const json = { question: input.value, ...(conversation && { conversation_id: conversation }) };
  input.value = "";
  let text = "";
  try {
    const path = `assistants/${id("assistant").value}/ask`;
    for await (const [name, data] of events(await api("POST", path, { json, accept: "text/event-stream" }))) {
      if (name === "delta") answer.textContent = text += data.text;
      if (name === "final") show(answer, data);
      if (name === "error") throw new Error(data.detail);
    }
  } catch (error) {
    answer.remove();
    throw error;
  }
}

function show(answer, { text, citations, confidence, latency_ms, conversation_id, hand_over }) {
  conversation = conversation_id;
  const sources = new Map(citations.map((each) => [each.number, element("details", {},
    element("summary", { textContent: `[${each.number}] ${each.document}${each.locator && ` · ${each.locator}`}` }),
    element("blockquote", { textContent: each.quote }))]));
  const parts = text.split(/\[(\d+)\]/).map((part, index) => {
    const source = index % 2 && sources.get(Number(part));
    if (!source) return index % 2 ? `[${part}]` : part;
    const unfold = () => { source.open = true; source.firstChild.focus(); };
    return element("button", { type: "button", className: "number", textContent: part, onclick: unfold });
  });
  const note = say("confidence", Math.round(confidence * 100), Math.round(latency_ms));
  const offer = hand_over?.action === "offer" ? [element("p", { className: "quiet", textContent: hand_over.text })] : [];
  answer.replaceChildren(element("p", {}, ...parts), ...offer, ...sources.values(), element("small", { className: "quiet", textContent: note }));
}

async function list() {
  clearTimeout(timer);
  const documents = await all("documents");
  id("list").replaceChildren(...documents.reverse().map(row));
  id("nothing").hidden = documents.length > 0;
  if (!watching?.live && documents.some((each) => ON_THE_WAY.includes(each.state))) timer = setTimeout(attempt(list), 1500);
}

function row(each) {
  const state = element("span", { className: `state ${each.state}`, textContent: say(each.state) });
  const made = element("li", { id: each.id }, element("span", { className: "grow", textContent: each.file_name }), state);
  if (ON_THE_WAY.includes(each.state)) {
    const progress = each.total ? { max: each.total, value: each.done } : {};
    made.append(element("progress", { ...progress, ariaLabel: say(each.stage) }));
  }
  if (me.permissions.includes("documents.write")) {
    if (each.state === "failed" || each.outdated) {
      const again = element("button", { type: "button", className: "plain", textContent: say("again") });
      again.onclick = attempt(() => api("POST", `documents/${each.id}/reprocess`).then(list));
      made.append(again);
    }
    const remove = element("button", { type: "button", className: "plain", textContent: say("remove") });
    remove.onclick = attempt(async () => {
      if (confirm(say("sure", each.file_name))) await api("DELETE", `documents/${each.id}`).then(list);
    });
    made.append(remove);
  }
  if (each.detail) made.append(element("p", { className: "detail", textContent: each.detail }));
  return made;
}

async function upload() {
  const files = [...id("files").files];
  id("files").value = "";
  try {
    for (const file of files) {
      await api("POST", `collections/${id("collection").value}/documents?name=${encodeURIComponent(file.name)}`, { file });
    }
  } finally {
    await list();
  }
}

function turn(to) {
  entering = to;
  needsCode = false;
  translate();
}

id("enter-form").onsubmit = attempt(enter);
id("enter-other").onclick = () => turn(OTHERS[entering]);
id("enter-forgot").onclick = () => turn("forgot");
id("ask-form").onsubmit = attempt(ask);
id("assistant").onchange = () => { conversation = undefined; };
id("files").onchange = attempt(upload);
id("upload").onsubmit = (event) => event.preventDefault();
id("sign-out").onclick = attempt(async () => {
  await api("POST", "auth/sign-out");
  conversation = undefined;
  id("talk").replaceChildren();
  await open();
});
id("language").onclick = attempt(async () => {
  language = language === "en" ? "ru" : "en";
  localStorage.setItem("language", language);
  translate();
  if (!me) return;
  await list();
  follow();
});
translate();
attempt(keepReferral)();
attempt(open)().then(() => entering === "invitation" && attempt(showInvitation)());
