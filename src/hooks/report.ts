import { type CallEvent, type EndReason, outcomeOf, type ToolOutcome } from '../call-events.ts';
import type { CallOutcome, CarrierName, MachineResult } from '../carrier.ts';
import type { CallBill, CallCost } from '../cost/call-bill.ts';
import { assertNever } from '../errors.ts';
import type { TranscriptEntry } from '../transcript.ts';
import { ProviderStory, type ReportProviderChange, type ReportProviderFailure } from './provider-story.ts';

/** What a report says of a call beside its events. Times are ms since 1970 UTC. */
export interface CallFacts {
  /** The bridge's own id of the call, and the id of the message. */
  readonly id: string;
  /** The carrier's; undefined for a call that was placed and never rang. */
  readonly callId: string | undefined;
  readonly carrier: CarrierName;
  readonly direction: 'inbound' | 'outbound';
  readonly from: string;
  readonly to: string;
  readonly agent: string;
  readonly variables: Readonly<Record<string, string>>;
  /** When the carrier asked about the call, or was asked to place it: `atMs` of the events counts from here. */
  readonly startedAt: number;
  /** Where the bridge keeps what it records of the call. */
  readonly recordingFolder?: string | undefined;
}

/** What only the carrier knows for sure of how a call went; whatever is undefined is taken from the events. */
export interface CallEnd {
  readonly answeredAt?: number | undefined;
  readonly endedAt?: number | undefined;
  readonly outcome?: CallOutcome | undefined;
}

/** One turn of the conversation. Of an agent that was interrupted, `text` is what was generated. */
export interface ReportTurn {
  readonly role: 'user' | 'assistant';
  readonly atMs: number;
  readonly text: string;
  /** What the caller heard; null: that is not known. */
  readonly heardText: string | null;
  readonly interrupted: boolean;
}

/** One invocation of a function. */
export interface ReportToolCall {
  readonly name: string;
  /** When it was over. */
  readonly atMs: number;
  /** How long it took. */
  readonly ms: number;
  readonly outcome: ToolOutcome;
  /** Without what is kept secret; null: left out, or too long. */
  readonly args: unknown;
  readonly idempotencyKey: string;
}

export interface ReportTransfer {
  readonly atMs: number;
  readonly status: 'started' | 'failed';
  readonly outcome: CallOutcome | null;
}

/** Where the carrier keeps the recording. */
export interface ReportRecording {
  readonly url: string;
  readonly durationSeconds: number | null;
}

export interface ReportUsage {
  readonly models: CallBill['usage'];
  readonly providerSeconds: CallBill['providerSeconds'];
  readonly carrierSeconds: CallBill['carrierSeconds'];
}

/** The body of the end webhook. Times are ISO 8601 in UTC, `atMs` counts from `startedAt`. */
export interface CallReport {
  readonly type: 'call.ended';
  /** When it was written. */
  readonly timestamp: string;
  readonly data: {
    readonly id: string;
    readonly callId: string | null;
    readonly carrier: CarrierName;
    readonly direction: 'inbound' | 'outbound';
    readonly from: string;
    readonly to: string;
    readonly agent: string;
    readonly variables: Readonly<Record<string, string>>;
    /** In the order in which they took over. */
    readonly providers: readonly string[];
    /** How often a provider was lost and the call went on with another session. */
    readonly failovers: number;
    readonly providerChanges: readonly ReportProviderChange[];
    readonly providerFailures: readonly ReportProviderFailure[];
    readonly startedAt: string;
    readonly answeredAt: string | null;
    readonly endedAt: string;
    /** From the answer to the end; 0 for a call that was not answered. */
    readonly durationSeconds: number;
    readonly outcome: CallOutcome | null;
    readonly endReason: EndReason | null;
    readonly machine: MachineResult | null;
    /** Null: left out. */
    readonly transcript: readonly ReportTurn[] | null;
    /** Turns at the beginning that were too many to be told. */
    readonly turnsOmitted: number;
    readonly toolCalls: readonly ReportToolCall[];
    /** Invocations at the end that were too many to be told. */
    readonly toolCallsOmitted: number;
    readonly transfers: readonly ReportTransfer[];
    readonly bargeIns: number;
    /** Where the carrier keeps its recording. */
    readonly recording: ReportRecording | null;
    /** Folder in RECORDINGS_DIR of what the bridge has recorded. */
    readonly recordingFolder: string | null;
    readonly usage: ReportUsage | null;
    readonly cost: CallCost | null;
    /** What was used and is not in `cost`, because no price of it is known. */
    readonly unpriced: readonly string[];
  };
}

/** More than a call of an hour has; what goes on longer is told as far as it fits. */
const MAX_TURNS = 5000;
const MAX_TURN_CHARS = 1_000_000;
const MAX_TOOL_CALLS = 1000;
const MAX_ARGS_CHARS = 8000;
const MAX_TRANSFERS = 100;

/** Listens to the events of one call and keeps what its report needs, which is little before the end. */
export class ReportWriter {
  readonly #facts: CallFacts;
  #lastMs = 0;
  #answeredMs: number | undefined;
  #endedMs: number | undefined;
  #endReason: EndReason | undefined;
  #machine: MachineResult | undefined;
  #recording: ReportRecording | undefined;
  #transcript: readonly TranscriptEntry[] = [];
  #bargeIns = 0;
  #toolCallsOmitted = 0;
  readonly #providers = new ProviderStory();
  readonly #toolCalls: ReportToolCall[] = [];
  readonly #transfers: ReportTransfer[] = [];

  constructor(facts: CallFacts) {
    this.#facts = facts;
  }

  /** Keys that the caller pressed are not looked at; what was said is taken from the end of the call. */
  on(event: CallEvent): void {
    this.#lastMs = Math.max(this.#lastMs, event.atMs);
    switch (event.type) {
      case 'providerReady':
        this.#providers.ready(event);
        return;
      case 'providerFailed':
        this.#providers.failed(event);
        return;
      case 'failover':
        this.#providers.heardAgain(event);
        return;
      case 'mediaStarted':
        this.#answeredMs ??= event.atMs;
        return;
      case 'bargeIn':
        this.#bargeIns += 1;
        return;
      case 'tool':
        this.#tool(event);
        return;
      case 'transfer':
        this.#transfer(event);
        return;
      case 'machine':
        this.#machine = event.result;
        return;
      case 'recording':
        this.#record(event);
        return;
      case 'ended':
        this.#endReason = event.reason;
        this.#endedMs = event.atMs;
        this.#transcript = event.transcript;
        return;
      case 'started':
      case 'usage':
      case 'firstAudio':
      case 'transcript':
      case 'digit':
      case 'turn':
        return;
      default:
        assertNever(event);
    }
  }

  /** The report as far as things are known. `writtenAt`: ms since 1970 UTC. `bill` undefined: nothing was counted. */
  report(bill: CallBill | undefined, writtenAt: number, end: CallEnd = {}): CallReport {
    const { startedAt, callId, ...facts } = this.#facts;
    const { answeredAt = later(startedAt, this.#answeredMs), outcome = this.#outcome() } = end;
    const endedAt = end.endedAt ?? startedAt + (this.#endedMs ?? this.#lastMs);
    const durationMs = answeredAt === undefined ? 0 : Math.max(0, endedAt - answeredAt);
    const { turns, omitted } = newestTurns(this.#transcript);
    return {
      type: 'call.ended',
      timestamp: iso(writtenAt),
      data: {
        id: facts.id,
        callId: callId ?? null,
        carrier: facts.carrier,
        direction: facts.direction,
        from: facts.from,
        to: facts.to,
        agent: facts.agent,
        variables: facts.variables,
        providers: this.#providers.names,
        failovers: this.#providers.failovers,
        providerChanges: this.#providers.changes,
        providerFailures: this.#providers.failures,
        startedAt: iso(startedAt),
        answeredAt: answeredAt === undefined ? null : iso(answeredAt),
        endedAt: iso(endedAt),
        durationSeconds: Math.round(durationMs) / 1000,
        outcome,
        endReason: this.#endReason ?? null,
        machine: this.#machine ?? null,
        transcript: turns,
        turnsOmitted: omitted,
        toolCalls: [...this.#toolCalls],
        toolCallsOmitted: this.#toolCallsOmitted,
        transfers: [...this.#transfers],
        bargeIns: this.#bargeIns,
        recording: this.#recording ?? null,
        recordingFolder: facts.recordingFolder ?? null,
        usage: usageOf(bill),
        cost: bill?.cost ?? null,
        unpriced: bill?.unpriced ?? [],
      },
    };
  }

  #outcome(): CallOutcome | null {
    return this.#endReason === undefined ? null : outcomeOf(this.#endReason);
  }

  #tool(event: Extract<CallEvent, { type: 'tool' }>): void {
    if (this.#toolCalls.length >= MAX_TOOL_CALLS) {
      this.#toolCallsOmitted += 1;
      return;
    }
    const { name, atMs, ms, outcome, args, idempotencyKey } = event;
    this.#toolCalls.push({
      name,
      atMs: whole(atMs),
      ms: whole(ms),
      outcome,
      args: bounded(args),
      idempotencyKey,
    });
  }

  #transfer({ atMs, status, outcome }: Extract<CallEvent, { type: 'transfer' }>): void {
    if (this.#transfers.length >= MAX_TRANSFERS) return;
    this.#transfers.push({ atMs: whole(atMs), status, outcome: outcome ?? null });
  }

  #record({ url, durationS }: Extract<CallEvent, { type: 'recording' }>): void {
    // One without an address came to nothing, and takes nothing back.
    if (url === undefined) return;
    this.#recording = { url, durationSeconds: durationS ?? null };
  }
}

/** The report as the settings of its webhook want it. */
export function trimReport(
  report: CallReport,
  { transcript, args }: { readonly transcript: boolean; readonly args: boolean },
): CallReport {
  const { data } = report;
  return {
    ...report,
    data: {
      ...data,
      transcript: transcript ? data.transcript : null,
      toolCalls: args ? data.toolCalls : data.toolCalls.map((call) => ({ ...call, args: null })),
    },
  };
}

/** The same report, with the recording that the carrier has told of meanwhile. */
export function withRecording(report: CallReport, recording: ReportRecording): CallReport {
  return { ...report, data: { ...report.data, recording } };
}

/** The end of a conversation says more about it than the beginning. */
function newestTurns(entries: readonly TranscriptEntry[]): { turns: ReportTurn[]; omitted: number } {
  const turns: ReportTurn[] = [];
  let chars = 0;
  for (let at = entries.length - 1; at >= 0 && turns.length < MAX_TURNS; at -= 1) {
    const entry = entries[at];
    if (entry === undefined) break;
    const { role, atMs, text, heardText, interrupted } = entry;
    chars += text.length + (heardText?.length ?? 0);
    if (chars > MAX_TURN_CHARS) break;
    turns.push({ role, atMs: whole(atMs), text, heardText: heardText ?? null, interrupted });
  }
  return { turns: turns.reverse(), omitted: entries.length - turns.length };
}

function usageOf(bill: CallBill | undefined): ReportUsage | null {
  if (bill === undefined) return null;
  const { usage, providerSeconds, carrierSeconds } = bill;
  return { models: usage, providerSeconds, carrierSeconds };
}

/** Arguments that are no JSON, or too much of it, are left out. */
function bounded(args: unknown): unknown {
  try {
    const text: string | undefined = JSON.stringify(args);
    return text === undefined || text.length > MAX_ARGS_CHARS ? null : args;
  } catch {
    return null;
  }
}

function later(startedAt: number, ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : startedAt + ms;
}

function whole(ms: number): number {
  return Math.round(ms);
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
