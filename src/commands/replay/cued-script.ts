import type { Cancel, Clock } from '../../clock.ts';
import { audioRefsOf } from '../../recording/audio-refs.ts';
import type { Line } from '../../recording/format.ts';
import type { StoredCall } from '../../recording/stored-call.ts';

export type ProviderLine = Extract<Line, { readonly on: 'provider' }>;

/** A line of the provider, and what it came after. */
interface Cued {
  readonly line: ProviderLine;
  /** Messages of ours, audio and pings apart, that it had been sent by then. */
  readonly sent: number;
  /** The caller's speech that it had been sent by then, in ms. */
  readonly heardMs: number;
  /** The last of what came before: a line of its own, or one of these messages; and how long after that it came. */
  readonly after: 'line' | 'message';
  readonly afterMs: number;
}

export interface CuedScriptOptions {
  readonly stored: StoredCall;
  /** Which connection of the stored call is played. */
  readonly conn: number;
  readonly clock: Clock;
  deliver(line: ProviderLine): void;
  /** What a line waited for has not come, and it is played all the same. */
  onMissed?(line: ProviderLine): void;
}

/** A message that the recorded provider had been sent is waited for so long beyond its time. */
const PATIENCE_MS = 3000;

/**
 * One connection of a recorded provider, played to a service that does not do exactly the same. Each line comes in its
 * order, as long after what came before it as then, and not before the service has said as much as then: the same number
 * of messages, and as much of the caller's speech.
 */
export class CuedScript {
  readonly #options: CuedScriptOptions;
  readonly #script: readonly Cued[];
  #at = 0;
  /** When the last line was played, and each message of the service came. */
  #lastAt: number;
  readonly #sentAt: number[] = [];
  #heardMs = 0;
  #cancel: Cancel | undefined;
  /** The next line lacks something; the timer is that of its patience. */
  #lacks = false;
  #over = false;

  /** Begins at once; the first line comes at the earliest in the next turn of the event loop. */
  constructor(options: CuedScriptOptions) {
    this.#options = options;
    this.#script = cued(options);
    this.#lastAt = options.clock.now();
    this.#arm();
  }

  /** The service has sent a message that is neither audio nor a ping. */
  said(): void {
    this.#sentAt.push(this.#options.clock.now());
    this.#arm();
  }

  /** The service has sent so much of what the caller says. */
  heard(ms: number): void {
    this.#heardMs += ms;
    // Speech comes 50 times a second, and mostly nobody waits for it.
    if (this.#lacks) this.#arm();
  }

  /** Nothing more is played. */
  stop(): void {
    this.#over = true;
    this.#cancel?.();
  }

  #arm(): void {
    const next = this.#script[this.#at];
    if (next === undefined || this.#over) return;
    const lacks = this.#sentAt.length < next.sent || this.#heardMs < next.heardMs;
    if (lacks && this.#lacks) return;
    this.#cancel?.();
    this.#lacks = lacks;
    const { clock } = this.#options;
    const at = this.#dueAt(next) + (lacks ? PATIENCE_MS : 0);
    this.#cancel = clock.after(Math.max(0, at - clock.now()), () => this.#play(next));
  }

  #dueAt({ after, sent, afterMs }: Cued): number {
    const cueAt = after === 'message' ? this.#sentAt[sent - 1] : undefined;
    return Math.max(this.#lastAt, (cueAt ?? this.#lastAt) + afterMs);
  }

  #play({ line }: Cued): void {
    if (this.#over) return;
    const missed = this.#lacks;
    this.#at += 1;
    this.#lastAt = this.#options.clock.now();
    this.#lacks = false;
    if (missed) this.#options.onMissed?.(line);
    this.#options.deliver(line);
    this.#arm();
  }
}

/** What each line of the provider came after, from the order and the times of the lines. */
function cued({ stored, conn }: CuedScriptOptions): readonly Cued[] {
  const script: Cued[] = [];
  let sent = 0;
  let heardMs = 0;
  let last: { readonly after: Cued['after']; readonly t: number } = { after: 'line', t: 0 };
  for (const line of linesOf(stored, conn)) {
    const ms = audioMs(stored, line);
    if (line.dir === 'in') {
      script.push({ line, sent, heardMs, after: last.after, afterMs: line.t - last.t });
      last = { after: 'line', t: line.t };
    } else if (beginsIt(line)) last = { after: 'line', t: line.t };
    else if (ms > 0) heardMs += ms;
    else if (isMessage(line)) {
      sent += 1;
      last = { after: 'message', t: line.t };
    }
  }
  return script;
}

/** Answers to our own pings are made, not played. */
function linesOf(stored: StoredCall, conn: number): readonly ProviderLine[] {
  return stored.lines.filter(
    (line): line is ProviderLine => line.on === 'provider' && line.conn === conn && !isPong(line),
  );
}

function beginsIt(line: ProviderLine): boolean {
  return 'ctl' in line && (line.ctl.type === 'dial' || line.ctl.type === 'connect');
}

function isPong(line: ProviderLine): boolean {
  return 'ctl' in line && line.ctl.type === 'pong';
}

/** What the service says; pings keep their own time. */
function isMessage(line: ProviderLine): boolean {
  return !('ctl' in line) || line.ctl.type === 'text' || line.ctl.type === 'binary';
}

/** The audio in a line, in ms. */
function audioMs(stored: StoredCall, line: ProviderLine): number {
  return audioRefsOf(line).reduce((ms, { wav, n }) => {
    const rate = stored.wavs.get(wav)?.format.rate;
    return rate === undefined ? ms : ms + (n * 1000) / rate;
  }, 0);
}
