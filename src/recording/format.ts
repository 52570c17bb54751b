import type { AgentProvider } from '../agents.ts';
import type { Encoding } from '../audio/format.ts';
import type { CallEvent } from '../call-events.ts';
import type { CarrierName, ControlStyle, WebhookRoute } from '../carrier.ts';
import type { ErrorCode } from '../errors.ts';
import type { Order } from '../orders.ts';
import type { ConnectRequest, ProviderCapabilities, ProviderEvent } from '../provider.ts';
import type { RecordedAgent } from './agent-record.ts';

/**
 * CONTRACT of a call on disk, as a recording and as a fixture: `call.json`, `events.jsonl` and WAV files. Described for
 * people in docs/recordings.md.
 */

export const FORMAT_VERSION = 1;

/** Edges of the process. `rest`: requests of the bridge to the carrier. `operator`: orders from beside the line. `call`: what observers are told. */
export const EDGES = ['webhook', 'carrier', 'provider', 'tool', 'rest', 'operator', 'call', 'clock'] as const;
export type Edge = (typeof EDGES)[number];

/** Audio that lies in a WAV of the folder instead of in the message: samples `at` to `at + n` of `<wav>.wav`. */
export interface AudioRef {
  readonly wav: string;
  readonly at: number;
  readonly n: number;
}

/** JSON in which audio may have been replaced by an `AudioRef`. */
export type Message = unknown;

/** One line of events.jsonl. `in`: into the process, `out`: out of it. */
export type Line = {
  /** ms since the first webhook of the call, three decimals; never smaller than that of the line before. */
  readonly t: number;
} & Body;

type Body =
  | (InOut<'webhook'> & { readonly msg: WebhookIn | WebhookOut })
  | (OnSocket<'carrier'> & Said)
  | (OnSocket<'provider'> & Said)
  | (InOut<'tool'> & { readonly msg: ToolMessage })
  | (InOut<'rest'> & { readonly msg: RestMessage })
  /** What somebody wanted of the call who was not in it. */
  | { readonly on: 'operator'; readonly dir: 'in'; readonly msg: Order }
  | { readonly on: 'call'; readonly dir: 'out'; readonly msg: CallEvent }
  /** A timer that was due at `due` ran now. Not in fixtures: there, timers run when they are due. */
  | { readonly on: 'clock'; readonly dir: 'in'; readonly msg: { readonly due: number } };

interface InOut<On extends Edge> {
  readonly on: On;
  readonly dir: 'in' | 'out';
}

interface OnSocket<On extends Edge> extends InOut<On> {
  /** Which stream of the carrier, or which connection to a provider: counted from 1 in the order in which they were begun. */
  readonly conn: number;
}

/** A message, or something else that happened to the connection. */
type Said = { readonly msg: Message } | { readonly ctl: Control };

/** What happens to a connection beside its JSON messages. */
export type Control =
  /** carrier in: the stream is asked for. */
  | { readonly type: 'upgrade'; readonly target: string; readonly signed: Signed }
  /** carrier out. */
  | { readonly type: 'upgraded' }
  | { readonly type: 'not-upgraded'; readonly status: number }
  /** provider out: a connection is dialled. `provider`: as the agent names it; `url` holds no secret. */
  | { readonly type: 'dial'; readonly provider: string; readonly url: string }
  /** provider in. */
  | { readonly type: 'open' }
  /** The head of the answer of an event stream. */
  | { readonly type: 'accepted' }
  /** The server refused the upgrade. */
  | { readonly type: 'refused'; readonly status: number; readonly body: string }
  | { readonly type: 'ping'; readonly data: string }
  | { readonly type: 'pong'; readonly data: string }
  /** A text message that is no JSON, or a binary one. */
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'binary'; readonly base64: string }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  /** The process drops the connection. */
  | { readonly type: 'terminate' }
  | { readonly type: 'error'; readonly message: string; readonly code?: string | undefined }
  /** An event stream is over; `error` is what the SDK threw, as far as it can be written. */
  | {
      readonly type: 'ended';
      readonly error?: ThrownRecord | undefined;
      readonly networkCode?: string | undefined;
    }
  /** provider out, one without a network of its own: `ConnectRequest` without its clock. */
  | {
      readonly type: 'connect';
      readonly provider: string;
      readonly request: Omit<ConnectRequest, 'clock' | 'network' | 'random'>;
    }
  /** provider in: `connect` has resolved. */
  | { readonly type: 'connected'; readonly input: FormatRecord; readonly output: FormatRecord }
  /** provider in: `connect` has rejected. */
  | { readonly type: 'not-connected'; readonly error: ErrorRecord };

export interface FormatRecord {
  readonly encoding: Encoding;
  readonly rate: number;
}

export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Something thrown that is no BridgeError: what of it adapters look at. */
export interface ThrownRecord {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly status?: number | undefined;
  readonly fault?: string | undefined;
}

/** What an adapter without a network is told and tells, as `msg` of a provider line. */
export type SessionMessage =
  | { readonly call: 'sendAudio'; readonly audio: AudioRef }
  | {
      readonly call: 'sendText' | 'say' | 'sendToolResult' | 'interrupt' | 'close';
      readonly args: readonly unknown[];
    }
  /** `bytes` of an audio event is an `AudioRef`, `error` an `ErrorRecord`. */
  | { readonly event: ProviderEvent['type']; readonly [field: string]: unknown };

/** How a request proved itself. A signature is not kept: a replay makes a new one of this kind. */
export type Signed = 'valid' | 'bad-signature' | 'missing-signature' | 'stale' | 'replayed';

export interface WebhookIn {
  /** Pairs a request with its answer: requests may overlap. */
  readonly id: number;
  readonly route: WebhookRoute;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly signed: Signed;
  readonly contentType: string;
  /** A form as names and values, JSON as it is, anything else as text. */
  readonly form?: Readonly<Record<string, string | readonly string[]>> | undefined;
  readonly json?: unknown;
  readonly text?: string | undefined;
}

export interface WebhookOut {
  readonly id: number;
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export type ToolMessage =
  /** out: the handler is run. */
  | { readonly id: number; readonly run: string; readonly toolCallId: string; readonly args: unknown }
  /** out: the handler's signal has aborted. */
  | { readonly id: number; readonly aborted: ErrorCode }
  /** in: the handler uses the call, such as `hangUpAfterGoodbye`. */
  | { readonly id: number; readonly does: string; readonly with: readonly unknown[] }
  /** in: what it returned, as JSON; `undefined` is left out. */
  | { readonly id: number; readonly returned?: unknown; readonly done: true }
  /** in: it threw. */
  | {
      readonly id: number;
      readonly threw: { readonly message: string; readonly code?: ErrorCode | undefined };
    };

export type RestMessage =
  /** out; `headers` are left out: they hold secrets. `body`: JSON or a form, as text. */
  | { readonly id: number; readonly method: string; readonly url: string; readonly body?: string | undefined }
  /** in */
  | { readonly id: number; readonly status: number; readonly body: string }
  | { readonly id: number; readonly error: string };

/** A provider as the call had it, in order. */
export interface RecordedProvider {
  readonly name: string;
  /** `wire`: its messages are in the lines; `session`: what its adapter was told and told. */
  readonly level: 'wire' | 'session';
  readonly model: string | undefined;
  readonly wanted: AgentProvider | undefined;
  /** Of one at session level. */
  readonly capabilities?: ProviderCapabilities | undefined;
}

/** call.json */
export interface CallFile {
  readonly format: typeof FORMAT_VERSION;
  /** One sentence. Empty in a recording. */
  readonly proves: string;
  readonly origin: Origin;
  readonly carrier: CarrierName;
  readonly control: ControlStyle;
  readonly direction: 'inbound' | 'outbound';
  /** Of a call that the bridge has placed: what it was known by, and whom it was to reach. */
  readonly placed?: PlacedRecord | undefined;
  /** Milliseconds since 1970 UTC at `t` 0. */
  readonly epochMs: number;
  /** For whatever a replay leaves to chance. */
  readonly seed: string;
  readonly agent: RecordedAgent;
  readonly providers: readonly RecordedProvider[];
  /** Settings of the service that differ from the defaults, by the names of the environment; no secrets. */
  readonly settings: Readonly<Record<string, string>>;
  /** How far ahead of the caller's ear the carrier is given speech. */
  readonly leadMs: number;
  readonly tolerance?: Partial<Tolerance> | undefined;
  /** Of a recording: how it ended; undefined while it goes on, and for ever when its process died. */
  readonly end?: RecordingEnd | undefined;
  /** What was taken out of it. */
  readonly redacted?: RedactionRecord | undefined;
}

export interface PlacedRecord {
  readonly ref: string;
  readonly from: string;
  readonly to: string;
}

export interface Origin {
  /** `recorded`: a real call. `simulated`: one of the simulated phone. `written`: by hand. */
  readonly how: 'recorded' | 'simulated' | 'written';
  /** `patchcord 0.1.0` */
  readonly by?: string | undefined;
  /** The command that made it. */
  readonly command?: string | undefined;
}

export interface RecordingEnd {
  readonly t: number;
  /** False: something is missing, and `why` says why: one of `STOP_REASONS`, or `process-died`. */
  readonly complete: boolean;
  readonly why?: string | undefined;
}

export interface RedactionRecord {
  readonly numbers: boolean;
  readonly fields: readonly string[];
  readonly speech: 'none' | 'caller' | 'agent' | 'both';
  readonly words: boolean;
  readonly keys?: boolean | undefined;
}

/** How much a replay may differ. */
export interface Tolerance {
  /** Of the time of a line, and of numbers that are times. */
  readonly timeMs: number;
  /** Of a sample, in steps of PCM16 (G.711 is compared decoded). */
  readonly sample: number;
}

export const TOLERANCE: Tolerance = { timeMs: 5, sample: 64 };

/** Names of the WAV files without `.wav`; from the second connection on followed by `-2`, `-3`. */
export const WAVS = {
  /** Carrier to bridge: what the caller said. */
  carrierIn: 'caller',
  /** Bridge to carrier: what the agent said, heard or not. */
  carrierOut: 'agent',
  providerIn: 'provider',
  providerOut: 'uplink',
} as const;
