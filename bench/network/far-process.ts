/** In the far namespace: the name server, and a port that answers one piece with one byte and closes. `node far-process.ts ADDRESS...` */
import { createServer } from "node:net";
import { serveDns, type Zone } from "../../test/support/world/dns.ts";
import { ADDRESS } from "./cables.ts";
import { ANSWER_PORT, FAR_NAMES } from "./names.ts";

const zone: Zone = new Map(FAR_NAMES.map((name) => [name, { answers: [[ADDRESS.far]], ttl: 3600, asked: 0 }]));
await serveDns(ADDRESS.far, zone, () => {});
for (const host of [ADDRESS.far, ADDRESS.farDirect]) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end("x"));
  });
  await new Promise<void>((resolve) => server.listen({ port: ANSWER_PORT, host, backlog: 4096 }, resolve));
}
process.stdout.write("ready\n");
