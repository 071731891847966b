import { figure, interleaved, timed } from "../figures.ts";
import type { Row } from "../row.ts";
import { type Network, PROFILES } from "./open.ts";

const ADDED_MS = 8;

/** The whole create with an allow-list, over the same without: from the pool in both cases, in turn. */
export async function create({ stage, server }: Network): Promise<Row[]> {
  const { scale, signal, say } = stage;
  const samples = { with: [] as number[], without: [] as number[] };
  const once = async (profile: string, into: number[]): Promise<void> => {
    const { ms, value } = await timed(() => server.client.json<{ id: string }>("POST", "/v1/sandboxes", { profile }));
    into.push(ms);
    await server.client.json("DELETE", `/v1/sandboxes/${value.id}`);
    await server.quiet(1);
  };
  const both = [() => once(PROFILES.through, samples.with), () => once(PROFILES.none, samples.without)] as const;
  // What the first of a kind loads, compiles and starts is not what a create costs.
  for (const one of both) await one();
  for (const list of Object.values(samples)) list.length = 0;
  await interleaved({ rounds: scale.creates, seconds: scale.seconds * 2, signal }, ...both);
  say("create");
  const [ours, without] = [figure(samples.with), figure(samples.without)];
  return [
    {
      case: "network", what: "create with egress", unit: "ms", ours, peer: { name: "without", figure: without },
      target: { value: ours.median - without.median, direction: "at_most", bound: ADDED_MS, of: "ms over without" },
      note: "disks and namespaces prepared ahead; includes the proof from inside that what must fail fails",
    },
  ]; // prettier-ignore
}
