import { nearest } from "../contract/nearest.ts";
import { CATALOG } from "./catalog.ts";
import { OWN_FAILURE, report, usageError } from "./failure.ts";
import { parse } from "./parse.ts";

/** As shells count the end of a program whose reader went away. */
const SIGPIPE_CODE = 128 + 13;

/** Runs one command line; resolves with its exit code and never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  quitWithReader();
  const json = beforeTerminator(argv).includes("--json");
  try {
    const [first = "help", ...rest] = argv;
    if (first === "--help" || first === "-h") return await dispatch("help", rest);
    if (first === "--version" || first === "-V") return await dispatch("version", rest);
    // The shells' completion scripts ask here; it is no command for people.
    if (first === "__complete") return await (await import("./complete.ts")).complete(rest);
    return await dispatch(first, rest);
  } catch (thrown) {
    // A reader that went away while we waited for it to take more.
    if (thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === "EPIPE") return SIGPIPE_CODE;
    report(thrown, json);
    return OWN_FAILURE;
  }
}

async function dispatch(name: string, argv: readonly string[]): Promise<number> {
  const entry = Object.hasOwn(CATALOG, name) ? CATALOG[name] : undefined;
  if (entry === undefined) {
    const near = nearest(name, Object.keys(CATALOG));
    throw usageError("", `unknown command "${name}"${near === undefined ? "" : `; did you mean "${near}"?`}`);
  }
  const { command } = await entry.load();
  const args = parse(name, command, argv);
  if (!args.flag("help")) return command.run(args);
  const { commandHelp } = await import("./help.ts");
  process.stdout.write(commandHelp(name, command));
  return 0;
}

function beforeTerminator(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end === -1 ? argv : argv.slice(0, end);
}

/** A reader that went away (`| head`) ends us as it ends other programs; who has something to clean up listens too. */
function quitWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (process.stdout.listenerCount("error") === 1) process.exit(SIGPIPE_CODE);
  });
}
