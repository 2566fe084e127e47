// A stock Node SDK program: every item goes to a reference receiver and, the same item, to the subject.
//
// client.mjs RUN...    with RUN = (grpc | http/protobuf | http/json):(none | gzip)
// REFERENCE, SUBJECT_GRPC and SUBJECT_HTTP hold base URLs. Exits non-zero if any export was refused.

import { SpanKind, SpanStatusCode, TraceFlags, ValueType, context, createTraceState, trace } from "@opentelemetry/api";
import { OTLPLogExporter as GrpcLogs } from "@opentelemetry/exporter-logs-otlp-grpc";
import { OTLPLogExporter as JsonLogs } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtoLogs } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as GrpcMetrics } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as JsonMetrics } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtoMetrics } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as GrpcSpans } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonSpans } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtoSpans } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const { REFERENCE, SUBJECT_GRPC, SUBJECT_HTTP } = process.env;
const ATTRIBUTES = {
  string: "zażółć gęślą jaźń",
  empty: "",
  long: "x".repeat(5000),
  true: true,
  false: false,
  zero: 0,
  smallest: Number.MIN_SAFE_INTEGER,
  largest: Number.MAX_SAFE_INTEGER,
  double: 0.1,
  fraction: 4503599627370495.5,
  strings: ["a", "", "ü"],
  integers: [1, -2, 2 ** 40],
  doubles: [0.5, -1e-300],
  booleans: [true, false],
  none: [],
};
let failures = 0;

/** Counts the exports that `exporter` reports as failed; it is otherwise the stock one. */
function watched(exporter) {
  const stock = exporter.export.bind(exporter);
  exporter.export = (items, done) =>
    stock(items, (result) => {
      if (result.code !== 0) {
        failures += 1;
        console.error("export failed:", result.error?.message);
      }
      done(result);
    });
  return exporter;
}

/** Hands one collection to two exporters, so that both send the same times. */
class Both {
  constructor(exporters, temporality) {
    this.exporters = exporters;
    this.temporality = temporality;
  }
  selectAggregationTemporality() {
    return this.temporality;
  }
  selectAggregation() {
    return { type: AggregationType.DEFAULT };
  }
  export(metrics, done) {
    const [first, second] = this.exporters;
    first.export(metrics, (a) => second.export(metrics, (b) => done(a.code !== 0 ? a : b)));
  }
  async forceFlush() {}
  async shutdown() {
    await Promise.all(this.exporters.map((exporter) => exporter.shutdown()));
  }
}

/** [reference, subject] for each signal. */
function exporters(protocol, compression) {
  const http = (signal) => ({ url: `${SUBJECT_HTTP}/v1/${signal}`, compression });
  const grpc = { url: SUBJECT_GRPC, compression };
  const reference = (signal) => ({ url: `${REFERENCE}/v1/${signal}` });
  const subject = {
    grpc: () => [new GrpcSpans(grpc), new GrpcMetrics(grpc), new GrpcLogs(grpc)],
    "http/protobuf": () => [new ProtoSpans(http("traces")), new ProtoMetrics(http("metrics")), new ProtoLogs(http("logs"))],
    "http/json": () => [new JsonSpans(http("traces")), new JsonMetrics(http("metrics")), new JsonLogs(http("logs"))],
  }[protocol]();
  const references = [
    new ProtoSpans(reference("traces")),
    new ProtoMetrics(reference("metrics")),
    new ProtoLogs(reference("logs")),
  ];
  return references.map((exporter, index) => [watched(exporter), watched(subject[index])]);
}

async function sendTraces(resource, pair) {
  const provider = new NodeTracerProvider({ resource, spanProcessors: pair.map((exporter) => new BatchSpanProcessor(exporter)) });
  const tracer = provider.getTracer("client.traces", "1.2.3", { schemaUrl: "https://opentelemetry.io/schemas/1.37.0" });
  const other = provider.getTracer("client.other");
  const remote = {
    traceId: "000000000000abcdef00000000000001",
    spanId: "0000000000001234",
    traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState("vendor=value,ot=th:8"),
    isRemote: true,
  };
  let made = 0;
  for (let number = 0; number < 12; number++) {
    const parent = number % 3 === 0 ? trace.setSpanContext(context.active(), remote) : context.active();
    const kinds = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER];
    const links = number % 2 ? [{ context: remote, attributes: { "link.number": number } }] : [];
    const options = { kind: kinds[number % 5], attributes: ATTRIBUTES, links };
    const span = tracer.startSpan(`operation ${number}`, options, parent);
    span.addEvent("event", { "event.number": number, ...ATTRIBUTES });
    span.addEvent("bare event");
    if (number % 4 === 0) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: "it broke: ☂" });
      span.recordException(new Error("no such thing"));
    } else if (number % 4 === 1) {
      span.setStatus({ code: SpanStatusCode.OK });
    }
    other.startSpan("child", {}, trace.setSpan(parent, span)).end();
    span.end();
    made += 2;
  }
  await provider.shutdown();
  return made;
}

async function sendMetrics(resource, pair, temporality) {
  const exporter = new Both(pair, temporality);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const aggregation = { type: AggregationType.EXPONENTIAL_HISTOGRAM };
  const provider = new MeterProvider({ resource, readers: [reader], views: [{ instrumentName: "exponential.*", aggregation }] });
  const meter = provider.getMeter("client.metrics", "3.1", { schemaUrl: "https://opentelemetry.io/schemas/1.37.0" });
  const counter = meter.createCounter("requests", { unit: "{request}", description: "Requests, by route", valueType: ValueType.INT });
  const doubles = meter.createCounter("seconds", { unit: "s" });
  const updown = meter.createUpDownCounter("in.flight", { valueType: ValueType.INT });
  const gauge = meter.createGauge("temperature", { unit: "Cel" });
  const histogram = meter.createHistogram("duration", { unit: "s", advice: { explicitBucketBoundaries: [0, 0.1, 1, 10] } });
  const exponential = meter.createHistogram("exponential.size", { unit: "By" });
  meter.createObservableGauge("observed").addCallback((result) => {
    result.observe(-7, { kind: "int" });
    result.observe(2.5, { kind: "double" });
  });
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 5; number++) {
      counter.add(2 ** 40 * number, { route: `/${number}` });
      doubles.add(0.25 * number, ATTRIBUTES);
      updown.add(-number);
      gauge.record(-3.5 * number, { room: "ü" });
      histogram.record(0.07 * number, { route: `/${number}` });
      exponential.record(3 ** number);
      exponential.record(0);
    }
    await provider.forceFlush();
  }
  await provider.shutdown();
}

async function sendLogs(resource, pair) {
  const processors = pair.map((exporter) => new BatchLogRecordProcessor({ exporter }));
  const provider = new LoggerProvider({ resource, processors });
  const logger = provider.getLogger("client.logs", "0.9");
  const tracer = new NodeTracerProvider().getTracer("correlated");
  const bodies = ["text", "", 42, -1.5, true, ["a", 1, [null, 2.5]], { key: { nested: [1, "two"] } }, new Uint8Array([0, 255, 254])];
  for (const [number, body] of bodies.entries()) {
    logger.emit({
      timestamp: Date.now(),
      severityNumber: ((number * 3) % 24) + 1,
      severityText: `LEVEL${number}`,
      body,
      attributes: { ...ATTRIBUTES, map: { a: { b: 1 } }, bytes: new Uint8Array([1, 128]), mixed: [1, "a", null] },
      context: trace.setSpan(context.active(), tracer.startSpan("logged")),
      eventName: number % 2 ? "client.event" : undefined,
    });
    logger.emit({ body: "without a span" });
  }
  await provider.shutdown();
  return 2 * bodies.length;
}

for (const run of process.argv.slice(2)) {
  const [protocol, compression] = run.split(":");
  const resource = resourceFromAttributes({ "service.name": "node-client", "client.run": `node ${run}`, list: ["a", "b"] });
  const [traces, metrics, logs] = exporters(protocol, compression);
  const temporality = compression === "gzip" ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
  const made = { traces: await sendTraces(resource, traces), logs: await sendLogs(resource, logs) };
  await sendMetrics(resource, metrics, temporality);
  console.log(JSON.stringify({ run: `node ${run}`, made }));
}
if (failures > 0) {
  console.error(`${failures} exports failed`);
  process.exit(1);
}
