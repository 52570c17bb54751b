import { type AudioFormat, MULAW_8K } from '../../src/audio/format.ts';
import type { Clock } from '../../src/clock.ts';
import type { CallLeg } from '../../src/leg.ts';

/** A carrier's play-out buffer on a virtual clock: what was sent is heard in real time, marks come when it was. */
export class VirtualLeg implements CallLeg {
  readonly input: AudioFormat = MULAW_8K;
  readonly output: AudioFormat = MULAW_8K;
  roundTripMs = 0;
  /** Set to keep marks from coming back. */
  echoesMarks = true;
  readonly log: string[] = [];
  readonly played: Uint8Array[] = [];
  readonly digits: string[] = [];
  closed: string | undefined;
  onMark: (name: string) => void = () => undefined;
  readonly #clock: Clock;
  /** How often the line ran dry and went on. */
  holes = 0;
  #emptyAt = 0;
  #heardBefore = 0;
  #sent = 0;
  #marks = new Map<string, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bytes that the caller's ear has received. */
  get heardBytes(): number {
    const waiting = Math.max(0, this.#emptyAt - this.#clock.now()) * 8;
    return this.#heardBefore + (this.#sent - waiting);
  }

  get aheadMs(): number {
    return Math.max(0, this.#emptyAt - this.#clock.now());
  }

  play(bytes: Uint8Array): void {
    this.log.push(`play ${bytes.length}`);
    if (this.#sent > 0 && this.#emptyAt < this.#clock.now()) this.holes += 1;
    this.played.push(bytes.slice());
    this.#emptyAt = Math.max(this.#emptyAt, this.#clock.now()) + bytes.length / 8;
    this.#sent += bytes.length;
  }

  mark(name: string): void {
    this.log.push(`mark ${name}`);
    const cancel = this.#clock.after(this.aheadMs, () => {
      this.#marks.delete(name);
      if (this.echoesMarks) this.onMark(name);
    });
    this.#marks.set(name, cancel);
  }

  clear(): void {
    this.log.push('clear');
    this.#heardBefore = this.heardBytes;
    this.#sent = 0;
    this.#emptyAt = this.#clock.now();
    const pending = [...this.#marks];
    this.#marks.clear();
    for (const [name, cancel] of pending) {
      cancel();
      // As Twilio and Telnyx do: marks that were cleared come back as if they had been played.
      if (this.echoesMarks) this.#clock.after(1, () => this.onMark(name));
    }
  }

  sendDigits(digits: string): void {
    this.digits.push(digits);
  }

  close(_code: number, reason: string): void {
    this.closed = reason;
    // A socket that is closed says nothing any more.
    for (const cancel of this.#marks.values()) cancel();
    this.#marks.clear();
  }
}
