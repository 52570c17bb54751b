import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { createPlivo } from '../carriers/plivo.ts';
import { createTelnyx } from '../carriers/telnyx.ts';
import { createTwilio } from '../carriers/twilio.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import type { Carrier } from '../src/carrier.ts';
import { type Cost, frames, measure, median, QUICK, spread, WHOLE } from './codec/measure.ts';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';

/**
 * What one media message of a carrier costs, read and written: `npm run bench -- media`. Beside the short way, in the
 * same rounds, the long one, which is a JSON parser and `encode`. What makes a text of the bytes of a socket, and bytes
 * of the text, is the socket's and not counted.
 */

const FRAME_BYTES = 160;
const STREAMS = 200;
/** Of a stream. Each message is another text, so that nothing is known of one by heart. */
const MESSAGES = 32;

/** A short way that is not shorter than this is not worth its lines. */
const LIMIT = 0.95;

interface Dialect {
  readonly make: () => Carrier;
  readonly streamId: string;
  /** As the carrier writes it. */
  readonly media: (at: number, payload: string) => object;
}

const SID = 'MZ351c981a36cd9426fc1b17974b5d0326';
const UUID = '20170ada-f610-433b-8758-c02a2aab3662';
const account = { publicUrl: () => 'https://voice.example.com', insecure: true, epochMs: () => 0 };

const DIALECTS: readonly Dialect[] = [
  {
    make: () => createTwilio({ ...account, accountSid: undefined, authToken: undefined }),
    streamId: SID,
    media: (at, payload) => ({
      event: 'media',
      sequenceNumber: String(at + 1),
      media: { track: 'inbound', chunk: String(at), timestamp: String(at * 20), payload },
      streamSid: SID,
    }),
  },
  {
    make: () =>
      createTelnyx({ ...account, apiKey: undefined, publicKey: undefined, connectionId: undefined }),
    streamId: UUID,
    media: (at, payload) => ({
      event: 'media',
      sequence_number: String(at + 1),
      stream_id: UUID,
      media: { track: 'inbound', chunk: String(at), timestamp: String(at * 20), payload },
    }),
  },
  {
    make: () => createPlivo({ ...account, authId: undefined, authToken: undefined }),
    streamId: UUID,
    media: (at, payload) => ({
      event: 'media',
      sequenceNumber: at + 1,
      streamId: UUID,
      media: { track: 'inbound', timestamp: String(1_705_312_200_000 + at * 20), chunk: at, payload },
      extra_headers: 'agent=voice-agent;call=c42',
    }),
  },
];

/** What keeps the work from being left out. */
interface Kept {
  count: number;
}

/** Figures of both directions for every carrier. @param quick shorter and less exact */
export function benchMedia(quick = false): Promise<Result[]> {
  const plan = quick ? QUICK : WHOLE;
  const kept: Kept = { count: 0 };
  const results = DIALECTS.flatMap((dialect) => {
    const { name } = dialect.make();
    const [text, short, long] = measure(readWays(dialect, kept), messages(dialect), plan);
    const [sent, made, encoded] = measure(writeWays(dialect, kept), frames(FRAME_BYTES), plan);
    return [
      ...figuresOf(`${name}, read`, text, short, long),
      ...figuresOf(`${name}, write`, sent, made, encoded),
    ];
  });
  // Nothing was measured if nothing was heard of it.
  return kept.count > 0 ? Promise.resolve(results) : Promise.reject(new Error('the media bench did no work'));
}

function messages({ media }: Dialect): readonly Buffer[] {
  return frames(FRAME_BYTES).flatMap((frame, i) =>
    Array.from({ length: MESSAGES }, (_, j) => {
      const payload = Buffer.from(frame).toString('base64');
      return Buffer.from(JSON.stringify(media(10_000 + i * MESSAGES + j, payload)));
    }),
  );
}

type Way = Parameters<typeof measure>[0][number];

/** Only the text; the short way; the long one. */
function readWays(dialect: Dialect, kept: Kept): readonly Way[] {
  const carrier = dialect.make();
  const slow = dialect.make();
  const way = (read: (text: string) => number): Way => [
    {
      delayMs: 0,
      convert: (bytes) => {
        kept.count += read((bytes as Buffer).toString());
        return bytes;
      },
    },
  ];
  return [
    way((text) => text.length),
    way((text) => {
      const audio = carrier.decodeAudio?.(text);
      if (audio !== undefined) return audio.bytes.length;
      // As a stream does: the first message teaches the carrier what they look like.
      return carrier.decode(text).length;
    }),
    way((text) => {
      for (const event of slow.decode(text)) if (event.type === 'audio') return event.bytes.length;
      throw new Error('the media bench was not understood');
    }),
  ];
}

/** Only what a socket does with a text; the short way; the long one. Every stream has a buffer of its own. */
function writeWays({ make, streamId, media }: Dialect, kept: Kept): readonly Way[] {
  const carrier = make();
  const text = JSON.stringify(media(1, 'A'.repeat(Math.ceil(FRAME_BYTES / 3) * 4)));
  const way = (write: (bytes: Uint8Array) => string): Way[number] => {
    const own = new Uint8Array(FRAME_BYTES);
    return {
      delayMs: 0,
      convert: (bytes) => {
        own.set(bytes);
        kept.count += Buffer.from(write(own)).length;
        return bytes;
      },
    };
  };
  const ways = (write: () => (bytes: Uint8Array) => string): Way =>
    Array.from({ length: STREAMS }, () => way(write()));
  return [
    ways(() => () => text),
    ways(() => {
      const leg = { streamId, output: MULAW_8K };
      return carrier.mediaEncoder?.(leg) ?? ((bytes) => carrier.encode({ type: 'audio', bytes }, leg));
    }),
    ways(() => {
      const leg = { streamId, output: MULAW_8K };
      return (bytes) => carrier.encode({ type: 'audio', bytes }, leg);
    }),
  ];
}

function figuresOf(name: string, base?: Cost, short?: Cost, long?: Cost): Result[] {
  const idle = median(base?.ns ?? []);
  const ns = median(short?.ns ?? []) - idle;
  const longNs = median(long?.ns ?? []) - idle;
  const noise = spread(short?.ns ?? []);
  const detail = {
    ns: Math.round(ns),
    longNs: Math.round(longNs),
    socketNs: Math.round(idle),
    bytes: Math.round((short?.bytes ?? Number.NaN) - (base?.bytes ?? Number.NaN)),
    longBytes: Math.round((long?.bytes ?? Number.NaN) - (base?.bytes ?? Number.NaN)),
  };
  const figure = { bench: 'media', better: 'lower', noise } as const;
  return [
    { ...figure, name, value: ns, unit: 'ns' },
    { ...figure, name: `${name}, against the long way`, value: ns / longNs, unit: 'x', limit: LIMIT, detail },
  ];
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: BENCH_OPTIONS });
  finish('media', await benchMedia(values.quick), values);
}
