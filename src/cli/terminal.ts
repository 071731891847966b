import { SandboxerError } from "../contract/errors.ts";
import type { Attachment, CommandLine, Ending, Process, PtySize, Sandbox } from "../sdk/index.ts";
import { exitCodeOf, explain } from "./ending.ts";
import type { ForegroundOptions } from "./foreground.ts";
import { signalCode, type Interrupt } from "./interrupt.ts";
import { write } from "./print.ts";

const END_OF_TRANSMISSION = "\u0004";
/** How long a command may take over a signal that asked it to end. */
const GRACE_MS = 3000;

/**
 * Runs a command (a shell unless given) on a terminal inside, joined to ours: raw mode, sizes follow ours, keys (Ctrl-C too) go in as bytes.
 * A signal to us goes on to the command; where it has not ended after a grace time it is killed.
 */
export async function runOnTerminal(
  sandbox: Sandbox,
  command: CommandLine | undefined,
  options: ForegroundOptions,
  interrupt: Interrupt,
): Promise<number> {
  const { cwd, user, timeout } = options;
  const process_ = await sandbox.pty(ownSize(), {
    env: { TERM: process.env["TERM"] ?? "xterm-256color", ...options.env },
    ...(command === undefined ? {} : { command }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(timeout === undefined ? {} : { timeout }),
  });
  const ending = await joinTerminal(process_, interrupt);
  await explain(ending, sandbox, timeout === undefined ? undefined : String(timeout));
  return interrupt.by === undefined ? exitCodeOf(ending) : signalCode(interrupt.by);
}

function ownSize(): PtySize {
  return { cols: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

async function joinTerminal(target: Process, interrupt: Interrupt): Promise<Ending> {
  const attachment = await target.attach();
  const failed = Promise.withResolvers<never>();
  // It is raced below; a failure after the end has nobody waiting.
  failed.promise.catch(() => undefined);
  const carry = (work: Promise<void>) => void work.catch((thrown: unknown) => failed.reject(thrown));

  const resize = () => carry(attachment.resize(ownSize()));
  const type = (data: Buffer) => carry(attachment.write(data));
  const endOfInput = () => carry(attachment.write(END_OF_TRANSMISSION));
  let grace: NodeJS.Timeout | undefined;
  const passOn = () => {
    carry(attachment.signal(interrupt.by === "SIGPIPE" ? "SIGHUP" : (interrupt.by ?? "SIGTERM")));
    grace = setTimeout(() => carry(target.kill()), GRACE_MS);
  };

  const raw = process.stdin.isTTY;
  if (raw) process.stdin.setRawMode(true);
  process.stdin.on("data", type);
  process.stdin.once("end", endOfInput);
  process.on("SIGWINCH", resize);
  interrupt.signal.addEventListener("abort", passOn, { once: true });
  if (interrupt.signal.aborted) passOn();
  try {
    return await Promise.race([untilEnd(attachment), failed.promise]);
  } finally {
    clearTimeout(grace);
    process.off("SIGWINCH", resize);
    process.stdin.off("data", type);
    process.stdin.off("end", endOfInput);
    interrupt.signal.removeEventListener("abort", passOn);
    if (raw) process.stdin.setRawMode(false);
    process.stdin.pause();
    attachment.detach();
  }
}

async function untilEnd(attachment: Attachment): Promise<Ending> {
  for await (const event of attachment) {
    if (event.type === "ended") return event;
    await write(process.stdout, event.data);
  }
  throw new SandboxerError("outcome_unknown", "the terminal's stream had no end", { phase: "attach" });
}
