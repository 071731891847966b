import { array, assert, asyncProperty, nat } from "fast-check";
import { expect, test } from "vitest";
import { serverEvents, type ServerEvent } from "../../src/sdk/sse.ts";

async function read(chunks: Uint8Array[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(new Blob(chunks as Uint8Array<ArrayBuffer>[]).stream())) events.push(event);
  return events;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("events come out the same wherever the stream is cut", async () => {
  const text = 'id: 7\nevent: stdout\ndata: {"é":"✓"}\n\n: keepalive\n\ndata: one\r\ndata: two\r\n\r\n';
  const whole = await read([bytes(text)]);
  expect(whole).toEqual([
    { id: "7", event: "stdout", data: '{"é":"✓"}' },
    { id: "7", event: "message", data: "one\ntwo" },
  ]);
  await assert(
    asyncProperty(array(nat(bytes(text).length)), async (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), bytes(text).length];
      const chunks = places.slice(1).map((end, i) => bytes(text).slice(places[i], end));
      expect(await read(chunks)).toEqual(whole);
    }),
  );
});

test("an event that the end of the stream cut off is dropped", async () => {
  expect(await read([bytes("data: whole\n\ndata: half")])).toEqual([{ id: undefined, event: "message", data: "whole" }]);
});

test("leaving the iteration cancels the body", async () => {
  let canceled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes("data: x\n\n")),
    cancel: () => void (canceled = true),
  });
  for await (const event of serverEvents(body)) {
    expect(event.data).toBe("x");
    break;
  }
  expect(canceled).toBe(true);
});
