import { SandboxerError } from "../../../src/contract/index.ts";
import type { Created, Provider } from "../../../src/contract/index.ts";

/** Life cycles that are wrong in one way each. */
export const BROKEN_LIFECYCLES = {
  answersAConstantId: (provider: Provider): Provider => ({
    ...provider,
    async create(spec, op) {
      const created = await provider.create(spec, op);
      return { ...created, ref: { ...created.ref, id: "sb-constant", native: "constant" } };
    },
  }),
  sharesOneSandbox: (provider: Provider): Provider => {
    let first: Promise<Created> | undefined;
    return { ...provider, create: (spec, op) => (first ??= provider.create(spec, op)) };
  },
  createsAnewEachTime: (provider: Provider): Provider => {
    let count = 0;
    return {
      ...provider,
      async create(spec, op) {
        const created = await provider.create(spec, op);
        return { ...created, ref: { ...created.ref, native: `${created.ref.native}-${count++}` } };
      },
    };
  },
  ignoresTheIsolationFloor: (provider: Provider): Provider => ({
    ...provider,
    create: (spec, op) => provider.create({ ...spec, isolationMin: "process" }, op),
  }),
  ignoresMaxLife: (provider: Provider): Provider => ({
    ...provider,
    async create(spec, op) {
      const created = await provider.create({ ...spec, maxLifeAt: spec.maxLifeAt + 3_600_000 }, op);
      return { ...created, ref: { ...created.ref, maxLifeAt: spec.maxLifeAt } };
    },
  }),
  swallowsDestroy: (provider: Provider): Provider => ({ ...provider, destroy: () => Promise.resolve("destroyed" as const) }),
  destroysOnlyOnce: (provider: Provider): Provider => ({
    ...provider,
    async destroy(ref, op) {
      const answer = await provider.destroy(ref, op);
      if (answer === "absent") throw new SandboxerError("sandbox_not_found", "it is gone already");
      return answer;
    },
  }),
  listsNothingOnError: (provider: Provider): Provider => ({
    ...provider,
    async *list(op) {
      try {
        yield* provider.list(op);
      } catch {
        return;
      }
    },
  }),
  listsTheDead: (provider: Provider): Provider => {
    const all = new Map<string, Created["ref"]>();
    return {
      ...provider,
      async create(spec, op) {
        const created = await provider.create(spec, op);
        all.set(created.ref.id, created.ref);
        return created;
      },
      async *list() {
        yield* all.values();
      },
    };
  },
  saysAbsentOnError: (provider: Provider): Provider => ({
    ...provider,
    inspect: (ref, op) => provider.inspect(ref, op).catch(() => "absent" as const),
  }),
  leavesWhatWasAborted: (provider: Provider): Provider => ({
    ...provider,
    async create(spec, op) {
      const created = await provider.create(spec, { ...op, signal: new AbortController().signal });
      op.signal.throwIfAborted();
      return created;
    },
  }),
};
