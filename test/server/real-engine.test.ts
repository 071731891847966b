import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { EventPage, ExecResult, ProcessInfo, Sandbox, SandboxPage, WireError } from "../../src/contract/index.ts";
import { sseOf } from "./door.ts";
import { openRealDoor } from "./real-door.ts";

/** A caller of one tenant. */
async function caller() {
  const door = await openRealDoor();
  const { secret } = await door.key("acme", ["read", "write"]);
  const call = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(door.url + path, { ...init, headers: { authorization: `Bearer ${secret}`, ...(init.headers as Record<string, string>) } });
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    call(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });
  return { door, secret, call, post };
}

const as = async <T>(response: Response | Promise<Response>): Promise<T> => (await (await response).json()) as T;

describe("over the real engine", () => {
  it("a sandbox is made, used and ended, and its events tell of it", async () => {
    const { call, post } = await caller();
    const created = await post("/v1/sandboxes", { ttl: "5m", metadata: { session: "s-1" } });
    expect(created.status).toBe(201);
    const { id } = await as<Sandbox>(created);
    expect(created.headers.get("location")).toBe(`/v1/sandboxes/${id}`);
    expect(await as<ExecResult>(post(`/v1/sandboxes/${id}/exec`, { shell: "echo out; echo err >&2; exit 3" }))).toMatchObject({
      outcome: "exited", exit_code: 3, stdout: "out\n", stderr: "err\n",
    }); // prettier-ignore
    const put = await call(`/v1/sandboxes/${id}/files?path=a%FF.txt&mode=0640`, { method: "PUT", body: Buffer.from("hello") });
    expect(put.status).toBe(200);
    expect(await (await call(`/v1/sandboxes/${id}/files?path=a%FF.txt&offset=1&length=3`)).text()).toBe("ell");
    expect((await call(`/v1/sandboxes/${id}/files?path=none`)).status).toBe(404);
    expect((await as<SandboxPage>(call("/v1/sandboxes?metadata.session=s-1&state=ready"))).data).toHaveLength(1);
    expect((await as<SandboxPage>(call("/v1/sandboxes?metadata.session=s-2"))).data).toHaveLength(0);
    const ended = await as<Sandbox>(call(`/v1/sandboxes/${id}`, { method: "DELETE" }));
    expect(ended).toMatchObject({ state: "terminated", termination: { reason: "user" } });
    expect((await post(`/v1/sandboxes/${id}/exec`, { shell: "true" })).status).toBe(409);
    const types = (await as<EventPage>(call(`/v1/events?sandbox_id=${id}`))).data.map(({ type }) => type);
    expect(types).toEqual(expect.arrayContaining(["exec.started", "exec.finished"]));
  });

  it("the same Idempotency-Key gives the same sandbox, with other content a conflict", async () => {
    const { post } = await caller();
    const key = { "idempotency-key": "run-7" };
    const first = await as<Sandbox>(post("/v1/sandboxes", { ttl: "5m" }, key));
    const again = await post("/v1/sandboxes", { ttl: "5m" }, key);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
    expect((await as<Sandbox>(again)).id).toBe(first.id);
    const other = await post("/v1/sandboxes", { ttl: "6m" }, key);
    expect(other.status).toBe(409);
    expect((await as<{ error: WireError }>(other)).error.code).toBe("conflict");
  });

  it("pages follow their cursor to the end, newest first, and a cursor that is not one is refused", async () => {
    const { call, post } = await caller();
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await as<Sandbox>(post("/v1/sandboxes", { ttl: "5m" }))).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: SandboxPage = await as<SandboxPage>(
        call(`/v1/sandboxes?limit=2${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`),
      );
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(made);
    for (const bad of ["bogus", "%00", "eyJ9", "%F0%9F%98%80"]) expect((await call(`/v1/sandboxes?cursor=${bad}`)).status).toBe(400);
  });

  it("a stream of events ends with exited, and streamed input comes back while it is sent", async () => {
    const { call, post } = await caller();
    const { id } = await as<Sandbox>(post("/v1/sandboxes", { ttl: "5m" }));
    const command = encodeURIComponent(JSON.stringify({ argv: ["cat"] }));
    const init = {
      method: "POST",
      body: new Blob(["one\n", "two\n"]).stream(),
      headers: { "content-type": "application/octet-stream" },
      duplex: "half",
    };
    let text = "";
    const types: string[] = [];
    for await (const { event, data } of sseOf(await call(`/v1/sandboxes/${id}/exec?command=${command}`, init))) {
      types.push(event);
      if (event === "stdout") text += Buffer.from(String(data["data"]), "base64").toString();
    }
    expect(text).toBe("one\ntwo\n");
    expect([types[0], types.at(-1)]).toEqual(["started", "exited"]);
  });

  it("a client that goes away ends its command", async () => {
    const { call, post } = await caller();
    const { id } = await as<Sandbox>(post("/v1/sandboxes", { ttl: "5m" }));
    const leave = new AbortController();
    const headers = { "content-type": "application/json", accept: "text/event-stream" };
    const response = await call(`/v1/sandboxes/${id}/exec`, {
      method: "POST",
      body: '{"shell":"sleep 300"}',
      headers,
      signal: leave.signal,
    });
    for await (const { event } of sseOf(response)) if (event === "started") break;
    leave.abort();
    let finished: unknown;
    while (finished === undefined)
      finished = (await as<EventPage>(call(`/v1/events?sandbox_id=${id}`))).data.find(({ type }) => type === "exec.finished")?.data[
        "outcome"
      ];
    expect(finished).toBe("killed");
  });

  it("a terminal is attached to over a WebSocket, typed into, and seen to end", async () => {
    const { door, secret, post } = await caller();
    const { id } = await as<Sandbox>(post("/v1/sandboxes", { ttl: "5m" }));
    const process = await as<ProcessInfo>(post(`/v1/sandboxes/${id}/processes`, { argv: ["cat"], stdin: "pipe" }));
    const socket = new WebSocket(`${door.url.replace("http", "ws")}/v1/sandboxes/${id}/processes/${process.id}/ws`, [
      "sandboxer",
      `sandboxer.key.${secret}`,
    ]);
    const frames: Buffer[] = [];
    const texts: string[] = [];
    socket.on("message", (data: Buffer, isBinary) => void (isBinary ? frames.push(data) : texts.push(data.toString())));
    await new Promise((resolve) => socket.on("open", resolve));
    socket.send(Buffer.from("hello"));
    socket.send('{"type":"close_stdin"}');
    expect(await new Promise((resolve) => socket.on("close", resolve))).toBe(1000);
    expect(Buffer.concat(frames.map((frame) => frame.subarray(1))).toString()).toBe("hello");
    expect(JSON.parse(texts[0] ?? "")).toMatchObject({ type: "ended", outcome: "exited", exit_code: 0 });
  });
});
