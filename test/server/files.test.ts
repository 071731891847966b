import { request } from "node:http";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { pathToQuery } from "../../src/contract/index.ts";
import { errorOf, eventually, openDoor, readUntil, sseOf, type TestDoor } from "./door.ts";

async function opened(limits = {}): Promise<{ door: TestDoor; base: string }> {
  const door = await openDoor(limits);
  return { door, base: `/v1/sandboxes/${door.tiny.sandbox("acme").id}/files` };
}

const GIB = 1024 ** 3;
const put = (body: Uint8Array<ArrayBuffer>) => ({ method: "PUT", body });

describe("a file", () => {
  it("goes in and out whole, with what is known of it in a header", async () => {
    const { door, base } = await opened();
    const written = await door.call(`${base}?path=a.bin&mode=0750`, put(Buffer.from("12345")));
    expect(await written.json()).toMatchObject({ path: "a.bin", size: 5, mode: "0750" });
    const read = await door.call(`${base}?path=a.bin`);
    expect(read.headers.get("content-type")).toBe("application/octet-stream");
    expect(read.headers.get("content-disposition")).toBe("attachment");
    expect(JSON.parse(decodeURIComponent(read.headers.get("x-file-info") ?? ""))).toMatchObject({ name: "a.bin", size: 5 });
    expect((await read.arrayBuffer()).byteLength).toBe(5);
  });

  it("keeps every byte of its name, also those that are not UTF-8", async () => {
    const { door, base } = await opened();
    const name = "a\udcff\udc80/ü\n+ &%.txt";
    expect((await door.call(`${base}?path=${pathToQuery(name)}`, put(Buffer.from("x")))).status).toBe(200);
    expect([...door.tiny.files.keys()]).toEqual([name]);
    const read = await door.call(`${base}?path=${pathToQuery(name)}`);
    expect(read.status).toBe(200);
    expect((JSON.parse(decodeURIComponent(read.headers.get("x-file-info") ?? "")) as { path: string }).path).toBe(name);
  });

  it("is refused with a bad path, mode, range or content type, before anything is read", async () => {
    const { door, base } = await opened();
    for (const query of [
      "",
      "?path=",
      "?path=a%00b",
      "?path=a%2",
      "?path=a%zz",
      "?path=a&mode=888",
      "?path=a&mode=7",
      "?path=a&mode=07777777",
      "?path=a&length=1",
    ]) {
      expect((await errorOf(await door.call(base + query, put(Buffer.from("x"))))).code).toBe("invalid_request");
    }
    for (const query of ["?path=a&offset=-1", "?path=a&length=x", `?path=${"a".repeat(4097)}`])
      expect((await door.call(base + query)).status).toBe(400);
    expect((await door.call(`${base}?path=a`, { method: "PUT", body: "text" })).status).toBe(415);
    expect(door.tiny.seen.uploadedBytes).toBe(0);
  });

  it("over the limit is refused with 413, by its declared length and by what arrives", async () => {
    const { door, base } = await opened({ maxUploadBytes: 100_000 });
    expect((await door.call(`${base}?path=a`, put(Buffer.alloc(100_001)))).status).toBe(413);
    expect(door.tiny.seen.tornUploads).toBe(0);
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(50_000));
        if (door.tiny.seen.tornUploads > 0) controller.close();
      },
    });
    const headers = { "content-type": "application/octet-stream" };
    const response = await door
      .call(`${base}?path=a`, { method: "PUT", body, headers, duplex: "half" } as RequestInit)
      .catch((error: unknown) => error);
    if (response instanceof Response) expect(response.status).toBe(413);
    expect(door.tiny.seen.tornUploads).toBe(1);
    expect(door.tiny.files.size).toBe(0);
  });

  it("of 1 GiB goes in without growing the server", async () => {
    const { door, base } = await opened();
    const headers = { authorization: `Bearer ${door.key}`, "content-length": String(GIB) };
    const piece = Buffer.alloc(1024 ** 2);
    let peak = 0;
    const status = await new Promise<number>((resolve, reject) => {
      const client = request(`${door.url}${base}?path=big`, { method: "PUT", headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      client.on("error", reject);
      let left = GIB;
      const more = (): void => {
        while (left > 0) {
          left -= piece.byteLength;
          peak = Math.max(peak, process.memoryUsage.rss());
          if (!client.write(piece)) {
            client.once("drain", more);
            return;
          }
        }
        client.end();
      };
      more();
    });
    expect(status).toBe(200);
    expect(door.tiny.seen.uploadedBytes).toBe(GIB);
    // Client and server share this process; 1 GiB held anywhere would show.
    expect(peak).toBeLessThan(600 * 1024 ** 2);
  });

  it("of 1 GiB comes out without growing the server, at the pace of the reader", async () => {
    const { door, base } = await opened();
    door.tiny.files.set("big", { info: door.tiny.file("big", GIB), body: () => zeros(door, GIB) });
    let peak = 0;
    let received = 0;
    await new Promise<void>((resolve, reject) => {
      request(`${door.url}${base}?path=big`, { headers: { authorization: `Bearer ${door.key}` } }, (response) => {
        response.on("data", (piece: Buffer) => {
          received += piece.byteLength;
          peak = Math.max(peak, process.memoryUsage.rss());
        });
        response.on("end", resolve);
        response.on("error", reject);
      }).end();
    });
    expect(received).toBe(GIB);
    expect(peak).toBeLessThan(600 * 1024 ** 2);
  });

  it("waits for a reader that does not read, and stops when the reader leaves", async () => {
    const { door, base } = await opened();
    door.tiny.files.set("big", { info: door.tiny.file("big", GIB), body: () => zeros(door, GIB) });
    const socket = connect(door.port, "127.0.0.1");
    socket.pause();
    socket.write(`GET ${base}?path=big HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${door.key}\r\n\r\n`);
    let before = -1;
    while (door.tiny.seen.producedBytes !== before || before <= 0) {
      before = door.tiny.seen.producedBytes;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(before).toBeLessThan(32 * 1024 ** 2);
    socket.destroy();
    await eventually(() => door.tiny.seen.finished === 1);
  });
});

async function* zeros(door: TestDoor, size: number): AsyncGenerator<Uint8Array, void, void> {
  const piece = new Uint8Array(64 * 1024);
  try {
    for (let sent = 0; sent < size; sent += piece.byteLength) {
      door.tiny.seen.producedBytes += piece.byteLength;
      yield piece;
    }
  } finally {
    door.tiny.seen.finished++;
  }
}

describe("a tree", () => {
  it("goes in and out as tar", async () => {
    const { door, base } = await opened();
    const tar = await door.call(`${base}/tar?path=.`);
    expect(tar.headers.get("content-type")).toBe("application/x-tar");
    expect((await tar.arrayBuffer()).byteLength).toBe(10_240);
    const sent = await door.call(`${base}/tar?path=in`, {
      method: "PUT",
      body: Buffer.alloc(2048),
      headers: { "content-type": "application/x-tar" },
    });
    expect(sent.status).toBe(204);
    expect(door.tiny.seen.uploadedBytes).toBe(2048);
    expect(
      (await door.call(`${base}/tar?path=in`, { method: "PUT", body: "x", headers: { "content-type": "application/zip" } })).status,
    ).toBe(415);
  });

  it("that breaks off midway breaks the connection off, and never looks complete", async () => {
    const { door, base } = await opened();
    const socket = connect(door.port, "127.0.0.1");
    socket.write(`GET ${base}/tar?path=broken HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${door.key}\r\n\r\n`);
    const answer = await readUntil(socket);
    expect(answer).toContain("200 OK");
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(answer).not.toContain("/secret");
    await expect(door.call(`${base}/tar?path=broken`).then((response) => response.arrayBuffer())).rejects.toThrow();
  });

  it("is watched until the client leaves", async () => {
    const { door, base } = await opened();
    const leave = new AbortController();
    const response = await fetch(`${door.url}${base}/watch?path=src&recursive=true`, {
      headers: { authorization: `Bearer ${door.key}` },
      signal: leave.signal,
    });
    for await (const event of sseOf(response)) {
      expect(event).toMatchObject({ event: "created", data: { type: "created", path: "src" } });
      break;
    }
    leave.abort();
    await eventually(() => door.tiny.seen.aborted === 1);
  });
});
