import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type ExpectStatic, it } from 'vitest';
import { audioRefsOf } from '../src/recording/audio-refs.ts';
import type { Line } from '../src/recording/format.ts';
import { readCall, type StoredCall, writeCall } from '../src/recording/stored-call.ts';
import { defineTool } from '../src/tools.ts';
import { SECRET, STYLES } from './support/carrier-styles.ts';
import { sweep } from './support/likeness.ts';
import { RecordedService } from './support/recorded-service.ts';
import { KEY } from './support/subjects/openai.ts';
import { SUBJECTS } from './support/subjects.ts';

/** One real call with each provider, by each carrier in turn: everything that crosses an edge is in its recording. */

const CELLS = SUBJECTS.flatMap((subject, index) => {
  const style = STYLES[index % STYLES.length];
  return style === undefined ? [] : [{ name: `${subject.name} by ${style.name}`, subject, style }];
});

const greeting = sweep(600, 24_000);
const question = sweep(1200, 8000);
/** Nobody writes so much without a blank. */
const LEFT_AUDIO = /[A-Za-z0-9+/]{400}/;

/** Audio of each file is referred to once, from its beginning to its end, and stands in no message. */
function expectAudio(expect: ExpectStatic, { lines, wavs }: StoredCall): void {
  const ends = new Map<string, number>();
  for (const line of lines) {
    if (line.on === 'carrier' || line.on === 'provider') expect(JSON.stringify(line)).not.toMatch(LEFT_AUDIO);
    for (const { wav, at, n } of audioRefsOf(line)) {
      expect([wav, at]).toEqual([wav, ends.get(wav) ?? 0]);
      ends.set(wav, at + n);
    }
  }
  expect([...ends.keys()].sort()).toEqual(['agent', 'caller', 'provider', 'uplink']);
  for (const [name, { format, bytes }] of wavs) {
    expect(ends.get(name)).toBe(bytes.length / (format.encoding === 'pcm16' ? 2 : 1));
  }
}

/** Whatever was asked was answered; the carrier may have been asked something at the very end. */
function expectPairs(expect: ExpectStatic, lines: readonly Line[]): void {
  for (const edge of ['webhook', 'rest', 'tool'] as const) {
    const ids = (dir: 'in' | 'out'): unknown[] =>
      lines.flatMap((line) =>
        line.on === edge && line.dir === dir ? [(line.msg as { id: number }).id] : [],
      );
    if (edge === 'rest') expect(ids('out')).toEqual(expect.arrayContaining(ids('in')));
    else expect(ids('in').sort()).toEqual(ids('out').sort());
  }
}

function expectTimes(expect: ExpectStatic, lines: readonly Line[]): void {
  let before = 0;
  for (const { t } of lines) {
    expect(t).toBeGreaterThanOrEqual(before);
    expect(Math.round(t * 1000) / 1000).toBe(t);
    before = t;
  }
}

/** What is on disk is what was kept in memory, for a reader that takes no mistake. */
async function expectReadable(expect: ExpectStatic, stored: StoredCall): Promise<void> {
  const parent = mkdtempSync(join(tmpdir(), 'recording-live-'));
  try {
    const folder = join(parent, 'call');
    await writeCall(folder, stored);
    const found = await readCall(folder);
    expect(found.damage).toEqual([]);
    expect(found.lines).toEqual(stored.lines);
  } finally {
    rmSync(parent, { recursive: true });
  }
}

describe.concurrent.each(CELLS)('a call with $name', ({ subject, style }) => {
  it('is recorded whole at every edge', { timeout: 120_000 }, async ({ expect }) => {
    let stage = 0;
    await using model = await subject.start({
      keepAudio: true,
      answer: () => {
        stage += 1;
        if (stage === 1) return { audio: greeting, transcript: 'Hello.', speedFactor: 8 };
        if (stage > 2) return { transcript: 'It rains.', audioMs: 500, speedFactor: 8 };
        return { toolCalls: [{ name: 'lookup', args: { what: 'the weather' }, callId: 'call_one' }] };
      },
      heard: ['What is the weather like?'],
    });
    const lookup = defineTool({
      name: 'lookup',
      description: 'Looks something up.',
      parameters: { type: 'object', properties: { what: { type: 'string' } } },
      run: () => ({ weather: 'rain' }),
    });
    await using on = await RecordedService.start(style, {
      provider: model.provider,
      agent: { audio: 'wideband', tools: [lookup], transcribeCaller: true },
      recorder: { secrets: [] },
    });
    const call = on.dial();
    await call.streaming;
    expect(await call.untilHeard(200)).toBe(true);
    await call.untilQuiet(500);
    await call.speak(question);
    await on.event('tool');
    await call.untilHeard(100);
    await call.hangUp();
    await on.event('ended');
    const stored = await on.recorded();
    const { lines } = stored;
    expect(lines[0]).toMatchObject({ t: 0, on: 'webhook', dir: 'in', msg: { id: 1, signed: 'valid' } });
    expectTimes(expect, lines);
    expectAudio(expect, stored);
    expectPairs(expect, lines);
    const controls = lines.flatMap((line) =>
      'ctl' in line ? [`${line.on} ${line.dir} ${line.ctl.type}`] : [],
    );
    for (const control of [
      'carrier in upgrade',
      'carrier out upgraded',
      'carrier in pong',
      'provider out dial',
      'provider in open',
    ]) {
      expect(controls).toContain(control);
    }
    // Observers are told the same, in the same order.
    const told = lines.flatMap((line) => (line.on === 'call' ? [line.msg] : []));
    expect(told).toEqual(JSON.parse(JSON.stringify(on.events)));
    expect(stored.call.end?.complete).toBe(true);
    expect(on.log.filter((line) => line.includes('recorded as it is'))).toEqual([]);
    const written = JSON.stringify([stored.call, lines]);
    for (const secret of [SECRET, KEY]) {
      for (const spelled of [secret, Buffer.from(secret).toString('base64').replace(/=+$/, '')]) {
        expect(written).not.toContain(spelled);
      }
    }
    expect(written).not.toMatch(/signature"|authorization":"(?!\[secret\])/i);
    await expectReadable(expect, stored);
  });
});
