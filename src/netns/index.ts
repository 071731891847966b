export { NetnsError } from "./error.ts";
export { type ListenOptions, type Netns, openNetns } from "./netns.ts";
