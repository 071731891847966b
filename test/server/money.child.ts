import { openSandboxer, serverOver } from "../../src/main.ts";
import { priced } from "./money-config.ts";

/** A server of its own over the data directory that is named on the command line. */
const opened = await openSandboxer({ dataDir: process.argv[2] ?? "", config: priced });
const { url } = await (await serverOver(opened)).listen({ port: 0 });
process.stdout.write(`${url}\n`);
