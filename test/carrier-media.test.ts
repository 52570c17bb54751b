import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { AudioFormat } from '../src/audio/format.ts';
import { CARRIERS, type Carrier, type CarrierName } from '../src/carrier.ts';
import type { LegContext } from '../src/leg.ts';
import { carrier as plivo } from './support/plivo.ts';
import { telnyx } from './support/telnyx-carrier.ts';
import { type Dice, dice, outcome, scramble, swapOne, carrier as twilio } from './support/twilio.ts';

/**
 * What a carrier may do beside `decode` and `encode`, to be fast: the same sentences for every carrier. `decode` and
 * `encode` are what is right.
 */

type Json = Readonly<Record<string, unknown>>;

interface Subject {
  readonly make: () => Carrier;
  /** Media messages as the carrier writes them, in every order of members that is known or likely. */
  readonly usual: readonly Json[];
  /** All that the messages of one stream depend on. */
  readonly legs: readonly (readonly [Carrier, LegContext])[];
}

const UUID = '20170ada-f610-433b-8758-c02a2aab3662';
const MZ = 'MZ351c981a36cd9426fc1b17974b5d0326';
const payload = Buffer.from(Array.from({ length: 160 }, (_, i) => (i * 37 + 11) & 255)).toString('base64');
const MEDIA = { track: 'inbound', chunk: '2', timestamp: '25', payload };
const SORTED = { chunk: '2', payload, timestamp: '25', track: 'inbound' };
const PLIVO_MEDIA = { track: 'inbound', timestamp: '1705312200000', chunk: 41, payload };

const MULAW: AudioFormat = { encoding: 'mulaw', rate: 8000 };
const L16: AudioFormat = { encoding: 'pcm16', rate: 16_000 };
const IDS = [MZ, UUID, '', 'a "quoted" \\ one', 'ünïcödé \u2028'];
const inFormat = (make: () => Carrier, output: AudioFormat): (readonly [Carrier, LegContext])[] =>
  IDS.map((streamId) => [make(), { streamId, output }]);

const SUBJECTS: Readonly<Record<CarrierName, Subject>> = {
  twilio: {
    make: twilio,
    usual: [
      // As it comes, as the manual has it, and without what can be done without.
      { event: 'media', sequenceNumber: '3', media: MEDIA, streamSid: MZ },
      { event: 'media', sequenceNumber: '3', streamSid: MZ, media: MEDIA },
      { event: 'media', streamSid: MZ, media: { payload } },
      { event: 'media', sequenceNumber: 3, media: { ...MEDIA, chunk: 2, timestamp: 25 }, streamSid: MZ },
    ],
    legs: inFormat(twilio, MULAW),
  },
  telnyx: {
    make: telnyx,
    usual: [
      { event: 'media', sequence_number: '4', stream_id: UUID, media: MEDIA },
      { event: 'media', sequence_number: '4', media: MEDIA, stream_id: UUID },
      { event: 'media', media: SORTED, sequence_number: '4', stream_id: UUID },
      { stream_id: UUID, sequence_number: 4, media: { ...SORTED, chunk: 2, timestamp: 25 }, event: 'media' },
    ],
    legs: [
      ...inFormat(telnyx, MULAW),
      ...inFormat(() => telnyx({ codec: 'PCMA' }), { encoding: 'alaw', rate: 8000 }),
      ...inFormat(() => telnyx({ codec: 'L16/16000', l16ByteOrder: 'big' }), L16),
      ...inFormat(() => telnyx({ codec: 'L16/16000', l16ByteOrder: 'detect' }), L16),
      // TeXML takes no L16, whatever is set.
      ...inFormat(() => telnyx({ codec: 'L16/16000', l16ByteOrder: 'big' }), MULAW),
    ],
  },
  plivo: {
    make: plivo,
    usual: [
      { event: 'media', sequenceNumber: 42, streamId: UUID, media: PLIVO_MEDIA, extra_headers: 'a=b;c=d' },
      { event: 'media', sequenceNumber: 42, streamId: UUID, media: PLIVO_MEDIA },
      { sequenceNumber: 42, streamId: UUID, event: 'media', media: PLIVO_MEDIA },
      { event: 'media', sequenceNumber: '42', streamId: UUID, media: { ...PLIVO_MEDIA, timestamp: 1 } },
    ],
    legs: [...inFormat(plivo, MULAW), ...inFormat(() => plivo({ audio: 'l16-16000' }), L16)],
  },
};

/** They go the long way only. */
const SLOW: Readonly<Record<CarrierName, Carrier>> = { twilio: twilio(), telnyx: telnyx(), plivo: plivo() };

/** The next message of a stream: other numbers, another payload. */
function next(message: Json, one: Dice): Json {
  const count = (value: unknown): unknown =>
    typeof value === 'number' ? one.below(100_000) : String(one.below(10_000_000));
  const { media, ...outer } = message as { media: Json };
  const moved = { ...media, payload: bytesOf(one, one.below(90) + 1).toString('base64') };
  for (const name of ['chunk', 'timestamp'] as const) {
    if (name in moved) Object.assign(moved, { [name]: count((moved as Json)[name]) });
  }
  const entries = Object.keys(message).map((name) => {
    if (name === 'media') return [name, moved] as const;
    return [name, name.startsWith('seq') ? count(outer[name as never]) : outer[name as never]] as const;
  });
  return Object.fromEntries(entries);
}

function bytesOf(one: Dice, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => one.below(256)));
}

/** What is not quite what it was: pieces that a reader of JSON takes for something else than they look like. */
const PIECES = [
  ...['"', '\\', '\\"', '\\\\', '\\/', '\\u0041', '\\u002b', '\\n', '\\x', '\0', '\t', '\n', ' ', '\u007f'],
  ...[',', ':', '{', '}', '[', ']', '{}', '=', '==', '===', '+', '/', '-', '_', 'é', 'Ł', '\u2028', '\ud800'],
  ...[
    '0',
    '-1',
    '1e3',
    '.5',
    '007',
    'null',
    'true',
    '""',
    '"x"',
    '9007199254740993',
    '1234567890123456',
    '9'.repeat(400),
  ],
  ...[',"event":"media"', ',"event":"mark"', ',"payload":"AAAA"', ',"payload":""', ',"media":{}'],
  ...[',"track":"outbound"', ',"track":"inbound"', ',"timestamp":"9"', ',"timestamp":9', ',"chunk":"9"'],
  ...[',"media":{"payload":"AAAA"}', ',"__proto__":"x"', ',"__proto__":{}', ',"\\u0065vent":"stop"'],
  ...[
    ',"media":{"track":"inbound","timestamp":"5"}',
    ',"pay\\u006coad":"AAAA"',
    '"payload":"AAAA",',
    ',"1":"2"',
  ],
] as const;

/** Between two tokens, inside one, or in the place of one. */
function splice(text: string, one: Dice): string {
  const seams = [...text.matchAll(/[{}":,]/g)].map(({ index }) => index + one.below(2));
  const at = one.below(3) === 0 ? one.below(text.length + 1) : one.pick(seams);
  const cut = one.pick([0, 0, 1, 2, 9]);
  return text.slice(0, at) + one.pick(PIECES) + text.slice(at + cut);
}

/** One character written in another way. */
function escaped(text: string, one: Dice): string {
  const at = one.below(text.length);
  const code = text.charCodeAt(at).toString(16).padStart(4, '0');
  return `${text.slice(0, at)}\\u${code}${text.slice(at + 1)}`;
}

function shuffle(message: Json, one: Dice): Json {
  const names = Object.keys(message);
  const order = names.map((name) => [one.below(1000), name] as const).sort(([a], [b]) => a - b);
  return Object.fromEntries(
    order.map(([, name]) => {
      const value = message[name];
      return [name, typeof value === 'object' && value !== null ? shuffle(value as Json, one) : value];
    }),
  );
}

function damaged(message: Json, one: Dice): string {
  const text = JSON.stringify(message);
  return one.pick([
    () => text,
    () => JSON.stringify(shuffle(message, one)),
    () => JSON.stringify(swapOne(message, one)) ?? 'null',
    () => JSON.stringify(message, null, one.below(3)),
    () => scramble(text, one),
    () => escaped(text, one),
    () => splice(text, one),
    () => splice(splice(text, one), one),
    () => splice(JSON.stringify(shuffle(message, one)), one),
  ])();
}

/**
 * Throws when the short way gives something else than the long one of another carrier, which teaches this one nothing;
 * undefined when it gives nothing.
 */
function shortWay(carrier: Carrier, text: string): unknown {
  const audio = carrier.decodeAudio?.(text);
  if (audio === undefined) return undefined;
  const found = outcome(() => SLOW[carrier.name].decode(text));
  if (!isDeepStrictEqual(found, [audio]))
    throw new Error(`decodeAudio is wrong about ${JSON.stringify(text)}`);
  return audio;
}

/** How often a message went the short way: before the carrier could learn from it, and after that. */
function tryBoth(carrier: Carrier, text: string): number {
  const before = shortWay(carrier, text) === undefined ? 0 : 1;
  outcome(() => carrier.decode(text));
  return before + (shortWay(carrier, text) === undefined ? 0 : 1);
}

/** The media messages that carriers send in the recorded calls, as they came. */
function recorded(carrier: CarrierName): readonly (readonly string[])[] {
  const root = new URL('../fixtures/', import.meta.url);
  const calls = readdirSync(root).filter((name) => name.startsWith(`${carrier}-`));
  return calls.map((name) =>
    readFileSync(new URL(`${name}/events.jsonl`, root), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"on":"carrier","dir":"in"') && line.includes('"event":"media"'))
      .map((line) => {
        const { msg } = JSON.parse(line) as { msg: Json };
        const media = { ...(msg['media'] as Json) };
        // A recording keeps the sound in a file.
        if (typeof media['payload'] === 'object') media['payload'] = payload;
        return JSON.stringify({ ...msg, media });
      }),
  );
}

describe.each(CARRIERS)('what %s may do to be fast', (name) => {
  const { make, usual, legs } = SUBJECTS[name];

  it.each(usual.map((message) => [JSON.stringify(message).replace(payload, '…'), message] as const))(
    'takes every message but the first the short way: %s',
    (_text, message) => {
      const carrier = make();
      const one = dice(3);
      expect(carrier.decodeAudio?.(JSON.stringify(message))).toBeUndefined();
      expect(carrier.decode(JSON.stringify(message))).toMatchObject([{ type: 'audio' }]);
      for (let round = 0; round < 500; round++) {
        const text = JSON.stringify(next(message, one));
        if (shortWay(carrier, text) === undefined) throw new Error(`not the short way: ${text}`);
      }
    },
  );

  it('takes the messages of a recorded call the short way, but the first of its kind', () => {
    const calls = recorded(name).filter((texts) => texts.length > 0);
    expect(calls.length).toBeGreaterThan(15);
    const carrier = make();
    let long = 0;
    for (const text of calls.flat()) {
      if (shortWay(carrier, text) !== undefined) continue;
      const [event] = carrier.decode(text);
      if (event?.type === 'audio') long += 1;
    }
    expect(long).toBeLessThanOrEqual(3);
    expect(long).toBeGreaterThan(0);
  });

  it('knows all its kinds of messages at a time', () => {
    const carrier = make();
    for (const message of usual) carrier.decode(JSON.stringify(message));
    const found = usual.map((message) => shortWay(carrier, JSON.stringify(message)));
    expect(found).not.toContain(undefined);
  });

  it('is never anything else than what it may be slow at', () => {
    const one = dice(8);
    let short = 0;
    for (let round = 0; round < 400; round++) {
      // What it has learnt is often wrong, too: from the second round on it has seen nothing that was not damaged.
      const carrier = make();
      if (round % 2 === 0) for (const message of usual) carrier.decode(JSON.stringify(message));
      for (let i = 0; i < 60; i++) short += tryBoth(carrier, damaged(next(one.pick(usual), one), one));
    }
    // Of 48 000: neither way goes untried.
    expect(short).toBeGreaterThan(8000);
    expect(short).toBeLessThan(40_000);
  });

  it('is not confused by what the same text says at another place', () => {
    const carrier = make();
    for (const message of usual) carrier.decode(JSON.stringify(message));
    const one = dice(4);
    for (const message of usual) {
      const text = JSON.stringify(message);
      for (const piece of PIECES) {
        for (let at = 0; at <= text.length; at++)
          shortWay(carrier, text.slice(0, at) + piece + text.slice(at));
        for (let at = 0; at <= text.length; at++) {
          const cut = one.below(12);
          shortWay(carrier, text.slice(0, at) + piece + text.slice(at + cut));
        }
      }
    }
  });

  it('says nothing of events that are no audio, and of what is no message at all', () => {
    const carrier = make();
    for (const message of usual) carrier.decode(JSON.stringify(message));
    const others = ['', '{', '{}', 'null', '[]', '"media"', '\0', '{"event":"media"}', '{"event":"stop"}'];
    for (const text of others) expect(carrier.decodeAudio?.(text)).toBeUndefined();
    for (const message of usual) {
      const { media, ...rest } = message as { media: Json };
      const deaf = [
        { ...message, event: 'mark' },
        { ...rest, media: { ...media, track: 'outbound' } },
        { ...rest, media: { ...media, payload: '' } },
        { ...rest, media: { ...media, payload: 'A' } },
        { ...rest, media: { ...media, payload: `${payload}!` } },
        { ...rest, media: [media] },
      ];
      for (const one of deaf) expect(carrier.decodeAudio?.(JSON.stringify(one))).toBeUndefined();
    }
  });

  it('does not learn for ever what somebody makes up', () => {
    const carrier = make();
    const [first] = usual;
    for (let i = 0; i < 20; i++) carrier.decode(JSON.stringify({ ...first, [`made_up_${i}`]: 'x' }));
    const known = Array.from({ length: 20 }, (_, i) =>
      carrier.decodeAudio?.(JSON.stringify({ ...first, [`made_up_${i}`]: 'x' })),
    ).filter((audio) => audio !== undefined);
    expect(known).toHaveLength(8);
  });

  it('does not look for ever for something to learn', () => {
    const [first] = usual;
    const learns = (odd: number): boolean => {
      const carrier = make();
      for (let i = 0; i < odd; i++) carrier.decode(JSON.stringify({ ...first, odd: null }));
      carrier.decode(JSON.stringify(first));
      return carrier.decodeAudio?.(JSON.stringify(first)) !== undefined;
    };
    expect(learns(99)).toBe(true);
    expect(learns(100)).toBe(false);
  });

  it('reads a message that is as long as it may be, also one that never ends', () => {
    const carrier = make();
    for (const message of usual) carrier.decode(JSON.stringify(message));
    const long = bytesOf(dice(1), 48_000).toString('base64');
    for (const message of usual) {
      const text = JSON.stringify(message).replace(payload, long);
      expect(shortWay(carrier, text)).toBeDefined();
      for (const cut of [1, 2, 3, 60, 1000]) {
        expect(carrier.decodeAudio?.(text.slice(0, -cut))).toBeUndefined();
      }
      const id = JSON.stringify(message).replace(MZ, long).replace(UUID, long);
      expect(shortWay(carrier, id)).toBeDefined();
      expect(carrier.decodeAudio?.(`${id.slice(0, -1)},`)).toBeUndefined();
    }
  });

  it('gives bytes that whoever asked may keep', () => {
    const carrier = make();
    const [first = {}] = usual;
    carrier.decode(JSON.stringify(first));
    const one = dice(2);
    const kept = Array.from({ length: 50 }, () => {
      const message = next(first, one);
      const text = (message['media'] as Json)['payload'];
      return { text, bytes: carrier.decodeAudio?.(JSON.stringify(message))?.bytes ?? new Uint8Array(0) };
    });
    for (const { text, bytes } of kept) expect(Buffer.from(bytes).toString('base64')).toBe(text);
  });

  it('writes audio as encode does, in every format and for every stream', () => {
    const one = dice(6);
    expect(legs.length).toBeGreaterThanOrEqual(IDS.length);
    for (const [carrier, leg] of legs) {
      const write = carrier.mediaEncoder?.(leg);
      expect(write).toBeDefined();
      const frame = new Uint8Array(320);
      for (let round = 0; round < 20; round++) {
        // One buffer that comes again and again, pieces of it, and others between them.
        frame.set(bytesOf(one, frame.length));
        const end = 2 * one.below(frame.length / 2);
        const odd = Buffer.concat([Buffer.from([7]), bytesOf(one, 40)]).subarray(1);
        for (const bytes of [frame, frame, frame.subarray(0, end), odd, new Uint8Array(0), frame]) {
          expect(write?.(bytes)).toBe(carrier.encode({ type: 'audio', bytes }, leg));
        }
      }
    }
  });

  it('writes for two streams at a time', () => {
    const carrier = make();
    const [one, other] = ['one', 'other'].map((streamId) => {
      const leg = { streamId, output: MULAW };
      return { leg, write: carrier.mediaEncoder?.(leg) };
    });
    const bytes = Uint8Array.from([1, 2, 3]);
    for (const { leg, write } of [one, other, one].filter((each) => each !== undefined)) {
      expect(write?.(bytes)).toBe(carrier.encode({ type: 'audio', bytes }, leg));
    }
  });
});
