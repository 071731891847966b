import type { Socket } from "node:net";
import type { Flow } from "../session/meter.ts";
import { type Opening, peek } from "./peek.ts";

/**
 * Lets a server speak first. Its bytes go to the client while the client's own first ones are awaited; those are taken out of the stream and
 * sent nowhere yet. Both sockets are paused when it resolves.
 */
export async function greeted(
  client: Socket,
  upstream: Socket,
  flow: Flow,
): Promise<{ readonly opening: Opening; readonly bytesDown: number }> {
  let bytesDown = 0;
  const greet = (chunk: Buffer): void => {
    bytesDown += chunk.length;
    let wait: Promise<void> | undefined;
    try {
      wait = flow("down", chunk.length);
    } catch {
      // The limit: whoever comes next is told the same, with a verdict.
      return void client.resetAndDestroy();
    }
    if (client.write(chunk) && wait === undefined) return;
    upstream.pause();
    const goOn = (): void => {
      if (upstream.listeners("data").includes(greet)) upstream.resume();
    };
    if (wait === undefined) client.once("drain", goOn);
    else void wait.then(() => (client.writableNeedDrain ? void client.once("drain", goOn) : goOn()));
  };
  const ended = (): void => void client.end();
  const broken = (): void => void client.destroy();
  upstream.on("data", greet).once("end", ended).once("close", broken);
  const opening = await peek(client, Buffer.alloc(0), { wholeHead: false, patient: true });
  upstream.off("data", greet).off("end", ended).off("close", broken).pause();
  return { opening, bytesDown };
}
