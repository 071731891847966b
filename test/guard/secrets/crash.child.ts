import { buffer } from "node:stream/consumers";
import { withholdCoreDumps } from "../../../src/guard/secrets/index.ts";

/** Holds what it was given on its standard input, as a server holds a value, and crashes. */
const held = await buffer(process.stdin);
const withheld = process.argv[2] === "withheld" && withholdCoreDumps();
process.stdout.write(`${withheld} ${held.length}\n`, () => process.abort());
