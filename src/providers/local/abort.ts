export { throwIfAborted, whyAborted } from "../shared/abort.ts";
