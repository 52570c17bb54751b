import { MILLIWATT } from '../../audio/tone.ts';
import type { Cancel, Clock } from '../../clock.ts';
import type { ProviderEvent, TextOptions, ToolResult } from '../../provider.ts';
import type { HeardTurn } from './ear.ts';
import {
  AGAIN,
  CANNOT_END,
  ECHO_FOLLOWS,
  GOODBYE,
  keyWords,
  LONG_ECHO_FOLLOWS,
  MENU,
  type Measurement,
  measurementLabel,
  NO_ANSWERS,
  NO_TIME,
  reportWords,
  TEST_TONE,
  timeWords,
} from './sentences.ts';
import type { Part, Utterance } from './speaker.ts';

/** The functions of the bridge that the line check knows, each used only when the call has it. */
const TOOLS = ['line_status', 'current_time', 'end_call'] as const;
type ToolName = (typeof TOOLS)[number];

export interface DialoguePorts {
  readonly clock: Clock;
  /** Names of the functions that this call has. */
  readonly tools: ReadonlySet<string>;
  emit(event: ProviderEvent): void;
  nextId(prefix: string): string;
  say(utterance: Utterance): void;
  tone(parts: typeof MILLIWATT, ms: number): Uint8Array;
  noiseDbm0(): number | undefined;
}

const TONE_MS = 5000;
/** Keys that follow each other within this time are one number. */
const KEY_PAUSE_MS = 1000;
const TOOL_LIMIT_MS = 3000;

interface PendingTool {
  readonly name: ToolName;
  readonly cancel: Cancel;
}

function words(text: string): Part {
  return { type: 'words', text };
}

function isToolName(name: string): name is ToolName {
  return TOOLS.some((known) => known === name);
}

/** A field of a JSON object; undefined for anything else. */
function field(json: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null
      ? Object.entries(value).find(([key]) => key === name)?.[1]
      : undefined;
  } catch {
    return undefined;
  }
}

function roundTripOf(result: ToolResult | undefined): number | undefined {
  const value = result === undefined || result.isError ? undefined : field(result.output, 'roundTripMs');
  // The bridge's 0 means that no ping has come back yet.
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
}

function timeOf(result: ToolResult | undefined): string {
  const value = result === undefined || result.isError ? undefined : field(result.output, 'utc');
  return (typeof value === 'string' ? timeWords(value) : undefined) ?? NO_TIME;
}

/**
 * What the line check says to what happens. It understands nothing: it plays back, measures, reads keys, and asks the
 * bridge for what it cannot know.
 */
export class Dialogue {
  readonly #ports: DialoguePorts;
  readonly #pending = new Map<string, PendingTool>();
  #last: Measurement | undefined;
  #pressed = '';
  #cancelKeys: Cancel | undefined;
  #introduced = false;

  constructor(ports: DialoguePorts) {
    this.#ports = ports;
  }

  /** Says a text of the bridge's; the first one is followed by what the caller can do. */
  say(text: string): void {
    const parts = this.#introduced ? [words(text)] : [words(text), words(MENU)];
    this.#introduced = true;
    this.#ports.say({ parts, tools: [], asked: true, waits: true });
  }

  /** The caller has spoken. */
  turn(turn: HeardTurn): void {
    this.#last = { ms: turn.ms, levelDbm0: turn.levelDbm0, clipped: turn.clipped };
    this.#introduced = true;
    const label = `[echo of ${measurementLabel(turn).slice(1)}`;
    const echo: Part[] = [
      words(turn.shortened ? LONG_ECHO_FOLLOWS : ECHO_FOLLOWS),
      { type: 'sound', label, bytes: turn.bytes, tonal: false },
    ];
    if (this.#has('line_status')) this.#reply(echo, ['line_status'], false);
    else this.#reply([...echo, ...this.#report(undefined)], [], false);
  }

  text(text: string, { digits, respond, role }: TextOptions): void {
    if (digits !== undefined && digits !== '') this.#press(digits);
    else if (respond)
      this.#reply(role === 'user' ? [words(text), words(NO_ANSWERS)] : [words(AGAIN)], [], true);
  }

  /** The functions of a response that was said to its end. */
  callTools(responseId: string, names: readonly string[]): void {
    for (const name of names.filter(isToolName)) {
      const callId = this.#ports.nextId('call');
      const cancel = this.#ports.clock.after(TOOL_LIMIT_MS, () => this.#answer(callId, undefined));
      this.#pending.set(callId, { name, cancel });
      this.#ports.emit({ type: 'toolCall', responseId, callId, name, args: '{}' });
    }
  }

  /** Results of calls that are unknown, given up or answered already change nothing. */
  toolResult(callId: string, result: ToolResult): void {
    this.#answer(callId, result);
  }

  /** The caller cut in: answers that are still to come are not wanted any more. */
  interrupted(): void {
    const callIds = [...this.#pending.keys()];
    this.#giveUpTools();
    if (callIds.length > 0) this.#ports.emit({ type: 'toolCallsCancelled', callIds });
  }

  /** Gives up all waits. */
  close(): void {
    this.#cancelKeys?.();
    this.#giveUpTools();
  }

  #giveUpTools(): void {
    for (const { cancel } of this.#pending.values()) cancel();
    this.#pending.clear();
  }

  #has(name: ToolName): boolean {
    return this.#ports.tools.has(name);
  }

  #reply(parts: readonly Part[], tools: readonly ToolName[], asked: boolean): void {
    this.#ports.say({ parts, tools, asked, waits: false });
  }

  #report(result: ToolResult | undefined): Part[] {
    return [words(reportWords(this.#last, this.#ports.noiseDbm0(), roundTripOf(result))), words(AGAIN)];
  }

  /** The bridge reports each key by itself, and each one interrupts; a number is read back whole. */
  #press(digits: string): void {
    this.#introduced = true;
    this.#pressed += digits;
    this.#cancelKeys?.();
    this.#cancelKeys = this.#ports.clock.after(KEY_PAUSE_MS, () => {
      const pressed = this.#pressed;
      this.#pressed = '';
      this.#keys(pressed);
    });
  }

  #keys(digits: string): void {
    switch (digits) {
      case '1':
        this.#testTone();
        break;
      case '2':
        if (this.#has('line_status')) this.#reply([], ['line_status'], true);
        else this.#reply(this.#report(undefined), [], true);
        break;
      case '3':
        if (this.#has('current_time')) this.#reply([], ['current_time'], true);
        else this.#reply([words(NO_TIME)], [], true);
        break;
      case '*':
      case '#':
        this.#reply([words(GOODBYE)], this.#has('end_call') ? ['end_call'] : [], true);
        break;
      default:
        this.#reply([words(`You pressed ${keyWords(digits)}.`), words(AGAIN)], [], true);
    }
  }

  #testTone(): void {
    const bytes = this.#ports.tone(MILLIWATT, TONE_MS);
    const label = `[tone, 1004 Hz, 0 dBm0, ${TONE_MS / 1000} s]`;
    this.#reply([words(TEST_TONE), { type: 'sound', label, bytes, tonal: true }, words(AGAIN)], [], true);
  }

  /** @param result undefined when none came in time */
  #answer(callId: string, result: ToolResult | undefined): void {
    const pending = this.#pending.get(callId);
    if (pending === undefined) return;
    pending.cancel();
    this.#pending.delete(callId);
    const respond = result?.respond ?? true;
    if (pending.name === 'line_status' && respond) this.#reply(this.#report(result), [], true);
    if (pending.name === 'current_time' && respond)
      this.#reply([words(timeOf(result)), words(AGAIN)], [], true);
    if (pending.name === 'end_call' && result?.isError === true) this.#reply([words(CANNOT_END)], [], true);
  }
}
