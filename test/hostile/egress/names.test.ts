import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { arrived, type Attack, type Inside, openStage, type Stage, WORLD } from "./stage.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../../support/runtimes.ts";

const NETWORK = {
  allow: [
    { host: "allowed.test", ports: [443, 80] },
    { host: "*.wild.test", ports: [443], tls: "inspect" },
  ],
};

const said = (attack: Attack): string => JSON.stringify(attack);
const get = (host: string, path = "/") => `GET ${path} HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n`;

/** Ways of writing a name that must be no way to another one. */
const BAD_NAMES = [
  "denied.test\\x00.allowed.test", "allowed.test\\x00", "denied.test%00.allowed.test", "allowed.test%2f@denied.test", "denied.test#.allowed.test", "denied.test@allowed.test",
  "allowed.test@denied.test", "allowed.test.denied.test", "xallowed.test", "denied.test\\r\\nX-Name: allowed.test", "denied.test allowed.test", "allowed.test..",
  "аllowed.test", "allowed。test", "wild.test", "x.wild.test.denied.test", "", ".", "*.wild.test", "denied.test/allowed.test", "denied.test;allowed.test",
]; // prettier-ignore

// With one runtime: what is judged here is the boundary, which does not know what made the sandbox. `dns` tries each.
describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("names of hosts, from a sandbox of $runtime", ({ runtime }) => {
  let stage: Stage;
  let inside: Inside;
  beforeAll(async () => {
    stage = await openStage(runtime);
    inside = await stage.sandbox(NETWORK);
  }, 900_000);
  afterAll(() => stage[Symbol.asyncDispose]());
  beforeEach(() => stage.world.forget());

  it("the positive control: the attacks' own tools reach what is allowed", async () => {
    for (const how of ["direct", "connect"])
      expect(said(await inside.attack("tls", how, "allowed.test:443", "allowed.test", get("allowed.test"))), how).toContain("hello");
    expect(
      said(await inside.attack("tls", "connect", "a.wild.test:443", "a.wild.test", get("a.wild.test"), get("a.wild.test", "/again"))),
    ).toMatch(/hello.*hello/);
    expect(said(await inside.attack("socks", "allowed.test", "80", get("allowed.test")))).toContain("hello");
  });

  it("case 32: CONNECT to an allowed host on another port is refused", async () => {
    for (const port of ["22", "7777", "8443"])
      expect(
        (await inside.attack("tls", "connect", `allowed.test:${port}`, "allowed.test")).ok && (await arrived(stage.world)).length,
      ).toBeFalsy();
    expect((await inside.attack("socks", "allowed.test", "22", "x")).socks).not.toBe(0);
    expect(await arrived(stage.world)).toEqual([]);
  });

  it("case 33: a server name other than the one that was connected to is refused", async () => {
    for (const how of ["direct", "connect"]) {
      for (const sni of ["denied.test", "a.wild.test", "-"]) await inside.attack("tls", how, "allowed.test:443", sni, get("denied.test"));
    }
    expect(await arrived(stage.world)).toEqual([]);
  });

  it("case 34: a Host other than the server name is refused, on the first request and on every later one", async () => {
    const first = await inside.attack("tls", "connect", "a.wild.test:443", "a.wild.test", get("denied.test"));
    expect(said(first)).not.toContain("hello");
    await inside.attack("tls", "connect", "a.wild.test:443", "a.wild.test", get("a.wild.test"), get("denied.test", "/second"));
    await inside.attack(
      "tls",
      "connect",
      "a.wild.test:443",
      "a.wild.test",
      "GET https://denied.test/absolute HTTP/1.1\\r\\nHost: a.wild.test\\r\\n\\r\\n",
    );
    const plain = await inside.attack("tcp", WORLD.allowed, "80", `${get("allowed.test")}${get("denied.test", "/second")}`);
    expect(said(plain)).not.toContain("hello from denied");
    const http = (await arrived(stage.world)).flatMap((seen) => (seen.kind === "http" ? [`${seen.host}${seen.url}`] : []));
    expect(http.filter((request) => request.includes("denied") || request.includes("second") || request.includes("absolute"))).toEqual([]);
  });

  it("case 35: a ClientHello in pieces is put together; one without a name is refused", async () => {
    for (const piece of ["1", "5", "50"])
      expect(await inside.attack("hello", "direct", "allowed.test:443", "allowed.test", piece), piece).toMatchObject({ handshake: "done" });
    stage.world.forget();
    for (const piece of ["1", "40"]) {
      expect((await inside.attack("hello", "direct", "allowed.test:443", "denied.test", piece)).handshake).toBeUndefined();
      expect((await inside.attack("hello", "connect", "allowed.test:443", "-", piece)).handshake).toBeUndefined();
    }
    expect(await arrived(stage.world)).toEqual([]);
  });

  it.each(BAD_NAMES)("case 36: the name %j leads nowhere", async (name) => {
    await inside.attack("proxied", `CONNECT ${name}:443 HTTP/1.1\\r\\nHost: ${name}:443\\r\\n\\r\\n`);
    await inside.attack("proxied", `GET http://${name}/ HTTP/1.1\\r\\nHost: ${name}\\r\\n\\r\\n`);
    await inside.attack("socks", name, "443", "x");
    await inside.attack("socks", name, "80", get("allowed.test"));
    await inside.attack("tcp", WORLD.allowed, "80", get(name));
    const reached = (await arrived(stage.world)).filter((seen) => seen.kind === "http" && !/^allowed\.test(:80)?$/.test(seen.host));
    expect(reached).toEqual([]);
    expect((await arrived(stage.world)).filter((seen) => seen.kind === "tcp" && seen.address !== WORLD.allowed)).toEqual([]);
  });

  it.each([
    ["CL.TE", "Content-Length: 44\\r\\nTransfer-Encoding: chunked"],
    ["TE.CL", "Transfer-Encoding: chunked\\r\\nContent-Length: 4"],
    ["two lengths", "Content-Length: 44\\r\\nContent-Length: 0"],
    ["two encodings", "Transfer-Encoding: chunked\\r\\nTransfer-Encoding: identity"],
    ["an encoding with a space", "Transfer-Encoding : chunked"],
    ["an unknown encoding", "Transfer-Encoding: xchunked"],
    ["a length with a sign", "Content-Length: +44"],
  ])("case 37: a request with %s smuggles no second one", async (_, headers) => {
    const smuggled = `POST / HTTP/1.1\\r\\nHost: HOST\\r\\n${headers}\\r\\n\\r\\n0\\r\\n\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: denied.test\\r\\n\\r\\n`;
    await inside.attack("tls", "connect", "a.wild.test:443", "a.wild.test", smuggled.replace("HOST", "a.wild.test"));
    await inside.attack("tcp", WORLD.allowed, "80", smuggled.replace("HOST", "allowed.test"));
    const http = (await arrived(stage.world)).filter(
      (seen) => seen.kind === "http" && (seen.url.includes("smuggled") || seen.host.includes("denied")),
    );
    expect(http).toEqual([]);
  });

  it("case 38: a redirect to a denied host is followed into a refusal", async () => {
    const { text } = await inside.curl("-kL", "https://a.wild.test/redirect?to=https://denied.test/secret");
    expect(text).not.toContain("hello");
    expect((await arrived(stage.world)).filter((seen) => seen.kind === "http" && seen.host.includes("denied"))).toEqual([]);
  });
});
