import { request } from "node:http";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { newId } from "../../src/contract/index.ts";
import { errorOf, eventually, openDoor, readUntil, sseOf, type Sse, type TestDoor } from "./door.ts";

const stream = { accept: "text/event-stream" };

async function opened(limits = {}): Promise<{ door: TestDoor; path: string }> {
  const door = await openDoor(limits);
  return { door, path: `/v1/sandboxes/${door.tiny.sandbox("acme").id}/exec` };
}

async function all(response: Response): Promise<Sse[]> {
  const events: Sse[] = [];
  for await (const event of sseOf(response)) events.push(event);
  return events;
}

describe("an exec answered as JSON", () => {
  it("gives text as it is and other bytes as base64, and says which", async () => {
    const { door, path } = await opened();
    expect(await (await door.json(path, "POST", { argv: ["echo", "hällo\n"] })).json()).toMatchObject({
      outcome: "exited", exit_code: 0, signal: null, oom_killed: false, truncated: false, stdout: "hällo\n", stderr: "", encoding: { stdout: "utf8", stderr: "utf8" },
    }); // prettier-ignore
    expect(await (await door.json(path, "POST", { argv: ["bytes"] })).json()).toMatchObject({
      stdout: "/wD+",
      encoding: { stdout: "base64", stderr: "utf8" },
    });
    expect(await (await door.json(path, "POST", { argv: ["split"] })).json()).toMatchObject({
      stdout: "é",
      stderr: "aside",
      encoding: { stdout: "utf8" },
    });
  });

  it("passes the command on as seconds and bytes, with 8 MiB of output unless told otherwise", async () => {
    const { door, path } = await opened();
    await door.json(path, "POST", {
      argv: ["cat"],
      timeout: "1.5m",
      cwd: "/tmp",
      env: { A: "1" },
      user: "root",
      stdin: { base64: "/w==" },
    });
    await door.json(path, "POST", { shell: "true", max_output_bytes: 10 });
    await door.json(path, "POST", { shell: "true" }, stream);
    const [first, second, third] = door.tiny.seen.execs;
    expect(first).toEqual({
      argv: ["cat"],
      timeout: 90,
      cwd: "/tmp",
      env: { A: "1" },
      user: "root",
      stdin: { kind: "bytes", bytes: Buffer.from([0xff]) },
      maxOutputBytes: 8 * 1024 ** 2,
    });
    expect(second).toEqual({ shell: "true", stdin: { kind: "none" }, maxOutputBytes: 10 });
    expect(third?.maxOutputBytes).toBe(1024 ** 3);
  });

  it("refuses more output than one answer can carry, and a command that is none or two", async () => {
    const { door, path } = await opened();
    const error = await errorOf(await door.json(path, "POST", { shell: "true", max_output_bytes: 10 ** 12 }));
    expect(error).toMatchObject({ code: "output_limit", issues: [{ path: "max_output_bytes" }] });
    for (const body of [{}, { argv: ["a"], shell: "b" }, { argv: [] }, { shell: "a\0b" }]) {
      expect((await door.json(path, "POST", body)).status).toBe(400);
    }
    expect(door.tiny.seen.execs).toEqual([]);
  });

  it("is an error where the command's end was not seen, never exit 0", async () => {
    const { door, path } = await opened();
    for (const [program, code] of [
      ["silent", "outcome_unknown"],
      ["breaks", "internal"],
    ]) {
      const error = await errorOf(await door.json(path, "POST", { argv: [program] }));
      expect(error.code).toBe(code);
      expect(JSON.stringify(error)).not.toContain("/secret");
    }
  });

  it("ends the command when the client goes away", async () => {
    const { door, path } = await opened();
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${door.key}`, "content-type": "application/json" };
    const answer = fetch(door.url + path, { method: "POST", body: '{"argv":["hang"]}', headers, signal: leave.signal });
    await eventually(() => door.tiny.seen.execs.length === 1);
    leave.abort();
    await expect(answer).rejects.toThrow();
    await eventually(() => door.tiny.seen.aborted === 1);
  });
});

describe("an exec answered as events", () => {
  it("starts with started, ends with exited, and closes then", async () => {
    const { door, path } = await opened();
    const response = await door.json(path, "POST", { argv: ["split"] }, stream);
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = await all(response);
    expect(events.map(({ event }) => event)).toEqual(["started", "stdout", "stderr", "stdout", "exited"]);
    expect(events[0]?.data["exec_id"]).toMatch(/^ex/);
    expect(events[1]?.data).toEqual({ type: "stdout", data: "ww==" });
    expect(events.at(-1)?.data).toMatchObject({ type: "exited", outcome: "exited", exit_code: 0 });
  });

  it("ends with error where the stream breaks or never says how it ended", async () => {
    const { door, path } = await opened();
    for (const [program, code] of [
      ["silent", "outcome_unknown"],
      ["breaks", "internal"],
    ]) {
      const last = (await all(await door.json(path, "POST", { argv: [program] }, stream))).at(-1);
      expect(last).toMatchObject({ event: "error", data: { type: "error", error: { code } } });
      expect(JSON.stringify(last)).not.toContain("/secret");
    }
  });

  it("is a plain error with its status where the sandbox is not there", async () => {
    const { door } = await opened();
    const response = await door.json(`/v1/sandboxes/${newId("sandbox")}/exec`, "POST", { argv: ["echo"] }, stream);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).code).toBe("sandbox_not_found");
  });

  it("sends comments as signs of life while the command is silent", async () => {
    const { door, path } = await opened({ keepaliveMs: 20 });
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${door.key}`, "content-type": "application/json", ...stream };
    const response = await fetch(door.url + path, { method: "POST", body: '{"argv":["hang"]}', headers, signal: leave.signal });
    let text = "";
    for await (const piece of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += piece;
      if (text.split(": keepalive\n\n").length > 3) break;
    }
    leave.abort();
    await eventually(() => door.tiny.seen.aborted === 1);
  });

  it("makes the command wait for a slow reader and does not gather its output", async () => {
    const { door, path } = await opened();
    const body = JSON.stringify({ argv: ["yes"] });
    const socket = connect(door.port, "127.0.0.1");
    socket.pause();
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${door.key}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const { seen } = door.tiny;
    await eventually(() => seen.producedBytes > 0);
    let before = -1;
    // Settled: nothing was made in 40 turns of the loop that makes a piece each turn.
    while (seen.producedBytes !== before) {
      before = seen.producedBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(seen.producedBytes).toBeLessThan(32 * 1024 ** 2);
    socket.resume();
    await eventually(() => seen.producedBytes > before + 32 * 1024 ** 2);
    socket.destroy();
    await eventually(() => seen.finished === 1);
  });
});

describe("an exec with streamed standard input", () => {
  const command = (value: unknown) => `?command=${encodeURIComponent(JSON.stringify(value))}`;

  it("answers while the body is still being sent", async () => {
    const { door, path } = await opened();
    const headers = { authorization: `Bearer ${door.key}`, "content-type": "application/octet-stream" };
    const client = request(door.url + path + command({ argv: ["cat"] }), { method: "POST", headers });
    client.write("one");
    const [text, response] = await new Promise<[() => string, { complete: boolean }]>((resolve, reject) => {
      client.on("error", reject);
      client.on("response", (response) => {
        let text = "";
        response.on("data", (piece: Buffer) => (text += piece.toString()));
        resolve([() => text, response]);
      });
    });
    await eventually(() => text().includes(Buffer.from("one").toString("base64")));
    client.write("two");
    await eventually(() => text().includes(Buffer.from("two").toString("base64")));
    expect(text()).not.toContain("event: exited");
    client.end();
    await eventually(() => response.complete);
    expect(text()).toContain("event: exited");
  });

  it("may end before the body does", async () => {
    const { door, path } = await opened();
    const socket = connect(door.port, "127.0.0.1");
    const target = path + command({ argv: ["echo", "done"] });
    socket.write(
      `POST ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${door.key}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    );
    const answer = await readUntil(socket);
    expect(answer).toContain("event: exited");
    expect(answer).toMatch(/\r\n0\r\n\r\n$/);
  });

  it("is an error for the command, and not its end of input, where the client breaks the body off", async () => {
    const { door, path } = await opened();
    const socket = connect(door.port, "127.0.0.1");
    socket.write(
      `POST ${path}${command({ argv: ["cat"] })} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${door.key}\r\nContent-Type: application/octet-stream\r\nContent-Length: 10\r\n\r\nabc`,
    );
    await eventually(() => door.tiny.seen.stdinBytes === 3);
    socket.destroy();
    await eventually(() => door.tiny.seen.tornStdin === 1);
  });

  it("needs a valid command in the query, without stdin, and only there", async () => {
    const { door, path } = await opened();
    const post = (query: string, type = "application/octet-stream") =>
      door.call(path + query, { method: "POST", body: "x", headers: { "content-type": type } });
    for (const query of [
      "",
      "?command=",
      "?command=%7B",
      command({ argv: ["cat"], stdin: { text: "x" } }),
      command({ argv: ["cat"], cdw: "/" }),
      command("x"),
    ]) {
      const response = await post(query);
      expect(response.status).toBe(400);
    }
    expect((await errorOf(await post(command({ argv: ["cat"], cdw: "/" })))).issues?.[0]).toMatchObject({ nearest: "cwd" });
    expect((await door.json(path + command({ argv: ["cat"] }), "POST", { argv: ["cat"] })).status).toBe(400);
    expect((await post(command({ argv: ["cat"] }), "text/plain")).status).toBe(415);
  });
});
