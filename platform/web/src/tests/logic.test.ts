import { expect, test } from "vitest";

import { merge } from "../api/shown-documents";
import type { DocumentOut } from "../api/schema";
import { eventsOf, read } from "../api/sse";
import { paragraphsOf, unitsOf } from "../pages/document/places";
import { bodyOf } from "../pages/channels/forms";
import { neighbour } from "../pages/inbox/keys";
import { groupOf, matches, shareOf } from "../pages/knowledge/state";
import { historyOf } from "../pages/playground/history";
import { blocksOf, spansOf } from "../ui/answer-blocks";

const document = (id: string, more: Partial<DocumentOut> = {}) => ({ id, kind: "file", state: "ready", title: id, file_name: `${id}.pdf`, tags: [], ...more }) as DocumentOut;

test("events of a stream come whole, however it is cut", async () => {
  const stream = "retry: 2000\n\nevent: document\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: \n\n";
  for (const size of [1, 3, 7, 100]) {
    const pieces = stream.match(new RegExp(`[\\s\\S]{1,${size}}`, "g")) ?? [];
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        for (const piece of pieces) to.enqueue(new TextEncoder().encode(piece));
        to.close();
      },
    });
    const found = [];
    for await (const event of eventsOf(body)) found.push(event);
    expect(found).toEqual([{ name: "", data: "" }, { name: "document", data: '{"a":\n1}' }, { name: "", data: "" }]);
  }
  expect(read("event:reset\ndata:{}")).toEqual({ name: "reset", data: "{}" });
});

test("a told document takes its row, a new one comes first, a deleted one goes", () => {
  const shown = [document("a"), document("b")];
  expect(merge(shown, document("b", { state: "failed" }), false).map(({ id, state }) => [id, state])).toEqual([["a", "ready"], ["b", "failed"]]);
  expect(merge(shown, document("c"), false).map(({ id }) => id)).toEqual(["c", "a", "b"]);
  expect(merge(shown, document("a"), true).map(({ id }) => id)).toEqual(["b"]);
  expect(merge(shown, document("p", { kind: "pair" }), false)).toBe(shown);
});

test("the marked place is exact, also behind characters of two halves", () => {
  const text = "Один 😀 два.\n\nТри четыре";
  expect(unitsOf(text, 6)).toBe(7);
  const marked = paragraphsOf(text, 100, { start: 107, end: 110 }).flatMap(({ pieces }) => pieces.filter((piece) => piece.marked));
  expect(marked).toEqual([{ text: "два", marked: true }]);
});

test("a place that spans paragraphs is marked in each of them", () => {
  const pieces = paragraphsOf("ab\n\ncd\n \nef", 0, { start: 1, end: 6 }).map((paragraph) => paragraph.pieces.map(({ text, marked }) => (marked ? `<${text}>` : text)).join(""));
  expect(pieces).toEqual(["a<b>", "<cd>", "ef"]);
});

test("an answer keeps its lists, bold words and sources", () => {
  expect(blocksOf("Да [1].\n- один **два** [2]\n- три\n2. четыре").map(({ kind, items, first }) => [kind, items.length, first])).toEqual([["paragraph", 1, 1], ["bullets", 2, 1], ["numbers", 1, 2]]);
  expect(spansOf("a **b** [12] [x]")).toEqual([{ kind: "text", text: "a " }, { kind: "bold", text: "b" }, { kind: "text", text: " " }, { kind: "source", number: 12 }, { kind: "text", text: " [x]" }]);
});

test("progress never goes back from stage to stage", () => {
  const stages = ["queued", "parsing", "chunking", "embedding", "publishing"];
  const shares = stages.flatMap((stage) => [0, 5, 10].map((done) => shareOf({ state: stage, stage, done, total: 10 })));
  expect(shares).toEqual([...shares].sort((one, other) => one - other));
  expect(Math.max(...shares)).toBeLessThanOrEqual(1);
  expect(["queued", "embedding", "failed", "ready", "superseded"].map((state) => groupOf({ state }))).toEqual(["working", "working", "failed", "ready", "ready"]);
});

test("a search looks at title, file and tags", () => {
  const one = document("Warranty", { tags: ["Москва"] });
  expect(["warr", "PDF", "моск", " ", "nothing"].map((words) => matches(one, words))).toEqual([true, true, true, true, false]);
});

test("what failed is no part of the history", () => {
  const turns = [{ id: 1, question: "a", text: "b" }, { id: 2, question: "c", text: "", error: new Error() }];
  expect(historyOf(turns)).toEqual([{ role: "user", text: "a" }, { role: "assistant", text: "b" }]);
});

test("the form of a channel becomes the body that the API wants", () => {
  expect(bodyOf("mail", { name: "Mail", "settings.from_address": "a@b.c", "settings.imap.host": "i", "settings.imap.port": "993", "settings.smtp.host": "s", "settings.smtp.port": "465", "settings.user": "u", "secrets.imap_password": " p " })).toEqual({
    name: "Mail",
    type: "mail",
    settings: { from_address: "a@b.c", imap: { host: "i", port: 993, user: "u" }, smtp: { host: "s", port: 465, user: "u" } },
    secrets: { imap_password: "p" },
  });
  expect(bodyOf("telegram", { name: "T", "secrets.bot_token": "1:a", other: "x" })).toEqual({ name: "T", type: "telegram", settings: {}, secrets: { bot_token: "1:a" } });
});

test("keys go to the neighbours and stop at the ends", () => {
  const steps = [neighbour(["a", "b"], undefined, 1), neighbour(["a", "b"], "a", 1), neighbour(["a", "b"], "b", 1), neighbour(["a", "b"], "a", -1), neighbour([], "a", 1), neighbour(["a"], "gone", 1)];
  expect(steps).toEqual(["a", "b", "b", "a", undefined, "a"]);
});
