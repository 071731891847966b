/** What a sandbox may reach: pure functions over plain data. */
export * from "./address.ts";
export * from "./compile.ts";
export * from "./decide.ts";
export * from "./host.ts";
export * from "./narrow.ts";
export * from "./path.ts";
