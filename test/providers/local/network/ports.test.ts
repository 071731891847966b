import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Provider, type Ref } from "../../../../src/contract/index.ts";
import { sandbox } from "../inside.ts";
import { op, Scratch } from "../scratch.ts";
import { TEST_CA } from "./ca.ts";
import { egressRuntimes } from "./runtimes.ts";

/** Answers what it was sent, once that has ended: both directions and a half-closed one. By perl-base alone. */
const server = (port: number, host: string): string => `perl -e 'use Socket qw(:all); my $six = "${host}" =~ /:/;
  socket(my $s, $six ? PF_INET6 : PF_INET, SOCK_STREAM, 0) or die; setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
  bind($s, $six ? pack_sockaddr_in6(${port}, inet_pton(AF_INET6, "${host}")) : pack_sockaddr_in(${port}, inet_aton("${host}"))) or die $!;
  listen $s, 50; $| = 1; print "up\\n"; while (accept my $c, $s) { my $t = do { local $/; <$c> }; print {$c} "heard $t"; close $c }'`;

async function converse(socket: Duplex, words: string): Promise<string> {
  socket.end(words);
  return (await socket.toArray()).join("");
}

describe.each(await egressRuntimes())("ports of a sandbox, by %s", (runtime) => {
  const scratch = new Scratch();
  let provider: Provider;
  beforeAll(async () => {
    provider = await scratch.open({ runtimes: [runtime] });
  });
  afterAll(() => scratch.remove());

  const listening = async (ref: Ref, port: number, host = "127.0.0.1"): Promise<void> => {
    const id = newId("process");
    const command = { id, run: { shell: server(port, host) } };
    await provider.processes?.start(ref, command, { stdin: "none", maxOutputBytes: 4096 }, op());
    for await (const chunk of provider.processes?.output(ref, id, { offset: 0, follow: true }, op()) ?? []) {
      if (chunk.type === "stdout") return;
      throw new Error(chunk.type === "ended" ? "the server ended" : Buffer.from(chunk.data).toString());
    }
  };
  const connect = (ref: Ref, port: number): Promise<Duplex> => {
    if (provider.ports === undefined) throw new Error("the provider has no ports");
    return provider.ports.connect(ref, port, op());
  };

  test.each([["without egress", {}], ["with egress", { egress: { caPem: TEST_CA } }]] as const)("a server on its loopback is reached, %s", async (_, changes) => {
    const ref = await sandbox(provider, changes);
    await listening(ref, 8000);
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, i) => converse(await connect(ref, 8000), `number ${i}`)));
    expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `heard number ${i}`));
    await expect(connect(ref, 8001)).rejects.toMatchObject({ code: "not_found" });
  }); // prettier-ignore

  test("a server on the loopback of IPv6 alone is reached where the sandbox has that", async () => {
    const ref = await sandbox(provider);
    await listening(ref, 8000, "::1");
    expect(await converse(await connect(ref, 8000), "six")).toBe("heard six");
  });

  test("what stands below 1024 is the boundary's, and no visitor reaches it", async () => {
    const ref = await sandbox(provider, { egress: { caPem: TEST_CA } });
    for (const port of [0, 1, 53, 808, 1023, 65_536, 1.5]) await expect(connect(ref, port)).rejects.toMatchObject({ code: "not_found" });
  });

  test("one sandbox's port leads to no other's", async () => {
    const [one, other] = [await sandbox(provider), await sandbox(provider)];
    await listening(one, 8000);
    await expect(connect(other, 8000)).rejects.toMatchObject({ code: "not_found" });
    await provider.destroy(one, op());
    await expect(connect(one, 8000)).rejects.toMatchObject({ code: "sandbox_not_found" });
  });

  test("whoever gives up is let go", async () => {
    const ref = await sandbox(provider);
    const signal = AbortSignal.abort();
    await expect(provider.ports?.connect(ref, 8000, op(signal))).rejects.toMatchObject({ code: "canceled" });
  });

  test("what the provider says it can, it does", () => {
    expect(provider.traits.capabilities).toMatchObject({ "net.allow_domain": "native", "net.l7": "native", "ports.tcp": "native" });
    expect(provider.traits.isolation.flatMap(({ notes }) => notes).join()).not.toContain("nothing can be reached from inside");
  });
});
