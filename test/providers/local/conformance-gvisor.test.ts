import { conformsWith } from "./conformance.ts";

// Its system calls cost a hundred times as much: what large means is less.
await conformsWith({ runtimes: ["runsc"] }, { outputBytes: 8 * 1024 ** 2, fileBytes: 4 * 1024 ** 2 });
