/** What a span is described by. Never a secret, a command's arguments or its output. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work that is being timed, where it outlives the call that began it. */
export interface Span {
  set(attributes: SpanAttributes): void;
  /** Safe to repeat; only the first counts. `failed`: the code of the error that it ended with. */
  end(failed?: string): void;
}

/** Where traces go. What calls it neither knows nor waits for that. */
export interface Telemetry {
  /** Runs the work as a span below the one it is called in; what it throws is passed on, and its code noted. */
  span<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T>;
  /** The same for work that goes on after its call: a stream. */
  begin(name: string, attributes: SpanAttributes): Span;
  /** Runs the work below the span that a W3C `traceparent` header names; a header that is none counts as absent. */
  within<T>(traceparent: string | undefined, work: () => T): T;
  /** The present span as such a header; undefined outside of any, and where nothing is traced. */
  traceparent(): string | undefined;
}

const UNSEEN: Span = { set() {}, end() {} };

/** Traces nothing, and costs a call. */
export const NO_TELEMETRY: Telemetry = {
  span: (_name, _attributes, work) => work(),
  begin: () => UNSEEN,
  within: (_traceparent, work) => work(),
  traceparent: () => undefined,
};

/** One measured thing with its values, as the metrics page and the exporters have it. Histograms are cumulative, by the label `le`. */
export interface MetricSample {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  values: { labels: Record<string, string>; value: number; suffix?: string }[];
}
