import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Command, Op, Ref, SandboxSpec } from "../../src/contract/index.ts";
import { FakeControl, FakeOptions, openFake } from "../../src/providers/fake/index.ts";

interface Question {
  readonly instance: string;
  readonly spec: SandboxSpec;
  readonly ref: Ref;
  readonly command: Command;
}

/** What backends of `shared-fake.ts` stand for: one fake world a label, in this process. */
export interface SharedWorld extends AsyncDisposable {
  readonly url: string;
  /** Labels that asked, each a fleet or a data directory. */
  readonly labels: readonly string[];
  /** Ids that exist now, over all labels. */
  ids(): string[];
  /** How often each id was made. */
  readonly made: ReadonlyMap<string, number>;
}

const log = { debug() {}, info() {}, warn() {}, error() {} };

export async function openSharedWorld(latencyMs = 5): Promise<SharedWorld> {
  const worlds = new Map<string, { provider: ReturnType<typeof openFake>; control: FakeControl }>();
  const made = new Map<string, number>();
  const worldOf = (instance: string) => {
    const known = worlds.get(instance);
    if (known !== undefined) return known;
    const control = new FakeControl();
    const options = FakeOptions.parse({ isolation: "container", latency_ms: latencyMs, control });
    const fresh = { provider: openFake(options, { backend: "far", directory: "", instance, log } as never), control };
    worlds.set(instance, fresh);
    return fresh;
  };
  const op = (): Op => ({ signal: new AbortController().signal, log });
  const answer = async (verb: string, { instance, spec, ref, command }: Question): Promise<unknown> => {
    const { provider } = worldOf(instance);
    if (verb === "traits") return provider.traits;
    if (verb === "create") {
      made.set(spec.id, (made.get(spec.id) ?? 0) + 1);
      return provider.create(spec, op());
    }
    if (verb === "destroy") return provider.destroy(ref, op());
    if (verb === "inspect") return provider.inspect(ref, op());
    const items: unknown[] = [];
    if (verb === "list") for await (const listed of provider.list(op())) items.push(listed);
    else
      for await (const event of provider.exec(ref, command, { stdin: { kind: "none" }, maxOutputBytes: 1 << 16 } as never, op()))
        items.push("data" in event ? { ...event, base64: Buffer.from(event.data).toString("base64") } : event);
    return items;
  };
  const server = createServer((incoming, outgoing) => {
    void text(incoming)
      .then((body) => answer((incoming.url ?? "/").slice(1), JSON.parse(body) as Question))
      .then(
        (value) => outgoing.end(JSON.stringify(value)),
        (thrown: unknown) => outgoing.writeHead(500).end(String(thrown)),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get labels() {
      return [...worlds.keys()];
    },
    ids: () => [...worlds.values()].flatMap(({ control }) => control.ids()),
    made,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      for (const { provider } of worlds.values()) await provider.dispose?.();
    },
  };
}
