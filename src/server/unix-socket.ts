import { promises as fs } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { SandboxerError } from "../contract/index.ts";

/** Longest path that fits a socket's address on Linux. */
const MAX_PATH_BYTES = 107;

/**
 * Listens on a Unix socket that only its owner may use. A socket file that a dead server left is replaced. Throws
 * `conflict` where a server answers there, or where something that is not a socket stands at the path.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new SandboxerError("invalid_request", `the socket's path "${path}" is longer than ${MAX_PATH_BYTES} bytes`, {
      hint: "Use a data directory with a shorter path.",
    });
  }
  await removeStale(path);
  // The mode must stand from the first moment on: a chmod afterwards would leave a gap. The socket is bound within the
  // call, so nothing else that this process writes meanwhile is made with this mask.
  const before = process.umask(0o177);
  const listening = listen(server, { path }, path);
  process.umask(before);
  await listening;
}

/** Listens, or says as `conflict` why not. */
export async function listen(server: Server, at: { path: string } | { host: string; port: number }, name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const reason =
        error.code === "EADDRINUSE"
          ? "another server listens there"
          : error.code === "EACCES"
            ? "that is not permitted"
            : (error.code ?? "unknown reason");
      reject(
        new SandboxerError("conflict", `cannot listen on ${name}: ${reason}`, {
          cause: error,
          hint: "Stop the other server, or choose another address.",
        }),
      );
    };
    server.once("error", onError);
    server.listen(at, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

async function removeStale(path: string): Promise<void> {
  const found = await fs.lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new SandboxerError("conflict", `"${path}" exists and is not a socket`, { hint: "Move it away, or use another data directory." });
  if (await answers(path)) {
    throw new SandboxerError("conflict", `a server is already listening on "${path}"`, {
      hint: "Use that server, stop it, or use another data directory.",
    });
  }
  await fs.unlink(path);
}

async function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      // ENOENT: it went away just now. EAGAIN: it is alive and has more callers than it can take.
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false);
      else if (error.code === "EAGAIN") resolve(true);
      else
        reject(
          new SandboxerError("conflict", `cannot tell whether a server listens on "${path}": ${error.code ?? "unknown reason"}`, {
            cause: error,
          }),
        );
    });
  });
}
