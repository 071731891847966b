/** Traces and metrics to an OpenTelemetry collector, over OTLP/HTTP with protobuf. Loaded only where one is configured. */
import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, ROOT_CONTEXT, type Span as OtelSpan, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { type MetricSample, SandboxerError, type Span, type SpanAttributes, type Telemetry } from "../contract/index.ts";
import { SampleProducer } from "./metrics.ts";

/** How long the end of a process waits for a collector. Milliseconds. */
const FLUSH_MS = 3000;

export interface OtlpOptions {
  /** Without it the environment decides, as OpenTelemetry's own variables say. */
  readonly endpoint?: string;
  readonly metricsEverySeconds: number;
  readonly version: string;
  readonly instance: string;
}

/** Telemetry that goes somewhere. */
export interface OtlpTelemetry extends Telemetry {
  /** From where the metrics are read at each export. */
  measure(read: () => Promise<MetricSample[]>): void;
  /** Sends what is left, for 3 s at most. */
  close(): Promise<void>;
}

const setter = { set: (carrier: Record<string, string>, key: string, value: string) => void (carrier[key] = value) };
const getter = {
  keys: (carrier: Record<string, string>) => Object.keys(carrier),
  get: (carrier: Record<string, string>, key: string) => carrier[key],
};

class Begun implements Span {
  readonly #span: OtelSpan;
  constructor(span: OtelSpan) {
    this.#span = span;
  }
  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributes);
  }
  end(failed?: string): void {
    if (!this.#span.isRecording()) return;
    if (failed !== undefined) this.#span.setAttribute("error.type", failed).setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}

/** Opens the exporters. Nothing is sent before there is something; a collector that is away costs the spans of that time, and nothing else. */
export function openOtlp({ endpoint, metricsEverySeconds, version, instance }: OtlpOptions): OtlpTelemetry {
  const to = (path: string) => (endpoint === undefined ? {} : { url: `${endpoint.replace(/\/$/, "")}/v1/${path}` });
  const name = process.env["OTEL_SERVICE_NAME"] ?? "sand-boxer";
  const resource = resourceFromAttributes({ "service.name": name, "service.version": version, "service.instance.id": instance });
  const tracers = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(to("traces")))] });
  const samples = new SampleProducer(resource);
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(to("metrics")),
    exportIntervalMillis: metricsEverySeconds * 1000,
    exportTimeoutMillis: Math.min(10_000, metricsEverySeconds * 1000),
    metricProducers: [samples],
  });
  const meters = new MeterProvider({ resource, readers: [reader] });
  const tracer = tracers.getTracer("sand-boxer", version);
  const contexts = new AsyncLocalStorage<Context>();
  const propagator = new W3CTraceContextPropagator();
  const present = () => contexts.getStore() ?? ROOT_CONTEXT;
  return {
    async span(name, attributes, work) {
      const span = tracer.startSpan(name, { attributes: { ...attributes } }, present());
      const begun = new Begun(span);
      try {
        return await contexts.run(trace.setSpan(present(), span), work);
      } catch (thrown) {
        begun.end(SandboxerError.from(thrown).code);
        throw thrown;
      } finally {
        begun.end();
      }
    },
    begin: (name, attributes) => new Begun(tracer.startSpan(name, { attributes: { ...attributes } }, present())),
    within(traceparent, work) {
      if (traceparent === undefined) return work();
      return contexts.run(propagator.extract(present(), { traceparent }, getter), work);
    },
    traceparent() {
      const carrier: Record<string, string> = {};
      propagator.inject(present(), carrier, setter);
      return carrier["traceparent"];
    },
    measure: (read) => samples.readFrom(read),
    async close() {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, FLUSH_MS);
      // A collector that is away must not keep a process from ending, nor make it fail.
      await Promise.race([Promise.allSettled([tracers.shutdown(), meters.shutdown()]), late]);
      clearTimeout(timer);
    },
  };
}
