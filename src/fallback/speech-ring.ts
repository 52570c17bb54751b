import { type AudioFormat, bytesPerMs, bytesPerSample, silenceByte } from '../audio/format.ts';
import { createDecoder, createFrameMeter, type Decoder, type FrameMeter } from '../audio/frame-level.ts';
import { FRAME_MS } from '../pacer.ts';
import { MACHINE_SILENCE_DBM0, planTrim, type TrimPlan, thresholdOf } from './trim.ts';
import { VoiceCheck } from './voice-check.ts';

/** What the caller said and nobody has answered. */
export interface Unanswered {
  /** In ms; silence and clicks are not counted. */
  readonly spokenMs: number;
  /** They had not stopped when this was asked. */
  readonly speaking: boolean;
}

/** What the caller said, as it is to be sent again. */
export interface Speech extends Unanswered {
  /** In the format of the line, silence trimmed; its own copy. */
  readonly bytes: Uint8Array;
}

/** What is kept of the caller's speech. */
const KEEP_MS = 10_000;
/** Of a hole so much silence is stored, enough to end a turn; the rest is only a step in the positions. */
const STORED_SILENCE_MS = 1000;
/** When less silence than this was found, it is looked for again only after a while: looking takes time. */
const WORTHWHILE = 500 / FRAME_MS;
const TRIM_AGAIN_MS = 1000;
/** At the end of what is known, where nothing is trimmed yet: it shows the noise of the line. */
const UNTOUCHED = 1500 / FRAME_MS;
const FIRST_SLOTS = 64;
/** As long as nothing waits, what is of no more use goes before the ring becomes longer than this: 3.8 s. */
const COMFORTABLE = 192;
/** Of what is of no more use so much stays, for the noise of the line: 2 s. */
const USELESS_KEPT = 2000 / FRAME_MS;
/** The loudest frames of an agent's speech are at about -10 dBm0, and its echo is 17 dB weaker at least. */
const LOUDEST_ECHO_DBM0 = -27;
/** A detector knows a noise by so much of it. */
const NOISE_SLOTS = 300 / FRAME_MS;

/**
 * The last ten seconds of what the caller said, in the format of the line: for a provider that is not ready, and for one
 * that takes the place of another. For the second, silence goes first when it is full: ten seconds of speech then last
 * through a much longer wait. Positions are bytes of the stream since it began, holes included.
 */
export class SpeechRing {
  /** When it is full, silence goes before speech: what is there will be told as `speech`, and not as it came. */
  trims = false;
  /** The agent can be heard on the line: what is weak in what comes now is its echo, and no voice. */
  echoes = false;
  readonly #slotBytes: number;
  readonly #most: number;
  readonly #perMs: number;
  readonly #silence: number;
  readonly #sampleBytes: number;
  readonly #levelOf: FrameMeter;
  readonly #decode: Decoder;
  readonly #onLost: (bytes: number) => void;
  #bytes: Uint8Array;
  /** By slot: where in the stream it begins, how much it holds, and its level, NaN as long as nobody has asked. */
  #at: Float64Array;
  #size: Uint16Array;
  #level: Float32Array;
  /** 1: it was heard while there were echoes. */
  #echo: Uint8Array;
  #head = 0;
  #count = 0;
  #end = 0;
  #accounted = 0;
  /** What lies before it was read. */
  #cursor = 0;
  #trimAt = 0;
  /** What was found out last, and of what: it is asked for several times in a row. */
  #found: { readonly plan: TrimPlan; readonly end: number; readonly accounted: number } | undefined;

  /** @param onLost this much was neither read nor accounted for, and could not be held */
  constructor(format: AudioFormat, onLost: (bytes: number) => void) {
    this.#perMs = bytesPerMs(format);
    this.#slotBytes = FRAME_MS * this.#perMs;
    this.#most = KEEP_MS / FRAME_MS;
    this.#silence = silenceByte(format);
    this.#sampleBytes = bytesPerSample(format);
    this.#levelOf = createFrameMeter(format);
    this.#decode = createDecoder(format);
    this.#onLost = onLost;
    this.#bytes = new Uint8Array(FIRST_SLOTS * this.#slotBytes);
    this.#at = new Float64Array(FIRST_SLOTS);
    this.#size = new Uint16Array(FIRST_SLOTS);
    this.#level = new Float32Array(FIRST_SLOTS);
    this.#echo = new Uint8Array(FIRST_SLOTS);
  }

  /** Where the stream is now. */
  get end(): number {
    return this.#end;
  }

  /** Bytes that `read` has still to give. */
  get pending(): number {
    return this.#end - this.#cursor;
  }

  /** Copies `bytes` in, behind what is there. Allocates nothing, but for the few times that the ring grows or shrinks. */
  push(bytes: Uint8Array): void {
    let taken = 0;
    while (taken < bytes.length) taken += this.#put(bytes, taken);
    if (!this.trims) this.#limit();
  }

  /** A hole in the stream. */
  pushSilence(count: number): void {
    const stored = Math.min(count, STORED_SILENCE_MS * this.#perMs);
    let left = stored;
    while (left > 0) {
      const slot = this.#openSlot();
      const size = this.#size[slot] ?? 0;
      const part = Math.min(left, this.#slotBytes - size);
      const at = slot * this.#slotBytes + size;
      this.#bytes.fill(this.#silence, at, at + part);
      this.#grewBy(slot, part);
      left -= part;
    }
    this.#end += count - stored;
    if (!this.trims) this.#limit();
  }

  /** What was said before this position is never given by `speech`. It only moves on. */
  accountFor(position: number): void {
    if (!(position > this.#accounted)) return;
    this.#accounted = Math.min(position, this.#end);
    if (!this.trims || this.#size.length <= COMFORTABLE) return;
    this.#dropUseless();
    this.#giveBack();
  }

  /** Gives what comes next in the stream, holes as silence; returns how much there was, at most `into.length`. */
  read(into: Uint8Array): number {
    let filled = 0;
    for (let i = 0; i < this.#count && filled < into.length; i++) {
      const slot = this.#slotAt(i);
      const at = this.#at[slot] ?? 0;
      const end = at + (this.#size[slot] ?? 0);
      if (end <= this.#cursor) continue;
      filled += this.#readHole(into, filled, at);
      if (filled === into.length) break;
      const count = Math.min(end - this.#cursor, into.length - filled);
      const from = slot * this.#slotBytes + this.#cursor - at;
      into.set(this.#bytes.subarray(from, from + count), filled);
      this.#cursor += count;
      filled += count;
    }
    return filled + this.#readHole(into, filled, this.#end);
  }

  /** All that has come so far was given by another way. */
  delivered(): void {
    this.#cursor = this.#end;
  }

  /** All that has come so far counts as read, but for half a sample at its end. */
  skip(): void {
    this.#cursor = this.#end - (this.#end % this.#sampleBytes);
  }

  /** How much of what is not accounted for is speech. */
  unanswered(): Unanswered {
    const { voicedMs: spokenMs, speaking } = this.#look();
    return { spokenMs, speaking };
  }

  /** The speech that is not accounted for. */
  speech(): Speech {
    const { keep, voicedMs, speaking } = this.#look();
    const bytes = this.#copy(keep);
    // Half a sample at the end comes with its other half.
    const whole = bytes.length - (bytes.length % this.#sampleBytes);
    return { bytes: bytes.subarray(0, whole), spokenMs: voicedMs, speaking };
  }

  /** Some of what was heard of the line when nobody spoke, the newest there is; it may be nothing. */
  noise(): Uint8Array {
    const levels = this.#levels();
    const threshold = thresholdOf(levels);
    const keep = new Uint8Array(levels.length);
    for (let i = levels.length - 1, left = NOISE_SLOTS; i >= 0 && left > 0; i--) {
      const level = levels[i] ?? MACHINE_SILENCE_DBM0;
      if (level <= MACHINE_SILENCE_DBM0 || level >= threshold) continue;
      keep[i] = 1;
      left -= 1;
    }
    return this.#copy(keep);
  }

  #copy(keep: Uint8Array): Uint8Array {
    let length = 0;
    for (let i = 0; i < this.#count; i++) if (keep[i] === 1) length += this.#size[this.#slotAt(i)] ?? 0;
    const bytes = new Uint8Array(length);
    let filled = 0;
    for (let i = 0; i < this.#count; i++) {
      if (keep[i] !== 1) continue;
      const slot = this.#slotAt(i);
      const from = slot * this.#slotBytes;
      const size = this.#size[slot] ?? 0;
      bytes.set(this.#bytes.subarray(from, from + size), filled);
      filled += size;
    }
    return bytes;
  }

  #slotAt(index: number): number {
    return (this.#head + index) % this.#size.length;
  }

  #put(bytes: Uint8Array, from: number): number {
    const slot = this.#openSlot();
    const size = this.#size[slot] ?? 0;
    const at = slot * this.#slotBytes + size;
    const part = Math.min(bytes.length - from, this.#slotBytes - size);
    if (part === bytes.length) this.#bytes.set(bytes, at);
    // Byte by byte, because a view would be garbage of every frame that is not cut as the slots are.
    else for (let i = 0; i < part; i++) this.#bytes[at + i] = bytes[from + i] ?? 0;
    this.#grewBy(slot, part);
    return part;
  }

  #grewBy(slot: number, count: number): void {
    this.#size[slot] = (this.#size[slot] ?? 0) + count;
    this.#level[slot] = Number.NaN;
    this.#end += count;
  }

  /** A slot that has room for what comes next in the stream. */
  #openSlot(): number {
    if (this.#count > 0) {
      const slot = this.#slotAt(this.#count - 1);
      const size = this.#size[slot] ?? 0;
      if (size < this.#slotBytes && (this.#at[slot] ?? 0) + size === this.#end) return slot;
    }
    if (this.#count === this.#most) this.#makeRoom();
    else if (this.#count === this.#size.length) this.#makeRoomOrGrow();
    const slot = this.#slotAt(this.#count);
    this.#count += 1;
    this.#at[slot] = this.#end;
    this.#size[slot] = 0;
    this.#echo[slot] = this.echoes ? 1 : 0;
    return slot;
  }

  #readHole(into: Uint8Array, filled: number, to: number): number {
    const count = Math.min(to - this.#cursor, into.length - filled);
    if (count <= 0) return 0;
    into.fill(this.#silence, filled, filled + count);
    this.#cursor += count;
    return count;
  }

  /** Index of the first slot that holds nothing that is accounted for. */
  get #firstToTell(): number {
    let i = 0;
    while (i < this.#count && (this.#at[this.#slotAt(i)] ?? 0) < this.#accounted) i += 1;
    return i;
  }

  #look(): TrimPlan {
    const { end, accounted } = this.#found ?? {};
    if (this.#found && end === this.#end && accounted === this.#accounted) return this.#found.plan;
    const levels = this.#levels();
    const check = new VoiceCheck({ levels, decode: (index, into) => this.#decodeSlot(index, into) });
    const plan = planTrim(levels, this.#firstToTell, this.#most, (...stretch) => check.isVoice(...stretch));
    this.#found = { plan, end: this.#end, accounted: this.#accounted };
    return plan;
  }

  #levels(): Float32Array {
    const levels = new Float32Array(this.#count);
    for (let i = 0; i < levels.length; i++) {
      const slot = this.#slotAt(i);
      const level = this.#levelAt(slot);
      levels[i] = this.#echo[slot] === 1 && level < LOUDEST_ECHO_DBM0 ? Number.NEGATIVE_INFINITY : level;
    }
    return levels;
  }

  #decodeSlot(index: number, into: Int16Array): void {
    const slot = this.#slotAt(index);
    const at = slot * this.#slotBytes;
    this.#decode(this.#bytes, at, at + (this.#size[slot] ?? 0), into);
  }

  #levelAt(slot: number): number {
    const known = this.#level[slot] ?? Number.NaN;
    if (!Number.isNaN(known)) return known;
    const at = slot * this.#slotBytes;
    const level = this.#levelOf(this.#bytes, at, at + (this.#size[slot] ?? 0));
    this.#level[slot] = level;
    return level;
  }

  /** What waits is at most ten seconds of the stream, holes and all. */
  #limit(): void {
    const oldest = this.#end - (this.#end % this.#sampleBytes) - KEEP_MS * this.#perMs;
    if (this.#cursor >= oldest) return;
    this.#onLost(oldest - this.#cursor);
    this.#cursor = oldest;
  }

  #makeRoom(): void {
    // What is accounted for is of no more use than the noise in it.
    const useless = (this.#at[this.#head] ?? 0) < Math.min(this.#accounted, this.#cursor);
    if (this.trims && !useless) this.#dropSilence();
    if (this.#count === this.#most) this.#dropOldest();
    else this.#giveBack();
  }

  /** Whoever is delivered everything at once, and answers, leaves little that somebody else may have to be told. */
  #makeRoomOrGrow(): void {
    const size = this.#size.length;
    // What waits for a provider is dropped only when there is no other way; the newest is dropped in no case.
    const waits = this.pending > UNTOUCHED * this.#slotBytes;
    if (this.trims && !waits && size >= COMFORTABLE) {
      this.#dropUseless();
      if (this.#count === size) this.#dropSilence();
      this.#giveBack();
      if (this.#count < this.#size.length) return;
    }
    this.#resize(Math.min(size < COMFORTABLE ? COMFORTABLE : 2 * size, this.#most));
  }

  /** Drops what was read and is accounted for, but for the newest of it. */
  #dropUseless(): void {
    const useless = Math.min(this.#accounted, this.#cursor);
    let i = USELESS_KEPT;
    while (i < this.#count && (this.#at[this.#slotAt(i)] ?? 0) < useless) i += 1;
    if (i <= USELESS_KEPT) return;
    this.#head = this.#slotAt(i - USELESS_KEPT);
    this.#count -= i - USELESS_KEPT;
  }

  /** The memory that a long wait or a long speech has taken. */
  #giveBack(): void {
    if (this.#size.length <= COMFORTABLE || this.#count > COMFORTABLE - WORTHWHILE) return;
    this.#resize(COMFORTABLE);
  }

  #dropOldest(): void {
    const slot = this.#head;
    const end = (this.#at[slot] ?? 0) + (this.#size[slot] ?? 0);
    this.#head = this.#slotAt(1);
    this.#count -= 1;
    const from = Math.max(this.#cursor, this.#accounted, this.#at[slot] ?? 0);
    this.#cursor = Math.max(this.#cursor, end);
    if (end > from) this.#onLost(end - from);
  }

  /** Drops what nobody will ask for, but for the newest; does nothing where there was little of it a moment ago. */
  #dropSilence(): void {
    if (this.#end < this.#trimAt) return;
    // By level alone: whether it is a voice is asked when somebody wants to know.
    const { keep } = planTrim(this.#levels(), this.#firstToTell, this.#most, () => true);
    keep.fill(1, Math.max(0, this.#count - UNTOUCHED));
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      if (keep[i] !== 1) continue;
      this.#move(this.#slotAt(i), this.#slotAt(kept));
      kept += 1;
    }
    this.#count = kept;
    if (kept > this.#size.length - WORTHWHILE) this.#trimAt = this.#end + TRIM_AGAIN_MS * this.#perMs;
  }

  #move(from: number, to: number): void {
    if (from === to) return;
    const at = from * this.#slotBytes;
    this.#bytes.copyWithin(to * this.#slotBytes, at, at + this.#slotBytes);
    this.#at[to] = this.#at[from] ?? 0;
    this.#size[to] = this.#size[from] ?? 0;
    this.#level[to] = this.#level[from] ?? 0;
    this.#echo[to] = this.#echo[from] ?? 0;
  }

  /** @param slots at least as many as are in use */
  #resize(slots: number): void {
    const bytes = new Uint8Array(slots * this.#slotBytes);
    const at = new Float64Array(slots);
    const size = new Uint16Array(slots);
    const level = new Float32Array(slots);
    const echo = new Uint8Array(slots);
    for (let i = 0; i < this.#count; i++) {
      const slot = this.#slotAt(i);
      const was = slot * this.#slotBytes;
      bytes.set(this.#bytes.subarray(was, was + this.#slotBytes), i * this.#slotBytes);
      at[i] = this.#at[slot] ?? 0;
      size[i] = this.#size[slot] ?? 0;
      level[i] = this.#level[slot] ?? 0;
      echo[i] = this.#echo[slot] ?? 0;
    }
    this.#bytes = bytes;
    this.#at = at;
    this.#size = size;
    this.#level = level;
    this.#echo = echo;
    this.#head = 0;
  }
}
