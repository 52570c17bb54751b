import { describe, expect, it } from 'vitest';
import { SpeechDecoder } from '../src/providers/common/speech-decoder.ts';
import { MessageReader } from '../src/providers/gemini/wire.ts';
import { ServerEventReader as NovaReader } from '../src/providers/nova/wire.ts';
import { ServerEventReader as OpenAiReader } from '../src/providers/openai/reader.ts';
import { ServerEventReader as LiveReader } from '../src/providers/openai-live/wire.ts';
import { SeededRandom } from '../src/recording/seeded-random.ts';

/** Messages that bring speech are known by their form: whatever else comes must be what JSON makes of it. */

/** Counts what was known by its form. */
class Counter extends SpeechDecoder {
  known = 0;

  override decode(pieces: readonly string[]): readonly Uint8Array[] | undefined {
    const speech = super.decode(pieces);
    if (speech !== undefined) this.known += 1;
    return speech;
  }
}

type Read = (text: string) => unknown;

interface Service {
  readonly name: string;
  reader(decoder: SpeechDecoder | undefined): Read;
  /** Bring speech, in forms that servers use or might use; a string is a text of which nothing is left to choose. */
  readonly speech: readonly ((random: SeededRandom, at: number) => unknown)[];
  readonly others: readonly unknown[];
}

const upTo = (random: SeededRandom, most: number): number => Math.floor(random.fraction() * most);

function base64(random: SeededRandom): string {
  const bytes = random.bytes(1 + upTo(random, 90));
  return Buffer.from(random.fraction() < 0.2 ? bytes.fill(0xff) : bytes).toString('base64');
}

const OF_ITEM = { response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0 };

const SERVICES: readonly Service[] = [
  {
    name: 'openai',
    reader: (decoder) => {
      const reader = new OpenAiReader(decoder);
      return (text) => reader.read(text);
    },
    speech: [
      (random, at) => ({
        type: 'response.output_audio.delta',
        event_id: `event_${at}`,
        ...OF_ITEM,
        delta: base64(random),
      }),
      (random, at) => ({
        event_id: `event_${at}`,
        type: 'response.audio.delta',
        ...OF_ITEM,
        delta: base64(random),
      }),
      (random) => ({ type: 'response.audio.delta', ...OF_ITEM, delta: base64(random) }),
      (random, at) => ({
        type: 'response.audio.delta',
        delta: base64(random),
        ...OF_ITEM,
        sent_at: at / 8,
        sample: at * 160,
        event_id: at,
      }),
      (random, at) => ({
        delta: base64(random),
        ...OF_ITEM,
        type: 'response.audio.delta',
        event_id: `${at}`,
      }),
      // What is no speech looks like the speech beside it.
      (random, at) => ({
        more: { x: at % 2 === 0 ? 'AAAA' : base64(random) },
        type: 'response.audio.delta',
        ...OF_ITEM,
        delta: 'AAAA',
      }),
      (random, at) => {
        const x = at % 2 === 0 ? 'AAAA' : base64(random);
        const rest = JSON.stringify({ type: 'response.audio.delta', ...OF_ITEM, more: { x } });
        return `${rest.slice(0, -1)},"delta":"\\u0041AAA"}`;
      },
    ],
    others: [
      { type: 'response.output_audio.done', event_id: 'event_x', ...OF_ITEM },
      { type: 'response.output_audio_transcript.delta', event_id: 'event_y', ...OF_ITEM, delta: 'AAAA' },
      {
        type: 'response.output_audio.delta',
        event_id: 'event_z',
        ...OF_ITEM,
        item_id: 'item_2',
        delta: 'AAAA',
      },
    ],
  },
  {
    name: 'openai-live',
    reader: (decoder) => {
      const reader = new LiveReader(decoder);
      return (text) => reader.read(text);
    },
    speech: [
      (random) => ({ type: 'session.output_audio.delta', delta: base64(random) }),
      (random, at) => ({
        type: 'session.output_audio.delta',
        delta: base64(random),
        start_ms: at * 20,
        end_ms: at * 20 + 20,
      }),
      (random, at) => ({ type: 'session.output_audio.delta', event_id: `${at}`, delta: base64(random) }),
    ],
    others: [{ type: 'session.output_transcript.delta', delta: 'words', start_ms: 0, end_ms: 20 }],
  },
  {
    name: 'gemini',
    reader: (decoder) => {
      const reader = new MessageReader(decoder);
      return (text) => reader.read(text);
    },
    speech: [
      (random) => ({
        serverContent: {
          modelTurn: { parts: [{ inlineData: { mimeType: 'audio/pcm;rate=24000', data: base64(random) } }] },
        },
      }),
      (random) => ({
        serverContent: {
          modelTurn: {
            role: 'model',
            parts: [
              { inlineData: { data: base64(random), mimeType: 'audio/pcm;rate=24000' } },
              { inlineData: { data: base64(random), mimeType: 'audio/pcm' } },
            ],
          },
        },
      }),
      (random) => ({
        serverContent: {
          modelTurn: { parts: [{ inlineData: { mimeType: 'audio/pcm', data: base64(random) } }] },
          outputTranscription: { text: 'and words' },
        },
      }),
    ],
    others: [
      { serverContent: { turnComplete: true } },
      { serverContent: { modelTurn: { parts: [{ thought: true, inlineData: { data: 'AAAA' } }] } } },
    ],
  },
  {
    name: 'nova',
    reader: (decoder) => {
      const reader = new NovaReader(decoder);
      return (text) => reader.read(Buffer.from(text));
    },
    speech: [
      (random, at) => ({
        event: { audioOutput: { sessionId: 's', contentId: `c${at >> 5}`, content: base64(random) } },
      }),
      (random) => ({
        event: { audioOutput: { contentId: 'd', content: base64(random), role: 'ÄSSISTANT' } },
      }),
      (random, at) => ({
        event: { audioOutput: { content: base64(random), contentId: `e${at >> 6}`, role: 'ASSISTANT' } },
      }),
    ],
    others: [
      { event: { contentStart: { contentId: 'c1', type: 'AUDIO' } } },
      { event: { contentEnd: { contentId: 'c7', type: 'AUDIO', stopReason: 'END_TURN' } } },
    ],
  },
];

const STYLES: readonly ((message: unknown) => string)[] = [
  (message) => JSON.stringify(message),
  (message) => `${JSON.stringify(message, null, 2)}\n`,
  // As other languages write it.
  (message) => JSON.stringify(message, null, 1).replace(/\n\s*/g, ' '),
];

/** What is likely to break a reader that takes short cuts. */
const SPLINTERS = [
  '"',
  '\\',
  '\\"',
  '\\u0041',
  '\\n',
  '\n',
  '\t',
  '\u0000',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '=',
  '-',
  '0',
  '00',
  '.',
  'e5',
  'A',
  'Ł',
  '\u2028',
  '\ud800',
  ' ',
  'null',
  'true',
  '"delta":"AAAA",',
  '"event_id":"e",',
  '"data":"////",',
  '"content":"AA==",',
  '"start_ms":7,',
  ',"delta":1',
  '"}{"',
  '//',
];

function mutated(text: string, random: SeededRandom): string {
  const at = upTo(random, text.length + 1);
  const to = Math.min(text.length, at + 1 + upTo(random, 4));
  const splinter = SPLINTERS[upTo(random, SPLINTERS.length)] ?? '';
  switch (upTo(random, 6)) {
    case 0:
      return text.slice(0, at) + splinter + text.slice(at);
    case 1:
      return text.slice(0, at) + splinter + text.slice(to);
    case 2:
      return text.slice(0, at) + text.slice(to);
    case 3:
      return text.slice(0, at);
    case 4:
      return text.slice(0, to) + text.slice(at);
    default:
      return splinter + text;
  }
}

/** With bytes as text, since they are only lent. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

function outcome(read: Read, text: string): string {
  try {
    return JSON.stringify(plain(read(text))) ?? 'nothing';
  } catch (thrown) {
    return String(thrown);
  }
}

function textsOf(
  speech: Service['speech'],
  others: Service['others'],
  random: SeededRandom,
): readonly string[] {
  const texts: string[] = [];
  let last = '';
  for (let at = 0; at < 10_000; at++) {
    // A form stays for a while, as in life.
    const kind = speech[Math.floor(at / 40) % speech.length];
    const style = STYLES[Math.floor(at / 160) % STYLES.length] ?? JSON.stringify;
    const made = kind?.(random, at);
    const message = typeof made === 'string' ? made : style(made);
    const dice = random.fraction();
    if (dice < 0.45) texts.push(message);
    else if (dice < 0.9) texts.push(mutated(message, random));
    else texts.push(dice < 0.95 ? last : style(others[at % others.length]));
    last = message;
  }
  return texts;
}

describe.each(SERVICES)('$name: messages that bring speech', ({ name, reader, speech, others }) => {
  it('are read as JSON has them, whatever is done to them', () => {
    const random = new SeededRandom(`known forms of ${name}`);
    const counter = new Counter();
    let quick = reader(counter);
    let slow = reader(undefined);
    for (const [at, text] of textsOf(speech, others, random).entries()) {
      // A session in which nothing is known by its form gives it up.
      if (at % 100 === 0) {
        quick = reader(counter);
        slow = reader(undefined);
      }
      const found = outcome(quick, text);
      const wanted = outcome(slow, text);
      if (found !== wanted) expect({ text, found }).toEqual({ text, found: wanted });
    }
    expect(counter.known).toBeGreaterThan(2_000);
  });

  it('are known by their form from the second one on', () => {
    const random = new SeededRandom(`forms of ${name}`);
    const counter = new Counter();
    const read = reader(counter);
    const [kind] = speech;
    for (let at = 0; at < 100; at++) read(JSON.stringify(kind?.(random, at % 4)));
    expect(counter.known).toBe(99);
  });
});
