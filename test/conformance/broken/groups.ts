import { duplexPair } from "node:stream";
import type { Files, OutputChunk, Ports, Processes, Provider, Ref } from "../../../src/contract/index.ts";

const withProcesses =
  (change: (real: Processes) => Partial<Processes>) =>
  (provider: Provider): Provider =>
    provider.processes === undefined ? provider : { ...provider, processes: { ...provider.processes, ...change(provider.processes) } };
const withFiles =
  (change: (real: Files) => Partial<Files>) =>
  (provider: Provider): Provider =>
    provider.files === undefined ? provider : { ...provider, files: { ...provider.files, ...change(provider.files) } };

const chunks = (change: (chunk: OutputChunk) => OutputChunk | undefined) =>
  withProcesses((real) => ({
    async *output(...args) {
      for await (const chunk of real.output(...args)) {
        const changed = change(chunk);
        if (changed !== undefined) yield changed;
      }
    },
  }));

/** Background processes that are wrong in one way each. */
export const BROKEN_PROCESSES = {
  offsetOffByOne: withProcesses((real) => ({
    output: (ref, id, from, op) => real.output(ref, id, { ...from, offset: Math.max(0, from.offset - 1) }, op),
  })),
  ignoresTheOffset: withProcesses((real) => ({ output: (ref, id, from, op) => real.output(ref, id, { ...from, offset: 0 }, op) })),
  answersTheOffsetOfTheStart: chunks((chunk) => (chunk.type === "ended" ? chunk : { ...chunk, offset: chunk.offset - chunk.data.length })),
  alwaysFollows: withProcesses((real) => ({
    output: (ref, id, from, op) =>
      real.output(ref, id, { ...from, follow: true }, { ...op, signal: AbortSignal.any([op.signal, AbortSignal.timeout(500)]) }),
  })),
  hidesTheEnd: chunks((chunk) => (chunk.type === "ended" ? undefined : chunk)),
  hidesJournalTruncation: chunks((chunk) => (chunk.type === "ended" ? { ...chunk, truncated: false } : chunk)),
  runsAgainOnEveryStart: (provider: Provider): Provider => {
    let count = 0;
    const again = withProcesses((real) => ({
      start: (ref, command, options, op) =>
        real.start(ref, count++ === 0 ? command : { ...command, id: `${command.id}${count}` }, options, op),
    }));
    return again(provider);
  },
  swallowsSignals: withProcesses(() => ({ signal: () => Promise.resolve() })),
  swallowsCloseStdin: withProcesses((real) => ({
    closeStdin: () => Promise.resolve(),
    output: (ref, id, from, op) => real.output(ref, id, from, { ...op, signal: AbortSignal.any([op.signal, AbortSignal.timeout(1000)]) }),
  })),
  ignoresResize: withProcesses(() => ({ resize: () => Promise.resolve() })),
  ignoresThePty: withProcesses((real) => ({
    start: (ref, command, { pty: _ignored, ...options }, op) => real.start(ref, command, options, op),
  })),
};

/** Ports that are wrong in one way each. */
export const BROKEN_PORTS = {
  answersWhereNothingListens: withPorts((real) => async (ref, port, op) => {
    try {
      return await real.connect(ref, port, op);
    } catch {
      return duplexPair()[0];
    }
  }),
  leadsToWhomeverListens: (provider: Provider): Provider => {
    let first: Ref | undefined;
    return withPorts((real) => (ref, port, op) => real.connect((first ??= ref), port, op))(provider);
  },
};

function withPorts(change: (real: Ports) => Ports["connect"]): (provider: Provider) => Provider {
  return (provider) => {
    const { ports } = provider;
    if (ports === undefined) throw new Error("the fake has ports");
    return { ...provider, ports: { connect: change(ports) } };
  };
}

/** Files that are wrong in one way each. */
export const BROKEN_FILES = {
  mangledNames: withFiles((real) => ({
    list: async (...args) => (await real.list(...args)).map((info) => ({ ...info, name: info.name.replace(/[\udc80-\udcff]/g, "?") })),
  })),
  ignoresRanges: withFiles((real) => ({ read: (ref, path, _range, op) => real.read(ref, path, {}, op) })),
  ignoresModes: withFiles((real) => ({ write: (ref, path, body, _options, op) => real.write(ref, path, body, {}, op) })),
  alwaysReplaces: withFiles((real) => ({ rename: (ref, from, to, _options, op) => real.rename(ref, from, to, { replace: true }, op) })),
  removesFullDirectories: withFiles((real) => ({ remove: (ref, path, _options, op) => real.remove(ref, path, { recursive: true }, op) })),
  listsOneLevelOnly: withFiles((real) => ({ list: (ref, path, _options, op) => real.list(ref, path, { depth: 1 }, op) })),
  keepsBrokenUploads: withFiles((real) => ({
    write: (ref, path, body, options, op) => real.write(ref, path, untilItBreaks(body), options, op),
  })),
  readsInOnePiece: withFiles((real) => ({
    async read(ref, path, range, op) {
      const { info, body } = await real.read(ref, path, range, op);
      const all: Uint8Array[] = [];
      for await (const chunk of body) all.push(chunk);
      return { info, body: (async function* () { yield Buffer.concat(all); })() }; // prettier-ignore
    },
  })),
  losesSymlinks: withFiles((real) => ({ list: async (...args) => (await real.list(...args)).filter((info) => info.type !== "symlink") })),
  watchesNothing: withFiles(() => ({
    async *watch(_ref, path, _options, op) {
      yield { type: "created", path };
      await new Promise((resolve) => op.signal.addEventListener("abort", resolve));
    },
  })),
};

async function* untilItBreaks(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch {
    return;
  }
}
