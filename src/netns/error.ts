/** Why no socket could be made. */
export class NetnsError extends Error {
  override readonly name = "NetnsError";
  /** The system's word for it: ECONNREFUSED, EADDRINUSE, ENOENT where the namespace is gone; EPIPE where the helper is. */
  readonly code: string;
  /** What failed: open and setns (the namespace), socket, transparent, bind, connect, address, receive and send (the helper). */
  readonly step: string;

  constructor(code: string, step: string, message: string) {
    super(message);
    this.code = code;
    this.step = step;
  }
}
