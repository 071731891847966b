import { mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { dataDirectory, ensureDataDirectory } from "./data-directory.ts";

// Compiled code is kept between runs, before anything large is loaded. Private: whoever could write there could run code as us.
const directory = dataDirectory();
try {
  ensureDataDirectory(directory);
  const cache = join(directory, "cache");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  enableCompileCache(cache);
} catch (thrown) {
  // Only speed is lost here; a command that needs the directory says what is wrong with it.
  if (!(thrown instanceof Error && "code" in thrown)) throw thrown;
}

const { main } = await import("./dispatch.ts");
process.exitCode = await main(process.argv.slice(2));
// What may still hold the loop (a stdin nobody will end, a kept-alive connection) is of no use any more.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit();
