/** A program on the official SDK, as control-domain.test.ts runs it. Names below sbx.test lead to this machine, as a wildcard DNS entry would. */
import dns from "node:dns";
import type { Sandbox as SandboxClass } from "e2b";

const lookup = dns.lookup as (name: string, options: object, found: (...answer: unknown[]) => void) => void;
const here = (name: string, options: { all?: boolean }, found: (...answer: unknown[]) => void): void => {
  if (!name.endsWith(".sbx.test")) lookup(name, options, found);
  else if (options.all === true) found(null, [{ address: "127.0.0.1", family: 4 }]);
  else found(null, "127.0.0.1", 4);
};
Object.assign(dns, { lookup: here });

const { Sandbox } = (await import(process.env["SDK"] ?? "e2b")) as { Sandbox: typeof SandboxClass };
const sandbox = await Sandbox.create();
const { state } = await sandbox.getInfo();
console.log(JSON.stringify({ host: sandbox.getHost(3000), state, killed: await sandbox.kill(), again: await sandbox.kill() }));
