/** What of a stream is use, and what only keeps it open. */
export interface Meter {
  /** Whether a piece holds anything but signs of life. */
  feed(piece: Uint8Array): boolean;
}

/** Every byte is use. */
export const everyByte: Meter = { feed: () => true };

const PING = 9;
const PONG = 10;

/** One direction of a WebSocket: frames that are neither ping nor pong are use. Looks at the heads of frames, never into them. */
export class FrameMeter implements Meter {
  #head: number[] = [];
  #left = 0;
  #isUse = false;

  feed(piece: Uint8Array): boolean {
    let used = false;
    for (let at = 0; at < piece.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, piece.length - at);
        this.#left -= taken;
        at += taken;
        used ||= this.#isUse;
        continue;
      }
      this.#head.push(piece[at++] ?? 0);
      const length = payloadLength(this.#head);
      if (length === undefined) continue;
      const opcode = (this.#head[0] ?? 0) & 15;
      this.#isUse = opcode !== PING && opcode !== PONG;
      used ||= this.#isUse;
      this.#left = length;
      this.#head = [];
    }
    return used;
  }
}

/** How many bytes follow a frame's head (RFC 6455, 5.2); undefined until the head is whole. */
function payloadLength(head: readonly number[]): number | undefined {
  const second = head[1];
  if (second === undefined) return undefined;
  const short = second & 127;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (head.length < 2 + extended + (second >= 128 ? 4 : 0)) return undefined;
  return extended === 0 ? short : head.slice(2, 2 + extended).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** An event stream: comments are signs of life. A piece that is comments and blank lines alone is no use. */
export const eventMeter: Meter = {
  feed: (piece) => piece.length > 4096 || !/^(?::[^\r\n]*)?(?:[\r\n](?::[^\r\n]*)?)*$/.test(Buffer.from(piece).toString("latin1")),
};
