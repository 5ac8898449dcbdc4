/** Event streams as the server writes them, read piece by piece. */

export interface ServerEvent {
  name: string;
  id: string;
  data: string;
}

/** Takes text as it comes, wherever it was cut, and gives the events that are complete. */
export function eventReader(): (piece: string) => ServerEvent[] {
  let rest = "";
  let event: Partial<ServerEvent> = {};
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    const complete: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (event.data !== undefined) complete.push({ name: "message", id: "", ...event, data: event.data });
        event = {};
        continue;
      }
      const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (name === "event") event.name = value;
      else if (name === "id") event.id = value;
      else if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
    }
    return complete;
  };
}
