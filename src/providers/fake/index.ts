import { defineProvider } from "../../contract/index.ts";
import { FakeOptions } from "./options.ts";
import { openFake } from "./provider.ts";

export { FakeControl } from "./control.ts";
export { FAULT_KINDS, Fault, OPERATIONS } from "./faults.ts";
export type { Operation } from "./faults.ts";
export { FakeOptions } from "./options.ts";
export { serveFake } from "./remote/serve.ts";
export { openFake } from "./provider.ts";
export type { FakeProvider } from "./provider.ts";

/**
 * A backend in memory that behaves like a real one, for tests of what is built on sand-boxer: no runtime, no root, no
 * network. Commands run in a small shell with the commands of `commands/`; an unknown one answers 127 as a shell does.
 * Faults strike by name. It isolates nothing because it runs nothing. All state dies with the process, so after a
 * restart `list` is truthfully empty. With `remote` it is behind HTTP, in another process that serves it with {@link serveFake}.
 */
export default defineProvider({
  name: "fake",
  options: FakeOptions,
  remote: ({ remote }) => remote !== undefined,
  async open(options, context) {
    if (options.remote === undefined) return openFake(options, context);
    const { openRemoteFake } = await import("./remote/client.ts");
    return openRemoteFake(options.remote, context);
  },
});
