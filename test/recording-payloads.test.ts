import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AudioRef } from '../src/recording/format.ts';
import {
  looksTaken,
  PAYLOAD_KINDS,
  type PayloadKind,
  putAudio,
  takeAudio,
} from '../src/recording/payloads.ts';
import { SeededRandom } from '../src/recording/seeded-random.ts';

/** Keeps audio as a recording does, and gives it back. */
class Shelf {
  readonly taken: Buffer[] = [];
  #at = 0;

  readonly keep = (bytes: Uint8Array): AudioRef => {
    const ref = { wav: 'caller', at: this.#at, n: bytes.length };
    this.taken.push(Buffer.from(bytes));
    this.#at += bytes.length;
    return ref;
  };

  readonly give = ({ at, n }: AudioRef): Uint8Array => Buffer.concat(this.taken).subarray(at, at + n);
}

const AUDIO = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
const OTHER = Buffer.from('fedcba98').toString('base64');

/** Messages that hold audio, each with so many pieces of it. */
const WITH_AUDIO: readonly (readonly [PayloadKind, string, unknown, number])[] = [
  [
    'twilio',
    'in',
    { event: 'media', media: { track: 'inbound', chunk: '2', payload: AUDIO }, streamSid: 'MZ1' },
    1,
  ],
  ['twilio', 'out', { event: 'media', streamSid: 'MZ1', media: { payload: AUDIO } }, 1],
  ['telnyx', 'in', { event: 'media', sequence_number: '4', media: { payload: AUDIO, timestamp: '5' } }, 1],
  ['telnyx', 'out', { event: 'media', stream_id: 's', media: { payload: AUDIO } }, 1],
  ['plivo', 'in', { sequenceNumber: 3, event: 'media', media: { payload: AUDIO }, extra_headers: '{}' }, 1],
  ['plivo', 'out', { event: 'playAudio', media: { contentType: 'audio/x-mulaw', payload: AUDIO } }, 1],
  ['openai', 'append', { type: 'input_audio_buffer.append', audio: AUDIO }, 1],
  [
    'openai',
    'delta',
    { type: 'response.output_audio.delta', item_id: 'i', delta: AUDIO, content_index: 0 },
    1,
  ],
  ['openai', 'old delta', { type: 'response.audio.delta', delta: AUDIO }, 1],
  [
    'openai',
    'item',
    {
      type: 'conversation.item.create',
      item: {
        type: 'message',
        content: [
          { type: 'input_text', text: AUDIO },
          { type: 'input_audio', audio: AUDIO },
        ],
      },
    },
    1,
  ],
  [
    'openai',
    'done',
    {
      type: 'response.done',
      response: { output: [{ content: [{ audio: AUDIO }, { audio: OTHER }] }, 'x', null] },
    },
    2,
  ],
  ['openai', 'part', { type: 'response.content_part.done', part: { type: 'audio', audio: AUDIO } }, 1],
  ['openai-live', 'append', { type: 'session.input_audio.append', audio: AUDIO }, 1],
  ['openai-live', 'delta', { type: 'session.output_audio.delta', delta: AUDIO, start_ms: 0 }, 1],
  ['gemini', 'in', { realtimeInput: { audio: { mimeType: 'audio/pcm;rate=16000', data: AUDIO } } }, 1],
  [
    'gemini',
    'chunks',
    {
      realtimeInput: {
        mediaChunks: [
          { mimeType: 'audio/pcm;rate=16000', data: AUDIO },
          { mimeType: 'image/png', data: OTHER },
          { mime_type: 'audio/pcm', data: OTHER },
        ],
      },
    },
    2,
  ],
  [
    'gemini',
    'out',
    {
      serverContent: {
        modelTurn: {
          parts: [
            { text: 'hm', thought: true },
            { inlineData: { mimeType: 'audio/pcm;rate=24000', data: AUDIO } },
            { inlineData: { mimeType: 'audio/pcm;rate=24000', data: OTHER } },
          ],
        },
        turnComplete: true,
      },
      usageMetadata: { totalTokenCount: 3 },
    },
    2,
  ],
  ['nova', 'in', { event: { audioInput: { promptName: 'p', contentName: 'c', content: AUDIO } } }, 1],
  ['nova', 'out', { event: { audioOutput: { content: AUDIO, contentId: 'c' } } }, 1],
];

/** What must stay as it is, although it looks like audio. */
const WITHOUT: readonly (readonly [PayloadKind, unknown])[] = [
  ['twilio', { event: 'mark', mark: { name: AUDIO } }],
  ['twilio', { event: 'dtmf', media: AUDIO }],
  ['telnyx', { event: 'start', start: { payload: AUDIO } }],
  ['openai', { type: 'response.output_audio_transcript.delta', delta: AUDIO }],
  ['openai', { type: 'response.function_call_arguments.delta', delta: 'abcd' }],
  ['openai', { type: 'response.output_text.delta', delta: 'word' }],
  ['openai-live', { type: 'session.output_transcript.delta', delta: 'word' }],
  [
    'gemini',
    { serverContent: { modelTurn: { parts: [{ inlineData: { mimeType: 'image/png', data: AUDIO } }] } } },
  ],
  ['nova', { event: { textOutput: { content: 'abcd' } } }],
  ['nova', { event: { toolUse: { content: 'abcd' } } }],
  ['provider', ['a', AUDIO]],
  ['provider', AUDIO],
  ['provider', null],
  ['provider', 17],
];

describe('audio in messages', () => {
  it.each(WITH_AUDIO)(
    'of %s (%s) is taken out and put back byte for byte',
    (kind, _name, message, pieces) => {
      const before = JSON.stringify(message);
      for (const one of kind === 'twilio' || kind === 'telnyx' || kind === 'plivo'
        ? [kind]
        : ([kind, 'provider'] as const)) {
        const shelf = new Shelf();
        const taken = JSON.stringify(takeAudio(one, message, shelf.keep));
        expect(shelf.taken).toHaveLength(pieces);
        expect(taken).toContain('"wav":"caller"');
        expect(JSON.stringify(putAudio(JSON.parse(taken), shelf.give))).toBe(before);
        // Whoever else has the message finds it as it was.
        expect(JSON.stringify(message)).toBe(before);
      }
    },
  );

  it.each(WITHOUT)('is not found in what only looks like it: %s %j', (kind, message) => {
    const shelf = new Shelf();
    expect(takeAudio(kind, message, shelf.keep)).toBe(message);
    expect(shelf.taken).toEqual([]);
  });

  it.each(['', 'abc', 'abcde===', 'ab-_', ' abcd', 'abcd\n', 'ab==cd==', 'QUJD\u0000', 'QQ=='.slice(0, 3)])(
    'stays where it would not come back as it was: %j',
    (payload) => {
      const message = { event: 'media', media: { payload } };
      expect(takeAudio('twilio', message, new Shelf().keep)).toBe(message);
    },
  );

  it('stays where nobody keeps it', () => {
    const message = { event: 'media', media: { payload: AUDIO } };
    expect(takeAudio('plivo', message, () => undefined)).toBe(message);
  });

  it('knows a message that has such a reference of its own', () => {
    expect(looksTaken({ a: [{ b: { wav: 'caller', at: 0, n: 1 } }] })).toBe(true);
    expect(looksTaken({ a: [{ b: { wav: 'caller', at: 0, n: 1, more: 1 } }] })).toBe(false);
    expect(looksTaken({ a: [{ b: { wav: 1, at: 0, n: 1 } }] })).toBe(false);
    expect(looksTaken(null)).toBe(false);
  });

  const rounds = Array.from({ length: 60 }, (_, seed) => seed);
  it.each(PAYLOAD_KINDS)('comes back in any message of %s, whatever else is in it', (kind) => {
    for (const seed of rounds) {
      const maker = new MessageMaker(new SeededRandom(`${kind} ${seed}`));
      const text = JSON.stringify(maker.message(kind));
      const shelf = new Shelf();
      const stored = JSON.stringify(takeAudio(kind, JSON.parse(text), shelf.keep));
      expect(JSON.stringify(putAudio(JSON.parse(stored), shelf.give))).toBe(text);
    }
  });
});

const KEYS = [
  'media',
  'payload',
  'audio',
  'delta',
  'event',
  'type',
  'item',
  'content',
  'part',
  'parts',
  'response',
  'output',
  'serverContent',
  'modelTurn',
  'inlineData',
  'mimeType',
  'data',
  'realtimeInput',
  'mediaChunks',
  'audioInput',
  'audioOutput',
  '__proto__',
  'constructor',
  '0',
  '10',
  'Ω',
  'a b',
  'toJSON',
];
const TYPES = [
  'response.output_audio.delta',
  'input_audio_buffer.append',
  'session.output_audio.delta',
  'response.done',
];

/** Messages that are right in one place and anything in all others. */
class MessageMaker {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  message(kind: PayloadKind): unknown {
    const models = WITH_AUDIO.filter(([one]) => kind === 'provider' || one === kind);
    const [, , message] = this.#one(models);
    return this.#below(0.3) ? this.#value(0) : this.#changed(message, 0);
  }

  /** The same, with more fields at any place, and some values replaced. */
  #changed(value: unknown, depth: number): unknown {
    if (this.#below(0.05)) return this.#value(depth);
    if (Array.isArray(value)) return value.map((one) => this.#changed(one, depth + 1));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(
      ([key, inner]) => [key, this.#changed(inner, depth + 1)] as const,
    );
    if (this.#below(0.4))
      entries.splice(this.#count(entries.length + 1), 0, [this.#one(KEYS), this.#value(depth + 1)]);
    return Object.fromEntries(entries);
  }

  #value(depth: number): unknown {
    switch (this.#count(depth > 4 ? 5 : 8)) {
      case 0:
        return null;
      case 1:
        return this.#count(100) / 8;
      case 2:
        return Buffer.from(this.#random.bytes(this.#count(40))).toString(
          this.#below(0.7) ? 'base64' : 'latin1',
        );
      case 3:
        return this.#one(TYPES);
      case 4:
        return 'audio/pcm;rate=24000';
      case 5:
        return Array.from({ length: this.#count(4) }, () => this.#value(depth + 1));
      default:
        return Object.fromEntries(
          Array.from({ length: this.#count(5) }, () => [this.#one(KEYS), this.#value(depth + 1)]),
        );
    }
  }

  #one<T>(list: readonly T[]): T {
    const found = list[this.#count(list.length)];
    if (found === undefined) throw new Error('the list is empty');
    return found;
  }

  #count(below: number): number {
    return Math.floor(this.#random.fraction() * below);
  }

  #below(share: number): boolean {
    return this.#random.fraction() < share;
  }
}

describe('chance in a recording', () => {
  it('is the same for the same seed, however it is asked for', () => {
    const all = Buffer.from(new SeededRandom('seed').bytes(200));
    const pieces = new SeededRandom('seed');
    const joined = Buffer.concat([1, 31, 32, 33, 3, 100].map((count) => pieces.bytes(count)));
    expect(joined.equals(all)).toBe(true);
    expect(Buffer.from(new SeededRandom('another').bytes(200)).equals(all)).toBe(false);
    // For ever: stored calls hold what was made of it.
    expect(all.subarray(0, 8).toString('hex')).toBe('58f9082db66a15d6');
  });

  it('makes ids in their shape and numbers in their bounds', () => {
    const random = new SeededRandom(randomBytes(8).toString('hex'));
    const ids = new Set(Array.from({ length: 200 }, () => random.uuid()));
    expect(ids.size).toBe(200);
    for (const id of ids)
      expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    const numbers = Array.from({ length: 2000 }, () => random.fraction());
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(numbers.reduce((sum, one) => sum + one, 0) / 2000).toBeCloseTo(0.5, 1);
    expect(random.bytes(0)).toHaveLength(0);
  });
});
