import { unusable } from "./scratch.ts";
import { conformsWith } from "./conformance.ts";

const crun = await unusable({ runtimes: ["crun"] });
await conformsWith({ runtimes: [crun === undefined ? "crun" : "runc"], disk: "tmpfs" });
