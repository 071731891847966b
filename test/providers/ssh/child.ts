import { newId } from "../../../src/contract/index.ts";
import { op, openProvider, specOf } from "./open.ts";

/** Does one thing with the provider in a process of its own: creates, killed at the step that is named, or leaves a command running. */
const [options = "{}", id = "", what = ""] = process.argv.slice(2);
const { provider } = await openProvider(JSON.parse(options) as never, {
  failpoint: (name) => {
    if (name === what) process.kill(process.pid, "SIGKILL");
  },
});
const { ref } = await provider.create(specOf({ id }), op());
if (what === "exec") {
  const command = { id: newId("exec"), run: { shell: "echo on; sleep 3333 & sleep 3333" } };
  for await (const event of provider.exec(ref, command, { stdin: { kind: "none" }, maxOutputBytes: 1e6 }, op()))
    if (event.type === "stdout") process.stdout.write(JSON.stringify({ ref, id: command.id }) + "\n");
}
process.exit(0);
