/** Runs a command in a sandbox and prints what it says while it says it. */
import { plain } from "../../src/cli/style.ts";
import type { Sandbox } from "../../src/sdk/index.ts";
import { interrupt } from "./interrupt.ts";
import { duration, line, note, paint, promise } from "./terminal.ts";

/** Promises that the command exits with 0. */
export async function runLive(sandbox: Sandbox, command: string[], cwd: string): Promise<void> {
  const started = performance.now();
  note(paint("bold", `$ ${command.join(" ")}`));
  const printers = { stdout: new LivePrinter(), stderr: new LivePrinter() };
  const run = sandbox.exec(command, { cwd, timeout: "60s", signal: interrupt });
  for await (const event of run) {
    if (event.type === "stdout" || event.type === "stderr") printers[event.type].write(event.data);
  }
  for (const printer of Object.values(printers)) printer.end();
  const { ok, outcome, exitCode } = await run;
  promise(ok, `${outcome} with code ${exitCode} after ${duration(started)}`);
}

/** Prints whole lines of what a command says as they come. They are the sandbox's words, so control characters are made visible. */
class LivePrinter {
  readonly #decoder = new TextDecoder();
  #held = "";

  write(data: Uint8Array): void {
    const lines = (this.#held + this.#decoder.decode(data, { stream: true })).split("\n");
    this.#held = lines.pop() ?? "";
    for (const each of lines) this.#print(each);
  }

  end(): void {
    if (this.#held !== "") this.#print(this.#held);
    this.#held = "";
  }

  #print(text: string): void {
    line(`   ${paint("dim", "│")} ${plain(text)}`);
  }
}
