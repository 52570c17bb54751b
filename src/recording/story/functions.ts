import type { CallEvent, ToolOutcome } from '../../call-events.ts';
import type { Line } from '../format.ts';

/** A function that the model called. */
export interface FunctionCall {
  readonly name: string;
  readonly toolCallId: string;
  readonly startMs: number;
  /** Undefined: it had not answered when the call, or what is known of it, ended. */
  readonly endMs: number | undefined;
  readonly args: unknown;
  /** What it returned, or why it did not. */
  readonly result: unknown;
  readonly outcome: ToolOutcome | undefined;
  readonly isError: boolean;
  /** What it did with the call meanwhile, such as `hangUpAfterGoodbye`. */
  readonly did: readonly string[];
}

interface Draft {
  readonly name: string;
  readonly toolCallId: string;
  readonly startMs: number;
  readonly args: unknown;
  endMs: number | undefined;
  result: unknown;
  outcome: ToolOutcome | undefined;
  isError: boolean;
  readonly did: string[];
}

/** The functions of a call, in the order in which they began: built-in ones, too, which have no lines of their own. */
export function functionsOf(lines: readonly Line[]): readonly FunctionCall[] {
  const all: Draft[] = [];
  const byId = new Map<number, Draft>();
  for (const line of lines) {
    if (line.on === 'tool' && 'run' in line.msg) {
      const { id, run, toolCallId, args } = line.msg;
      const draft = begun(run, toolCallId, line.t, args);
      byId.set(id, draft);
      all.push(draft);
    } else if (line.on === 'tool') {
      const draft = byId.get(line.msg.id);
      if (draft !== undefined) follow(draft, line.t, line.msg);
    } else if (line.on === 'call' && line.msg.type === 'tool') conclude(all, line.t, line.msg);
  }
  return all.sort((a, b) => a.startMs - b.startMs);
}

type ToolEvent = Extract<CallEvent, { readonly type: 'tool' }>;

function conclude(all: Draft[], atMs: number, event: ToolEvent): void {
  const { name, toolCallId, args, ms, outcome, isError } = event;
  let draft = all.findLast((one) => one.toolCallId === toolCallId && one.name === name);
  if (draft === undefined) {
    draft = begun(name, toolCallId, Math.max(0, atMs - ms), args);
    all.push(draft);
  }
  draft.endMs ??= atMs;
  draft.outcome = outcome;
  draft.isError ||= isError;
}

function begun(name: string, toolCallId: string, startMs: number, args: unknown): Draft {
  const open = { endMs: undefined, result: undefined, outcome: undefined };
  return { name, toolCallId, startMs, args, ...open, isError: false, did: [] };
}

type ToolLine = Extract<Line, { readonly on: 'tool' }>;

function follow(draft: Draft, atMs: number, msg: ToolLine['msg']): void {
  if ('does' in msg) draft.did.push(msg.does);
  else if ('threw' in msg) {
    draft.endMs = atMs;
    draft.isError = true;
    draft.result = msg.threw;
  } else if ('done' in msg) {
    draft.endMs = atMs;
    draft.result = msg.returned;
  } else if ('aborted' in msg) {
    draft.endMs ??= atMs;
    draft.result ??= { aborted: msg.aborted };
    draft.isError = true;
  }
}
