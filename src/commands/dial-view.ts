import type { AnswerOf } from '../calls-api/shapes.ts';
import type { Terminal } from './command.ts';

type CallEvent = AnswerOf<'CallEvent'>;

/** A call that was placed, a line per event. */
export class DialView {
  readonly #terminal: Terminal;
  readonly #startedAt: number;

  /** @param createdAt ISO 8601, by the clock of the service */
  constructor(terminal: Terminal, createdAt: string) {
    this.#terminal = terminal;
    this.#startedAt = Date.parse(createdAt);
  }

  event(event: CallEvent): void {
    const line = lineOf(event);
    if (line !== undefined) this.#line(event.at, ...line);
  }

  end({ outcome, endReason, answeredAt, endedAt }: AnswerOf<'Call'>): void {
    const at = endedAt ?? new Date(this.#startedAt).toISOString();
    const seconds =
      answeredAt === undefined
        ? ''
        : `, ${Math.round((Date.parse(at) - Date.parse(answeredAt)) / 1000)} s of talk`;
    const why = endReason === undefined ? '' : ` (${endReason})`;
    this.#line(at, 'call', `over: ${outcome ?? 'nobody knows how'}${why}${seconds}`);
  }

  #line(at: string, who: string, text: string): void {
    const seconds = ((Date.parse(at) - this.#startedAt) / 1000).toFixed(1).padStart(6);
    this.#terminal.out(`${seconds} s  ${who.padEnd(8)}${text}\n`);
  }
}

/** Who did what; undefined: nothing that anybody wants to see. */
function lineOf({ type, data }: CallEvent): readonly [who: string, text: string] | undefined {
  const word = (name: string): string => printable(data[name]);
  switch (type) {
    case 'progress':
      return ['call', word('status')];
    case 'answered':
      return ['callee', 'picks up'];
    case 'machine':
      return ['carrier', `thinks that this is: ${word('result')}`];
    case 'mediaStarted':
      return ['call', 'media stream open'];
    case 'transcript':
      if (data['final'] !== true) return undefined;
      return [data['role'] === 'user' ? 'callee' : 'agent', word('text')];
    case 'bargeIn':
      return ['callee', 'interrupts the agent'];
    case 'tool':
      return ['agent', `ran ${word('name')}${data['isError'] === true ? ', which failed' : ''}`];
    case 'digit':
      return ['callee', 'presses a key'];
    case 'transfer':
      return ['agent', `transfer ${word('status')} ${word('outcome')}`.trimEnd()];
    case 'recording':
      return ['carrier', `has a recording ${word('url')}`.trimEnd()];
    case 'ended':
      return ['agent', `is done: ${word('reason')}`];
    default:
      return undefined;
  }
}

/** What others have said goes to a terminal, which obeys control characters. */
function printable(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\p{Cc}+/gu, ' ').trim() : '';
}
