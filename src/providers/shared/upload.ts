/** A caller's bytes on their way in. A body that throws never looks like one that ended: `broken` aborts instead. */
export class Upload {
  readonly #body: AsyncIterable<Uint8Array>;
  readonly #trailer: Uint8Array;
  readonly #broken = new AbortController();
  /** What the body threw, if it did. */
  failure: unknown;

  constructor(body: AsyncIterable<Uint8Array>, trailer: Uint8Array = new Uint8Array()) {
    this.#body = body;
    this.#trailer = trailer;
  }

  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** The body, then the trailer. */
  async *stream(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#body) yield chunk;
    } catch (thrown) {
      this.failure = thrown;
      this.#broken.abort(thrown);
      throw thrown;
    }
    if (this.#trailer.length > 0) yield this.#trailer;
  }
}
