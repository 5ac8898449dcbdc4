export type ServerEvent = { name: string; data: string };

/** The events of a stream as they come; a comment comes as an event without a name. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const blocks = (rest + piece.value).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? "";
      for (const block of blocks) yield read(block);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

export function read(block: string): ServerEvent {
  const event = { name: "", data: "" };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [field, value] = cut(line);
    if (field === "event") event.name = value;
    if (field === "data") data.push(value);
  }
  return { ...event, data: data.join("\n") };
}

function cut(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 1) return ["", ""];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}
