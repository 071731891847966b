/** The way out of sandboxes: a process of its own, and how to reach it. */
export { type ConnectOptions, connectBoundary } from "./process/connect.ts";
