import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../../support/runtimes.ts";
import { arrived, type Inside, openStage, type Stage, WORLD } from "./stage.ts";

const NETWORK = {
  allow: [
    { host: "allowed.test", ports: [443, 80] },
    { host: "*.wild.test", ports: [443, 80] },
    { host: "mixed.test", ports: [443, 80] },
    { host: "loopback.test", ports: [443, 80] },
    { host: "private.test", ports: [443, 80] },
  ],
};

describe.each(await workingRuntimes(...CONTAINER_RUNTIMES))("names in a sandbox of $runtime", ({ runtime }) => {
  let stage: Stage;
  let inside: Inside;
  beforeAll(async () => {
    stage = await openStage(runtime);
    inside = await stage.sandbox(NETWORK);
  }, 900_000);
  afterAll(() => stage[Symbol.asyncDispose]());
  beforeEach(() => stage.world.forget());

  it("the positive control: an allowed name has an address, and what is there is reached", async () => {
    expect(await inside.attack("query", "allowed.test", "A")).toMatchObject({ ok: true, rcode: 0, answers: 1 });
    expect((await inside.curl("-k", "https://a.wild.test/")).text).toBe("hello from a.wild.test\n");
  });

  it("case 43: a canary in a name's labels is seen by nobody outside", async () => {
    for (const name of ["stolen-canary.denied.test", "stolen-canary.allowed.test", "stolen-canary.test"]) {
      expect(await inside.attack("query", name, "A"), name).toMatchObject({ rcode: 3 });
      await inside.sh(`getent hosts ${name}; curl -sS -m 5 http://${name}/`);
    }
    // Asked for only, also where a rule allows the name: a question alone sends nothing.
    await inside.attack("query", "stolen-canary.wild.test", "A");
    expect((await stage.world.seen()).filter((seen) => JSON.stringify(seen).includes("canary"))).toEqual([]);
  });

  it.each(["TXT", "ANY", "MX", "AAAA", "CNAME"])(
    "case 44: %s has no answer but an empty one, and nothing is asked outside",
    async (type) => {
      expect(await inside.attack("query", "allowed.test", type)).toMatchObject({ ok: true, answers: 0 });
      expect(await inside.attack("query", "denied.test", type)).toMatchObject({ ok: true, rcode: 3, answers: 0 });
      expect(await stage.world.seen()).toEqual([]);
    },
  );

  it("case 44: name servers outside are not reached, by TCP, by UDP or by TLS", async () => {
    expect(await inside.attack("query", "allowed.test", "A", "tcp")).toMatchObject({ ok: true, rcode: 0, answers: 1 });
    for (const transport of ["udp", "tcp"])
      expect((await inside.attack("query", "denied.test", "A", transport, WORLD.dns)).ok, transport).toBe(false);
    await inside.attack("tls", "direct", `${WORLD.denied}:853`, "allowed.test");
    expect(await stage.world.seen()).toEqual([]);
  });

  it("case 45: a name that turns to another address is checked again at each connection", async () => {
    await stage.world.set("allowed.test", [[WORLD.allowed], ["127.0.0.1"], [WORLD.private], [WORLD.metadata]], 0);
    const answers: string[] = [];
    for (let round = 0; round < 4; round++) answers.push((await inside.curl("-k", "--no-keepalive", `https://allowed.test/${round}`)).text);
    await stage.world.set("allowed.test", [[WORLD.allowed]]);
    expect(answers[0]).toContain("hello");
    expect(answers.slice(1).join("")).not.toContain("hello");
    const reached = (await arrived(stage.world)).flatMap((seen) => (seen.kind === "tcp" ? [seen.address] : []));
    expect(reached.filter((address) => address !== WORLD.allowed)).toEqual([]);
  });

  it("case 46: a name with a public and a private address is not dialled at all", async () => {
    for (const name of ["mixed.test", "loopback.test", "private.test"])
      expect((await inside.curl("-k", `https://${name}/`)).text, name).not.toContain("hello");
    expect(await arrived(stage.world)).toEqual([]);
  });

  it("case 47: hosts and resolv.conf cannot be changed inside, and what a program believes instead leads nowhere else", async () => {
    for (const file of ["/etc/hosts", "/etc/resolv.conf"])
      expect((await inside.sh(`echo ${WORLD.denied} allowed.test >>${file}`)).exitCode, file).not.toBe(0);
    const { text } = await inside.curl("-k", "--noproxy", "*", "--resolve", `allowed.test:443:${WORLD.denied}`, "https://allowed.test/");
    expect(text).toBe("hello from allowed.test\n");
    expect((await arrived(stage.world)).flatMap((seen) => (seen.kind === "tcp" ? [seen.address] : []))).toEqual([WORLD.allowed]);
  });
});
