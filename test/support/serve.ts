import { openLocal } from "./local-engine.ts";

/** A server in a process of its own: says its address and a key on one line, and ends with its standard input. */
const [dataDir = "", runtime = ""] = process.argv.slice(2);
const local = await openLocal("serve", { dataDir, ...(runtime === "" ? {} : { runtime }) });
const { url, key } = await local.listen();
process.stdout.write(`${JSON.stringify({ url, key: await key() })}\n`);
process.stdin.resume();
process.stdin.once("end", () => void local[Symbol.asyncDispose]().then(() => process.exit(0)));
