import { defineProvider } from "../../contract/index.ts";
import { DockerOptions, isElsewhere } from "./options.ts";
import { openDocker } from "./provider.ts";

/**
 * Sandboxes as containers of an engine that speaks Docker's API, on this host or another one, over the `dockerode` package, which is loaded
 * when a backend is opened and is not among our own dependencies. What is enforced there and what is not: docs/backends/docker.md.
 */
export default defineProvider({ name: "docker", options: DockerOptions, remote: isElsewhere, open: openDocker });
