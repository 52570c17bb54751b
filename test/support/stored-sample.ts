import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../../src/audio/format.ts';
import type { RecordedAgent } from '../../src/recording/agent-record.ts';
import type { CallFile, Line } from '../../src/recording/format.ts';
import type { CallSink } from '../../src/recording/sink.ts';

const AGENT: Record<keyof RecordedAgent, unknown> = {
  name: 'front-desk',
  instructions: 'Be brief.',
  greeting: 'Hello.',
  voice: undefined,
  language: undefined,
  turnDetection: { type: 'server' },
  bargeIn: { detector: 'auto', minSpeechMs: 200, guardMs: 600 },
  transcribeCaller: true,
  audio: 'wideband',
  tools: [
    {
      builtIn: false,
      definition: { name: 'look_up', description: 'Looks up', parameters: { type: 'object' } },
      timeoutMs: 10_000,
      cancelOnInterrupt: false,
      maxResultChars: 4000,
      redact: [],
    },
  ],
  redact: [],
  toolsAtOnce: 4,
  filler: undefined,
  providers: [],
  failover: {},
  maxCallMs: 3_600_000,
  maxCallGoodbye: '',
  silence: {},
  digits: {},
  digitsHandled: false,
  recording: false,
  variables: { shop: 'Main Street' },
  lastResort: { type: 'hang-up' },
  machine: {},
};

/** call.json of a call that nobody has made. */
export function callFile(changes: Partial<CallFile> = {}): CallFile {
  const agent: RecordedAgent = JSON.parse(JSON.stringify(AGENT));
  return {
    format: 1,
    proves: '',
    origin: { how: 'recorded', by: 'patchcord 0.0.0' },
    carrier: 'twilio',
    control: 'document',
    direction: 'inbound',
    epochMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    seed: '00ff',
    agent,
    providers: [{ name: 'local', level: 'session', model: undefined, wanted: undefined }],
    settings: {},
    leadMs: 1000,
    ...changes,
  };
}

/** Noise that is the same every time. */
export function noiseBytes(seed: string, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0, n = 0; at < count; n += 1) {
    const piece = createHash('sha256')
      .update(`${seed} ${n}`)
      .digest()
      .subarray(0, count - at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** What `recordSample` has told a sink. */
export interface Sample {
  readonly lines: readonly Line[];
  readonly caller: Uint8Array;
  readonly provider: Uint8Array;
}

const BEGINNING: readonly Line[] = [
  {
    t: 0,
    on: 'webhook',
    dir: 'in',
    msg: {
      id: 1,
      route: 'voice',
      method: 'POST',
      target: '/voice/twilio',
      signed: 'valid',
      contentType: 'application/x-www-form-urlencoded',
      form: { CallSid: 'CA00', Digits: ['1', '2'] },
    },
  },
  {
    t: 1.25,
    on: 'webhook',
    dir: 'out',
    msg: { id: 1, status: 200, contentType: 'text/xml', body: '<Response/>' },
  },
  {
    t: 2,
    on: 'carrier',
    dir: 'in',
    conn: 1,
    ctl: { type: 'upgrade', target: '/media/twilio/x', signed: 'valid' },
  },
  { t: 2, on: 'carrier', dir: 'out', conn: 1, ctl: { type: 'upgraded' } },
  { t: 3, on: 'tool', dir: 'out', msg: { id: 1, run: 'look_up', toolCallId: 'c1', args: {} } },
  { t: 4, on: 'tool', dir: 'in', msg: { id: 1, returned: { ok: true }, done: true } },
  { t: 5, on: 'rest', dir: 'out', msg: { id: 1, method: 'POST', url: 'https://api.example/Calls' } },
  { t: 6, on: 'rest', dir: 'in', msg: { id: 1, status: 200, body: '{}' } },
  { t: 7, on: 'clock', dir: 'in', msg: { due: 6.9 } },
  { t: 8, on: 'call', dir: 'out', msg: { type: 'mediaStarted', atMs: 8 } },
];

/** Tells a sink of so many frames of a call, after ten lines of every edge; the provider's pieces end within samples. */
export function recordSample(sink: CallSink, frames = 10): Sample {
  const caller = noiseBytes('caller', frames * 160);
  const provider = noiseBytes('provider', frames * 481);
  const lines = [...BEGINNING];
  for (const line of lines) sink.line(line);
  for (let n = 0; n < frames; n += 1) {
    const frame = caller.subarray(n * 160, (n + 1) * 160);
    const payload = sink.audio('caller', MULAW_8K, frame);
    const t = 10 + 20 * n;
    const media: Line = { t, on: 'carrier', dir: 'in', conn: 1, msg: { event: 'media', media: { payload } } };
    const piece = provider.subarray(n * 481, (n + 1) * 481);
    const bytes = sink.audio('provider', PCM16_24K, piece);
    const delta: Line = { t: t + 0.125, on: 'provider', dir: 'in', conn: 1, msg: { event: 'audio', bytes } };
    sink.line(media);
    sink.line(delta);
    lines.push(media, delta);
  }
  return { lines, caller, provider };
}

/** A folder for one test, which is gone after it. */
export function tempFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'patchcord-recording-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
