/** Case 69: a page of another origin opens a WebSocket to a preview, with what the visitor's browser sends along by itself. */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { cookieOf, openPreview, pathOf, startServer } from "../server/preview/preview-door.ts";
import { oracleOn } from "../server/preview/programs.ts";

test.runIf(process.getuid?.() === 0)(
  "69: a WebSocket from another origin is refused for private and token ports, before the program sees it",
  async () => {
    const door = await openPreview("local");
    const [PRIVATE, TOKEN, PUBLIC] = [3000, 3001, 3002];
    const sandbox = await door.sandbox({
      ports: [{ port: PRIVATE }, { port: TOKEN, visibility: "token" }, { port: PUBLIC, visibility: "public" }],
    });
    for (const port of [PRIVATE, TOKEN, PUBLIC]) await startServer(door, sandbox, port, `oracle${port}.mjs`, oracleOn(port));
    const page = { accept: "text/html" };
    const cookies = new Map<number, string>();
    for (const port of [PRIVATE, TOKEN])
      cookies.set(port, cookieOf(await door.visit(sandbox, port, pathOf(await door.address(sandbox, port)), { headers: page })));
    const token = pathOf(await door.address(sandbox, TOKEN));
    const attempt = (port: number, headers: Record<string, string>, path = "/"): Promise<number> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${door.port}${path}`, { headers: { host: door.hostOf(sandbox, port), ...headers } });
        socket.on("unexpected-response", (_request, answer) => resolve(answer.statusCode ?? 0));
        socket.on("open", () => (socket.terminate(), resolve(101)));
        socket.on("error", () => {});
      });
    const own = (port: number): string => `http://${door.hostOf(sandbox, port)}`;
    const foreign = [
      "https://evil.test",
      "null",
      own(PUBLIC),
      `http://127.0.0.1:${door.port}`,
      `https://${door.hostOf(sandbox, PRIVATE)}`,
      `${own(PRIVATE)}.evil.test`,
      "",
    ];
    for (const port of [PRIVATE, TOKEN]) {
      const cookie = cookies.get(port) ?? "";
      for (const origin of foreign) expect([origin, await attempt(port, { cookie, origin })]).toEqual([origin, 403]);
      for (const origin of foreign) expect([origin, await attempt(port, { "x-sandboxer-key": door.key, origin })]).toEqual([origin, 403]);
      // A browser always names the origin: a cookie without one is none of its.
      expect(await attempt(port, { cookie })).toBe(403);
      expect(await attempt(port, { origin: own(port) })).toBe(404);
    }
    expect(await attempt(TOKEN, { origin: "https://evil.test" }, token)).toBe(403);
    const opened = async (port: number): Promise<unknown> =>
      (JSON.parse((await door.visit(sandbox, port, "/tell", { headers: { "x-sandboxer-key": door.key } })).body) as { url: string }).url;
    expect(await opened(PRIVATE)).toBe("/tell");
    for (const port of [PRIVATE, TOKEN]) {
      const cookie = cookies.get(port) ?? "";
      expect(await attempt(port, { cookie, origin: own(port) })).toBe(101);
      expect(await attempt(port, { "x-sandboxer-key": door.key })).toBe(101);
    }
    expect(await attempt(TOKEN, { origin: own(TOKEN) }, token)).toBe(101);
    expect(await attempt(PUBLIC, { origin: "https://evil.test" })).toBe(101);
  },
  60_000,
);
