import { describe, expect, it } from "vitest";

import { accentOf, contrast, onAccent, ringOn, USUAL } from "../colours";
import { identityOf, languageOf, readConfig } from "../config";
import { isExpired, newKey, Refused } from "../server";
import { eventReader } from "../sse";
import { sentence, speak } from "../texts";
import { EMPTY, unmarked, withEarlier, withPending, withTold } from "../thread";
import type { Message } from "../thread";

const ID = "0190b1c2-0000-7000-8000-0000000000aa/0190b1c2-0000-7000-8000-0000000000bb";

function message(id: string, more: Partial<Message> = {}): Message {
  return { id, sender: "assistant", text: id, key: null, blocks: [], citations: [], notice: "", ...more };
}

describe("the script tag", () => {
  it("leads to the routes beside the script", () => {
    const read = readConfig("https://help.example.com/in/widget.js?v=2", { id: ID.toUpperCase() }, ["de", "ru-RU", "en"]);
    expect(read).toEqual({
      api: `https://help.example.com/in/api/v1/widget/${ID}/`,
      id: ID, language: "ru", theme: "auto", color: "", side: "right", suggestions: [], user: null, isFrame: false,
    });
  });
  it("says how the widget looks and whom it is for", () => {
    const user = { user_id: "42", signature: "ab", expires_at: 7 };
    const data = { id: ID, lang: "en", theme: "dark", side: "left", color: "#fff", suggestions: " a | |b|c|d|e", user: JSON.stringify(user) };
    expect(readConfig("https://a.example/widget.js", data, ["ru"])).toMatchObject({
      language: "en", theme: "dark", side: "left", suggestions: ["a", "b", "c", "d"], user,
    });
    const framed = readConfig("https://a.example/widget.js", { id: ID, frame: "" }, [], `#user=${encodeURIComponent(JSON.stringify(user))}`);
    expect(framed).toMatchObject({ isFrame: true, user, language: "en" });
  });
  it.each(["", "../../session", `${ID}/x`, `${ID}?`, "1/2"])("names no widget by %j", (id) => {
    expect(readConfig("https://a.example/widget.js", { id }, [])).toBeNull();
  });
  it.each(["", "no json", "[]", '"x"', '{"user_id": 42, "signature": "ab"}', '{"user_id": "42"}'])("names nobody by %j", (json) => {
    expect(identityOf(json)).toBeNull();
  });
  it("speaks the first language that it can", () => {
    expect([["de", "en-GB", "ru"], ["RU"], ["kk"], []].map(languageOf)).toEqual(["en", "ru", "en", "en"]);
  });
});

describe("colours", () => {
  it.each([["#ABC", "#aabbcc"], [" #a1B2c3 ", "#a1b2c3"], ["red", USUAL], ["#12345", USUAL], ["#fff}body{}", USUAL], ["", USUAL]])("%j is %j", (given, read) => {
    expect(accentOf(given)).toBe(read);
  });
  it("can be read whatever the site's own is", () => {
    for (let grey = 0; grey < 256; grey += 1) {
      const accent = `#${grey.toString(16).padStart(2, "0").repeat(3)}`;
      expect(contrast(onAccent(accent), accent)).toBeGreaterThanOrEqual(4.2);
      expect(contrast(ringOn("#ffffff", accent, "#15171c"), "#ffffff")).toBeGreaterThanOrEqual(3);
    }
    expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
  });
});

describe("the event stream", () => {
  const stream = "retry: 2000\r\n\r\n: \r\n\r\nid: a.1\r\nevent: message\r\ndata: {\"текст\":\r\ndata:  1}\r\n\r\nevent: state\ndata: {}\n\nevent: lost";
  const events = [{ name: "message", id: "a.1", data: '{"текст":\n 1}' }, { name: "state", id: "", data: "{}" }];
  it("is the same wherever it is cut", () => {
    expect(eventReader()(stream)).toEqual(events);
    for (let at = 1; at < stream.length; at += 1) {
      const read = eventReader();
      expect([...read(stream.slice(0, at)), ...read(stream.slice(at))]).toEqual(events);
    }
    const slow = eventReader();
    expect([...stream].flatMap((letter) => slow(letter))).toEqual(events);
  });
});

describe("the conversation", () => {
  const sent = { key: "k1", text: "Hi", error: null };
  it("has each message once, in its order", () => {
    let thread = withEarlier(EMPTY, [message("3"), message("2")]);
    for (const id of ["3", "4"]) thread = withTold(thread, message(id));
    thread = withEarlier(thread, [message("2"), message("1")]);
    expect(thread.told.map((each) => each.id)).toEqual(["1", "2", "3", "4"]);
    expect(withTold(thread, message("4"))).toBe(thread);
  });
  it("shows what was sent until the server tells it, and not again afterwards", () => {
    const waiting = withPending(withPending(EMPTY, sent), { key: "k2", text: "Ho", error: null });
    const failed = withPending(waiting, { ...sent, error: "unreachable" });
    expect(failed.pending.map((each) => [each.key, each.error])).toEqual([["k1", "unreachable"], ["k2", null]]);
    const told = withTold(failed, message("1", { sender: "visitor", key: "k1" }));
    expect(told.pending.map((each) => each.key)).toEqual(["k2"]);
    expect(withPending(told, { ...sent, error: "unreachable" }).pending).toEqual(told.pending);
    expect(withEarlier(failed, [message("2", { key: "k2" }), message("1", { key: "k1" })]).pending).toEqual([]);
  });
  it("knows the sources that no mark leads to", () => {
    const citations = [1, 2].map((number) => ({ number, title: `${number}`, locator: "", quote: "", url: null }));
    const blocks = [{ kind: "paragraph" as const, marker: "", level: 0, spans: [{ text: "a" }, { number: 2 }] }];
    expect(unmarked(message("1", { blocks, citations })).map((each) => each.number)).toEqual([1]);
  });
});

describe("refusals", () => {
  it("are told in words that a visitor understands", () => {
    const [en, ru] = [speak("en"), speak("ru")];
    expect(sentence(ru, "too_many_requests")).toBe("Слишком много сообщений сразу. Подождите минуту.");
    expect(sentence(en, "something_new")).toBe(en("failed"));
    expect(sentence(en, "toString")).toBe(en("failed"));
  });
  it("end a session where the server says so", () => {
    expect(["token_expired", "identity_refused"].map((code) => isExpired(new Refused(code)))).toEqual([true, false]);
  });
  it("make ids that are UUIDs", () => {
    const keys = new Set(Array.from({ length: 100 }, newKey));
    expect(keys.size).toBe(100);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
