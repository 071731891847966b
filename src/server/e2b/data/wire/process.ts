import type { Message } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import { type FileSpec, schemaOf } from "./schema.ts";

/** `process.Process` of E2B's public wire, by its names and numbers. */
const WIRE = {
  name: "process",
  messages: {
    PTY: { size: "PTY.Size 1" },
    "PTY.Size": { cols: "uint32 1", rows: "uint32 2" },
    ProcessConfig: { cmd: "string 1", args: "repeated string 2", envs: "map string 3", cwd: "optional string 4" },
    ListRequest: {},
    ProcessInfo: { config: "ProcessConfig 1", pid: "uint32 2", tag: "optional string 3" },
    ListResponse: { processes: "repeated ProcessInfo 1" },
    StartRequest: { process: "ProcessConfig 1", pty: "optional PTY 2", tag: "optional string 3", stdin: "optional bool 4" },
    UpdateRequest: { process: "ProcessSelector 1", pty: "optional PTY 2" },
    UpdateResponse: {},
    ProcessEvent: {
      start: "event: ProcessEvent.StartEvent 1",
      data: "event: ProcessEvent.DataEvent 2",
      end: "event: ProcessEvent.EndEvent 3",
      keepalive: "event: ProcessEvent.KeepAlive 4",
    },
    "ProcessEvent.StartEvent": { pid: "uint32 1" },
    "ProcessEvent.DataEvent": { stdout: "output: bytes 1", stderr: "output: bytes 2", pty: "output: bytes 3" },
    "ProcessEvent.EndEvent": { exit_code: "sint32 1", exited: "bool 2", status: "string 3", error: "optional string 4" },
    "ProcessEvent.KeepAlive": {},
    StartResponse: { event: "ProcessEvent 1" },
    ConnectResponse: { event: "ProcessEvent 1" },
    SendInputRequest: { process: "ProcessSelector 1", input: "ProcessInput 2" },
    SendInputResponse: {},
    ProcessInput: { stdin: "input: bytes 1", pty: "input: bytes 2" },
    StreamInputRequest: {
      start: "event: StreamInputRequest.StartEvent 1",
      data: "event: StreamInputRequest.DataEvent 2",
      keepalive: "event: StreamInputRequest.KeepAlive 3",
    },
    "StreamInputRequest.StartEvent": { process: "ProcessSelector 1" },
    "StreamInputRequest.DataEvent": { input: "ProcessInput 2" },
    "StreamInputRequest.KeepAlive": {},
    StreamInputResponse: {},
    SendSignalRequest: { process: "ProcessSelector 1", signal: "Signal 2" },
    SendSignalResponse: {},
    CloseStdinRequest: { process: "ProcessSelector 1" },
    CloseStdinResponse: {},
    ConnectRequest: { process: "ProcessSelector 1" },
    ProcessSelector: { pid: "selector: uint32 1", tag: "selector: string 2" },
  },
  enums: { Signal: { SIGNAL_UNSPECIFIED: 0, SIGNAL_SIGKILL: 9, SIGNAL_SIGTERM: 15 } },
  services: {
    Process: {
      List: "ListRequest -> ListResponse",
      Connect: "ConnectRequest -> stream ConnectResponse",
      Start: "StartRequest -> stream StartResponse",
      Update: "UpdateRequest -> UpdateResponse",
      StreamInput: "stream StreamInputRequest -> StreamInputResponse",
      SendInput: "SendInputRequest -> SendInputResponse",
      SendSignal: "SendSignalRequest -> SendSignalResponse",
      CloseStdin: "CloseStdinRequest -> CloseStdinResponse",
    },
  },
} satisfies FileSpec;

type Named<Name extends string, Fields = object> = Message<`process.${Name}`> & Fields;
type Case<Cases> = { [K in keyof Cases]: { case: K; value: Cases[K] } }[keyof Cases] | { case: undefined; value?: undefined };
type Unary<I extends Message, O extends Message> = { methodKind: "unary"; input: GenMessage<I>; output: GenMessage<O> };
type Streaming<I extends Message, O extends Message> = { methodKind: "server_streaming"; input: GenMessage<I>; output: GenMessage<O> };
type Uploading<I extends Message, O extends Message> = { methodKind: "client_streaming"; input: GenMessage<I>; output: GenMessage<O> };

export type Pty = Named<"PTY", { size?: Named<"PTY.Size", { cols: number; rows: number }> }>;
export type ProcessConfig = Named<"ProcessConfig", { cmd: string; args: string[]; envs: Record<string, string>; cwd?: string }>;
export type Selector = Named<"ProcessSelector", { selector: Case<{ pid: number; tag: string }> }>;
export type ProcessInput = Named<"ProcessInput", { input: Case<{ stdin: Uint8Array; pty: Uint8Array }> }>;
export type StartRequest = Named<"StartRequest", { process?: ProcessConfig; pty?: Pty; tag?: string; stdin?: boolean }>;
type EndEvent = Named<"ProcessEvent.EndEvent", { exitCode: number; exited: boolean; status: string; error?: string }>;
/** Bytes; or their base64, for {@link ProcessTextService}. */
export type Output = Uint8Array | string;
type DataEvent = Named<"ProcessEvent.DataEvent", { output: Case<{ stdout: Output; stderr: Output; pty: Output }> }>;
export type ProcessEvent = Named<
  "ProcessEvent",
  {
    event: Case<{
      start: Named<"ProcessEvent.StartEvent", { pid: number }>;
      data: DataEvent;
      end: EndEvent;
      keepalive: Named<"ProcessEvent.KeepAlive">;
    }>;
  }
>;
type ProcessInfo = Named<"ProcessInfo", { config?: ProcessConfig; pid: number; tag?: string }>;
type Of<Name extends string, More = object> = Named<Name, { process?: Selector } & More>;
type StreamInput = Case<{ start: Of<"StreamInputRequest.StartEvent">; data: Named<"StreamInputRequest.DataEvent", { input?: ProcessInput }>; keepalive: Named<"StreamInputRequest.KeepAlive"> }>; // prettier-ignore
export type StreamInputRequest = Named<"StreamInputRequest", { event: StreamInput }>;

interface Methods {
  list: Unary<Named<"ListRequest">, Named<"ListResponse", { processes: ProcessInfo[] }>>;
  connect: Streaming<Of<"ConnectRequest">, Named<"ConnectResponse", { event?: ProcessEvent }>>;
  start: Streaming<StartRequest, Named<"StartResponse", { event?: ProcessEvent }>>;
  update: Unary<Of<"UpdateRequest", { pty?: Pty }>, Named<"UpdateResponse">>;
  streamInput: Uploading<StreamInputRequest, Named<"StreamInputResponse">>;
  sendInput: Unary<Of<"SendInputRequest", { input?: ProcessInput }>, Named<"SendInputResponse">>;
  sendSignal: Unary<Of<"SendSignalRequest", { signal: number }>, Named<"SendSignalResponse">>;
  closeStdin: Unary<Of<"CloseStdinRequest">, Named<"CloseStdinResponse">>;
}

type Service = GenService<{ [K in keyof Methods]: Methods[K] }>;

const serviceOf = (spec: FileSpec): Service => schemaOf(spec).getService("process.Process") as unknown as Service;

export const ProcessService = serviceOf(WIRE);

/**
 * The same for JSON, with output as the text that its bytes are there: on the wire there is no difference, but the protobuf library makes
 * base64 letter by letter, which was most of what a stream of output cost, and all of its garbage.
 */
export const ProcessTextService = serviceOf({
  ...WIRE,
  messages: {
    ...WIRE.messages,
    "ProcessEvent.DataEvent": { stdout: "output: string 1", stderr: "output: string 2", pty: "output: string 3" },
  },
});
