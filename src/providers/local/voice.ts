import { type AudioFormat, formatName, type Rate } from '../../audio/format.ts';
import { createToneGenerator, type TonePart } from '../../audio/tone.ts';
import { createTranscoder } from '../../audio/transcode.ts';
import { type Clock, deadline } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { SpeechEngine } from './engine.ts';

/** Voices of flite at 16 kHz, with the gain that brings each to about -16 dBm0: no louder than people. */
const GAINS_DB = { slt: -7.5, rms: -1.5, awb: -3, kal16: 6 } as const;
export type VoiceName = keyof typeof GAINS_DB;

/** The voice of that name, or `slt` for one that flite does not have, such as another provider's. */
export function voiceFor(name: string | undefined): VoiceName {
  return Object.keys(GAINS_DB).includes(name ?? '') ? (name as VoiceName) : 'slt';
}

const ENGINE_FORMAT: AudioFormat = { encoding: 'pcm16', rate: 16_000 };
/** A sentence takes a fifth of a second; the rest is for those of other calls before it. */
const RENDER_LIMIT_MS = 10_000;
/** The three rising tones that tell a caller of a telephone network that something is out of order (ITU-T E.180). */
const OUT_OF_ORDER_HZ = [950, 1400, 1800] as const;
const OUT_OF_ORDER_MS = 330;
const OUT_OF_ORDER_DBM0 = -20;

function littleEndian(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(2 * samples.length);
  const view = new DataView(bytes.buffer);
  for (const [i, sample] of samples.entries()) view.setInt16(2 * i, sample, true);
  return bytes;
}

/** Converts a whole piece to new bytes of `format`, including what the filter holds back. */
function convert(samples: Int16Array, rate: Rate, format: AudioFormat): Uint8Array {
  const transcoder = createTranscoder({ encoding: 'pcm16', rate }, format);
  const head = transcoder.push(littleEndian(samples)).slice();
  const tail = transcoder.flush();
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head, 0);
  whole.set(tail, head.length);
  return whole;
}

function amplified(samples: Int16Array, db: number): Int16Array {
  const factor = 10 ** (db / 20);
  return samples.map((sample) => Math.max(-32_768, Math.min(32_767, Math.round(sample * factor))));
}

/**
 * Spoken sentences and tones, ready in a call's format. Shared by all calls of a provider: what one call has had said
 * costs the next one nothing.
 */
export class Voice {
  readonly #engine: SpeechEngine;
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #ready = new Map<string, Uint8Array>();
  readonly #underWay = new Map<string, Promise<Uint8Array>>();
  #bytes = 0;

  /** @param maxBytes how much audio is kept for reuse */
  constructor(engine: SpeechEngine, maxBytes: number) {
    this.#engine = engine;
    this.#maxBytes = maxBytes;
  }

  /** Bytes kept for reuse. */
  get keptBytes(): number {
    return this.#bytes;
  }

  /** One sentence, at about -16 dBm0; the bytes are shared and must not be changed. Rejects with a BridgeError. */
  speech(sentence: string, voice: VoiceName, format: AudioFormat, clock: Clock): Promise<Uint8Array> {
    const key = `${formatName(format)} ${voice} ${sentence}`;
    const ready = this.#find(key);
    if (ready !== undefined) return Promise.resolve(ready);
    let work = this.#underWay.get(key);
    if (work === undefined) {
      work = this.#render(key, sentence, voice, format, clock).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, work);
    }
    return work;
  }

  /** `ms` of a tone; shared like a sentence. */
  tone(parts: readonly TonePart[], ms: number, format: AudioFormat): Uint8Array {
    const name = parts.map(({ hz, dbm0 }) => `${hz}@${dbm0}`).join('+');
    const key = `${formatName(format)} ${name} ${ms}`;
    return (
      this.#find(key) ?? this.#keep(key, convert(this.#samples(parts, ms, format.rate), format.rate, format))
    );
  }

  /** What is heard instead of a sentence that cannot be spoken. */
  outOfOrder(format: AudioFormat): Uint8Array {
    const tones = OUT_OF_ORDER_HZ.map((hz) =>
      this.tone([{ hz, dbm0: OUT_OF_ORDER_DBM0 }], OUT_OF_ORDER_MS, format),
    );
    const whole = new Uint8Array(tones.reduce((sum, tone) => sum + tone.length, 0));
    let at = 0;
    for (const tone of tones) {
      whole.set(tone, at);
      at += tone.length;
    }
    return whole;
  }

  #samples(parts: readonly TonePart[], ms: number, rate: Rate): Int16Array {
    const samples = new Int16Array((rate * ms) / 1000);
    createToneGenerator(rate, parts).fill(samples, samples.length);
    return samples;
  }

  async #render(
    key: string,
    sentence: string,
    voice: VoiceName,
    format: AudioFormat,
    clock: Clock,
  ): Promise<Uint8Array> {
    const samples = await this.#renderWithin(sentence, voice, clock);
    return this.#keep(key, convert(amplified(samples, GAINS_DB[voice]), ENGINE_FORMAT.rate, format));
  }

  async #renderWithin(sentence: string, voice: VoiceName, clock: Clock): Promise<Int16Array> {
    using limit = deadline(clock, RENDER_LIMIT_MS, 'speaking a sentence');
    const answered = this.#engine.answered;
    const tooLate = new Promise<never>((_resolve, reject) => {
      limit.signal.addEventListener('abort', () => {
        // Many sentences may just be waiting; only a thread that answers nothing at all is stuck.
        if (this.#engine.answered === answered) this.#engine.restart('a sentence does not come to an end');
        reject(BridgeError.from(limit.signal.reason, 'TIMEOUT'));
      });
    });
    return await Promise.race([this.#engine.render(sentence, voice), tooLate]);
  }

  #find(key: string): Uint8Array | undefined {
    const bytes = this.#ready.get(key);
    if (bytes === undefined) return undefined;
    this.#ready.delete(key);
    this.#ready.set(key, bytes);
    return bytes;
  }

  #keep(key: string, bytes: Uint8Array): Uint8Array {
    this.#ready.set(key, bytes);
    this.#bytes += bytes.length;
    for (const [oldKey, old] of this.#ready) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#ready.delete(oldKey);
      this.#bytes -= old.length;
    }
    return bytes;
  }
}
