import type { Provider, Ref } from "../../../src/contract/index.ts";

const nothing = async (): Promise<void> => undefined;

/** Standing still that is wrong in one way each. */
export const BROKEN_RESTS = {
  pretendsToPause: (provider: Provider): Provider => {
    const still = new Set<string>();
    return {
      ...provider,
      pause: { pause: async ({ id }) => void still.add(id), resume: async ({ id }) => void still.delete(id) },
      async inspect(ref, op) {
        const seen = await provider.inspect(ref, op);
        return seen === "absent" || !still.has(ref.id) ? seen : { ...seen, state: "paused" };
      },
    };
  },
  endsWhatRuns: (provider: Provider): Provider => {
    const { pause, suspend } = provider;
    if (pause === undefined || suspend === undefined) return provider;
    return {
      ...provider,
      pause: {
        pause: (ref, op) => pause.pause(ref, op),
        async resume(ref, op) {
          const seen = await provider.inspect(ref, op);
          if (seen === "absent" || seen.state !== "paused") return;
          await suspend.suspend(ref, op);
          await suspend.wake(ref, op);
        },
      },
    };
  },
  listsAsRunning: (provider: Provider): Provider => ({
    ...provider,
    async *list(op) {
      for await (const ref of provider.list(op)) yield { ...ref, running: true };
    },
  }),
  losesTheDisk: (provider: Provider): Provider => {
    const { suspend } = provider;
    if (suspend === undefined) return provider;
    return {
      ...provider,
      suspend: {
        suspend: (ref, op) => suspend.suspend(ref, op),
        async wake(ref: Ref, op) {
          const woken = await suspend.wake(ref, op);
          await provider.files?.remove(ref, "/workspace/kept", { recursive: false }, op);
          return woken;
        },
      },
    };
  },
  suspendsNothing: (provider: Provider): Provider =>
    provider.suspend === undefined ? provider : { ...provider, suspend: { ...provider.suspend, suspend: nothing } },
} as const;
