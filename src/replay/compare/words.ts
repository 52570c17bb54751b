import { assertNever } from '../../errors.ts';
import { isRecord } from '../../is-record.ts';
import type { Line } from '../../recording/format.ts';

/** What the lines of a call do not say of themselves. */
export interface Names {
  /** The provider behind each connection. */
  readonly providers: ReadonlyMap<number, string>;
  /** The function behind each invocation. */
  readonly functions: ReadonlyMap<number, string>;
}

/** Reads the names of providers and functions from the lines of a call. */
export function namesOf(lines: readonly Line[]): Names {
  const providers = new Map<number, string>();
  const functions = new Map<number, string>();
  for (const line of lines) {
    if (line.on === 'provider' && 'ctl' in line) {
      const { ctl } = line;
      if (ctl.type === 'dial' || ctl.type === 'connect') providers.set(line.conn, ctl.provider);
    } else if (line.on === 'tool' && 'run' in line.msg) {
      functions.set(line.msg.id, line.msg.run);
    }
  }
  return { providers, functions };
}

/** What a line is, in one or two words that are the same for all of its kind: `clear`, `response.cancel`, `dial`. */
export function kindOf(line: Line): string {
  switch (line.on) {
    case 'webhook':
      return 'route' in line.msg ? `${line.msg.route} webhook` : 'answer';
    case 'carrier':
    case 'provider':
      return 'ctl' in line ? line.ctl.type : messageKind(line.msg);
    case 'tool':
      return toolKind(line.msg);
    case 'rest':
      return 'method' in line.msg ? line.msg.method : 'answer';
    case 'operator':
      return line.msg.does;
    case 'call':
      return line.msg.type;
    case 'clock':
      return 'timer';
    default:
      return assertNever(line);
  }
}

const TOOL_KINDS = ['run', 'aborted', 'does', 'done', 'threw'] as const;

function toolKind(message: object): string {
  return TOOL_KINDS.find((kind) => kind in message) ?? 'message';
}

/** Under one of these names most protocols say what a message is. */
const KIND_FIELDS = ['type', 'event', 'call'] as const;

function messageKind(message: unknown): string {
  if (!isRecord(message)) return 'message';
  for (const name of KIND_FIELDS) {
    const kind = message[name];
    if (typeof kind === 'string') return kind;
  }
  // Nova wraps everything in `event`; Gemini names a message by its only field.
  const [name, inner] = Object.entries(message)[0] ?? [];
  if (name === undefined) return 'message';
  const [under] = isRecord(inner) ? Object.keys(inner) : [];
  if (name === 'event') return under ?? name;
  return name === 'realtimeInput' && under !== undefined ? `${name}.${under}` : name;
}

/** A line in words, without its time: `to the carrier: clear`, `to openai: response.cancel`. */
export function wordsOf(line: Line, names: Names): string {
  const kind = kindOf(line);
  const isOut = line.dir === 'out';
  switch (line.on) {
    case 'webhook':
      return isOut ? `answer to webhook ${idOf(line.msg)}` : `from the carrier: ${kind}`;
    case 'carrier':
      return `${isOut ? 'to' : 'from'} the carrier${line.conn > 1 ? ` (stream ${line.conn})` : ''}: ${kind}`;
    case 'provider': {
      const name = names.providers.get(line.conn) ?? 'a provider';
      return `${isOut ? 'to' : 'from'} ${name}${line.conn > 1 ? ` (connection ${line.conn})` : ''}: ${kind}`;
    }
    case 'tool':
      return `function ${names.functions.get(line.msg.id) ?? line.msg.id}: ${kind}`;
    case 'rest':
      return isOut ? `request to the carrier: ${kind}` : `answer to request ${idOf(line.msg)}`;
    case 'operator':
      return `order from beside the line: ${kind}`;
    case 'call':
      return `told to observers: ${kind}`;
    case 'clock':
      return kind;
    default:
      return assertNever(line);
  }
}

function idOf(message: { readonly id: number }): number {
  return message.id;
}
