import type { AudioFormat } from '../audio/format.ts';
import { audioRefsOf } from '../recording/audio-refs.ts';
import type { AudioRef, CallFile, Line, RecordingEnd } from '../recording/format.ts';
import { MemorySink } from '../recording/memory-sink.ts';
import { Redactor, rulesOf } from '../recording/redact-redactor.ts';
import type { CallSink } from '../recording/sink.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import { IdBook } from './id-book.ts';

/** What a replay finds, in memory; learns on the way which ids of the recording are which ones now. */
export class FoundSink implements CallSink {
  readonly memory: MemorySink;
  readonly ids = new IdBook();
  /** Lines that have come so far. */
  count = 0;
  /** What went out in the recording, by edge and connection, without audio; and how much of it has gone out now. */
  readonly #expected = new Map<string, string[]>();
  readonly #passed = new Map<string, number>();
  readonly #onLine: ((line: Line) => void) | undefined;
  /** What was taken out of the recording is taken out of what is found, so that the two can be compared. */
  readonly #redactor: Redactor | undefined;
  #isOver = false;

  constructor({ call, lines }: StoredCall, onLine: ((line: Line) => void) | undefined) {
    this.memory = new MemorySink(call);
    const rules = rulesOf(call);
    this.#redactor = rules && new Redactor(rules);
    this.#onLine = onLine;
    for (const line of lines) {
      if (line.dir !== 'out' || audioRefsOf(line).length > 0) continue;
      const channel = channelOf(line);
      const texts = this.#expected.get(channel);
      if (texts === undefined) this.#expected.set(channel, [JSON.stringify(line)]);
      else texts.push(JSON.stringify(line));
    }
  }

  audio(wav: string, format: AudioFormat, bytes: Uint8Array): AudioRef | undefined {
    return this.memory.audio(wav, format, bytes);
  }

  line(given: Line): void {
    if (this.#isOver) return;
    const line = this.#redactor?.line(given) ?? given;
    this.count += 1;
    this.memory.line(line);
    if (line.dir === 'out' && audioRefsOf(line).length === 0) this.#learn(line);
    this.#onLine?.(line);
  }

  stereo(format: AudioFormat, bytes: Uint8Array): void {
    this.memory.stereo(format, bytes);
  }

  transcript(text: string): void {
    this.memory.transcript(text);
  }

  describe(call: CallFile): void {
    this.memory.describe(call);
  }

  async finish(end: RecordingEnd): Promise<void> {
    this.#isOver = true;
    await this.memory.finish(end);
  }

  #learn(line: Line): void {
    const channel = channelOf(line);
    const passed = this.#passed.get(channel) ?? 0;
    this.#passed.set(channel, passed + 1);
    const recorded = this.#expected.get(channel)?.[passed];
    if (recorded !== undefined) this.ids.learn(recorded, JSON.stringify(line));
  }
}

function channelOf(line: Line): string {
  return 'conn' in line ? `${line.on} ${line.conn}` : line.on;
}
