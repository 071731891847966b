import { connect } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { PortAddress, PortInfo } from "../../src/sdk/index.ts";
import { cli } from "./cli.ts";

const PROFILE = {
  kind: "profile",
  name: "web",
  version: 1,
  network: { ports: [{ port: 3000 }], publish: [{ from: 8000, to: 8001, visibility: "token" }] },
};

test("ports are published, addressed, listed and taken back, and a tunnel leads to those that are not", async () => {
  const program = cli();
  const { url } = await program.serve();
  writeFileSync(join(program.data, "web.json"), JSON.stringify(PROFILE));
  expect((await program.run(["profile", "apply", join(program.data, "web.json")])).code).toBe(0);
  const id = (await program.run(["create", "--profile", "web"])).stdout.trim();
  await program.run(["exec", "-d", id, "--", "httpd", "8000"]);
  await program.run(["exec", "-d", id, "--", "httpd", "9000"]);
  const published = await program.run(["ports", id, "publish", "8000", "--visibility", "token", "--ttl", "1h", "--json"]);
  const info = JSON.parse(published.stdout) as PortInfo;
  expect(info).toMatchObject({
    port: 8000,
    visibility: "token",
    source: "request",
    url: `http://8000-${id}.localhost:${new URL(url).port}/`,
  });
  expect((await program.run(["ports", id])).stdout).toMatch(/3000 +private +profile[^]*8000 +token +request/);
  const address = JSON.parse((await program.run(["ports", id, "url", "8000", "--path", "/.headers", "--json"])).stdout) as PortAddress;
  const { pathname, search, host } = new URL(address.url);
  // By path, as this process does not resolve names below localhost.
  const answer = await fetch(`${url}/p/${id}/8000${pathname}${search}`);
  expect(((await answer.json()) as { headers: Record<string, string> }).headers["x-forwarded-host"]).toBe(new URL(url).host);
  expect(host).toBe(`8000-${id}.localhost:${new URL(url).port}`);
  const refused = await program.run(["ports", id, "publish", "8001", "--visibility", "public"]);
  expect([refused.code, refused.stderr]).toEqual([125, expect.stringContaining("error[policy_denied]") as string]);
  expect((await program.run(["ports", id, "rm", "8000"])).code).toBe(0);
  expect((await fetch(`${url}/p/${id}/8000${pathname}${search}`)).status).toBe(404);

  const forward = program.start(["forward", "--local", "0", "--json", id, "9000"]);
  const [, port = ""] = await forward.seen(/"port":\s*(\d+)/);
  const through = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "said" });
  expect(await through.text()).toBe("said");
  forward.child.kill("SIGINT");
  expect((await forward.done).code).toBe(0);

  const closed = program.start(["forward", "--local", "0", "--json", id, "9001"]);
  const [, at = ""] = await closed.seen(/"port":\s*(\d+)/);
  await new Promise<void>((resolve) =>
    connect(Number(at), "127.0.0.1")
      .on("close", () => resolve())
      .on("error", () => {})
      .resume(),
  );
  await closed.seen(/error\[port_closed\]/);
}, 60_000);

test("a tunnel without a server is refused with what to do", async () => {
  const program = cli();
  const { code, stderr } = await program.run(["forward", "sb01kb8t4m9zk3v5x7qpw2ch6dn", "80"]);
  expect([code, stderr]).toEqual([125, expect.stringContaining("sand-boxer serve") as string]);
});
