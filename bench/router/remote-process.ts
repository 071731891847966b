/** A fake backend in a process of its own, served over HTTP; prints its address. `node remote-process.ts` */
import { FakeOptions, openFake, serveFake } from "../../src/providers/fake/index.ts";

const nothing = (): void => {};
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const provider = openFake(FakeOptions.parse({ isolation: "container" }), {
  backend: "remote", directory: "/nowhere", instance: "bench", log, failpoint: nothing,
}); // prettier-ignore
const { url } = await serveFake(provider, log);
process.stdout.write(`${url}\n`);
