import { chunksOf } from "./bytes.ts";

/** One server-sent event. */
export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/**
 * The events of a `text/event-stream` body, as they come. Comments (keep-alives) are skipped. An event cut off by the
 * end of the stream is dropped, as the standard says. Stopping early cancels the request.
 */
export async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, void, undefined> {
  const decoder = new TextDecoder();
  // Pieces are joined only when a line ends: a line may be megabytes long and come in many chunks.
  let pending: string[] = [];
  let event = "message";
  let id: string | undefined;
  let data: string[] = [];
  for await (const chunk of chunksOf(body)) {
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      pending.push(text.slice(start, end));
      start = end + 1;
      let line = pending.length === 1 ? (pending[0] ?? "") : pending.join("");
      pending = [];
      if (line.endsWith("\r")) line = line.slice(0, -1);
      if (line === "") {
        if (data.length > 0) yield { id, event, data: data.join("\n") };
        event = "message";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
      if (field === "data") data.push(value);
      else if (field === "event") event = value;
      else if (field === "id") id = value;
    }
    if (start < text.length) pending.push(text.slice(start));
  }
}
