import { conformsWith } from "./conformance.ts";

await conformsWith({ runtimes: ["runc"] });
