import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { callerScript } from '../src/commands/replay/caller-script.ts';
import { CuedScript } from '../src/commands/replay/cued-script.ts';
import { stereoWav } from '../src/commands/replay/listen.ts';
import { scriptedProvider } from '../src/commands/replay/model-script.ts';
import { PlayedNetwork } from '../src/commands/replay/played-network.ts';
import { playedProvider } from '../src/commands/replay/played-provider.ts';
import { RecordedTools } from '../src/commands/replay/recorded-tools.ts';
import type { ProviderEvent, RealtimeProvider } from '../src/provider.ts';
import type { Line } from '../src/recording/format.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { kindOf } from '../src/replay/compare/words.ts';
import { callFolders } from '../src/testing/call-folders.ts';
import type { ToolContext } from '../src/tools.ts';
import type { WireListener } from '../src/wire.ts';
import { callStub } from './support/call-stub.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const base = await readCall('fixtures/twilio-function-too-slow');

type Untimed = Line extends infer L ? (L extends Line ? Omit<L, 't'> : never) : never;

/** A stored call with these lines. */
function callWith(...lines: readonly (readonly [t: number, line: Untimed])[]): StoredCall {
  return {
    ...base,
    lines: lines.map(([t, line]): Line => ({ t, ...line })),
    wavs: new Map([
      ['uplink', { format: { encoding: 'mulaw', rate: 8000 }, bytes: new Uint8Array(80_000).fill(0xff) }],
    ]),
  };
}

const provider = { on: 'provider', conn: 1 } as const;
const dial: Untimed = {
  ...provider,
  dir: 'out',
  ctl: { type: 'dial', provider: 'openai', url: 'wss://model/v1' },
};
const open: Untimed = { ...provider, dir: 'in', ctl: { type: 'open' } };
const sent = (msg: unknown): Untimed => ({ ...provider, dir: 'out', msg });
const said = (msg: unknown): Untimed => ({ ...provider, dir: 'in', msg });
const speech = (at: number, ms: number): Untimed =>
  sent({ type: 'input_audio_buffer.append', audio: { wav: 'uplink', at: at * 8, n: ms * 8 } });

describe('a recorded connection that is played to another call', () => {
  function play(stored: StoredCall) {
    const clock = new VirtualClock();
    const played: [ms: number, what: string][] = [];
    const missed: string[] = [];
    const script = new CuedScript({
      stored,
      conn: 1,
      clock,
      deliver: (line) => played.push([clock.now(), kindOf(line)]),
      onMissed: (line) => missed.push(kindOf(line)),
    });
    return { clock, script, played, missed };
  }

  it('says everything as long after what came before it as then', () => {
    const { clock, played } = play(
      callWith([100, dial], [150, open], [170, said({ type: 'a' })], [400, said({ type: 'b' })]),
    );
    clock.advance(50);
    expect(played).toEqual([[50, 'open']]);
    clock.advance(1000);
    expect(played).toEqual([
      [50, 'open'],
      [70, 'a'],
      [300, 'b'],
    ]);
  });

  it('waits for what it was told then, and counts from there', () => {
    const call = callWith(
      [0, dial],
      [10, open],
      [12, sent({ type: 'session.update' })],
      [40, said({ type: 'ready' })],
    );
    const { clock, script, played, missed } = play(call);
    clock.advance(500);
    expect(played).toEqual([[10, 'open']]);
    script.said();
    clock.advance(27);
    expect(played).toHaveLength(1);
    clock.advance(1);
    expect(played[1]).toEqual([528, 'ready']);
    expect(missed).toEqual([]);
  });

  it('does not answer the caller before it has heard as much as then', () => {
    const call = callWith(
      [0, dial],
      [0, open],
      [20, speech(0, 500)],
      [520, said({ type: 'speech_stopped' })],
    );
    const { clock, script, played } = play(call);
    clock.advance(600);
    script.heard(480);
    clock.advance(600);
    expect(played).toEqual([[0, 'open']]);
    script.heard(20);
    clock.advance(0);
    expect(played[1]).toEqual([1200, 'speech_stopped']);
  });

  it('goes on after 3 s without what it waits for, and says so', () => {
    const call = callWith([0, dial], [10, open], [20, sent({ type: 'x' })], [50, said({ type: 'late' })]);
    const { clock, played, missed } = play(call);
    clock.advance(3039);
    expect(played).toHaveLength(1);
    clock.advance(1);
    expect(played[1]).toEqual([3040, 'late']);
    expect(missed).toEqual(['late']);
  });

  it('says nothing any more when it is stopped', () => {
    const { clock, script, played } = play(callWith([0, dial], [10, open]));
    script.stop();
    clock.advance(1000);
    expect(played).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a network with recorded providers', () => {
  const [then, now] = ['7f1c2a52-3c3f-4c11-8a41-0d6b7a1c9e10', 'b2a7c2f4-5a55-4a3c-9f0e-6b8b1d2c3e4f'];

  function network(stored: StoredCall) {
    const clock = new VirtualClock();
    const told: string[] = [];
    const listener: WireListener = {
      opened: () => told.push('opened'),
      message: (text) => told.push(text),
      pinged: () => told.push('pinged'),
      pong: (data) => told.push(`pong ${data}`),
      refused: (status) => told.push(`refused ${status}`),
      failed: (error) => told.push(`failed ${error.message}`),
      closed: (code) => told.push(`closed ${code}`),
    };
    const played = new PlayedNetwork({ stored, clock, onMissed: () => told.push('missed') });
    const options = { headers: {}, maxPayload: 1 };
    return { clock, told, dial: (url: string) => played.dial(new URL(url), options, listener) };
  }

  it('speaks of the ids that there are now', () => {
    const call = callWith([0, dial], [5, open], [6, sent({ id: then })], [9, said({ answer: `to ${then}` })]);
    const { clock, told, dial: start } = network(call);
    const socket = start('wss://model/v1');
    clock.advance(5);
    expect(socket.isOpen).toBe(true);
    socket.send(JSON.stringify({ id: now }));
    clock.advance(3);
    expect(told).toEqual(['opened', JSON.stringify({ answer: `to ${now}` })]);
  });

  it('answers pings, closes when it is closed, and says nothing after that', () => {
    const { clock, told, dial: start } = network(callWith([0, dial], [5, open], [900, said({ type: 'a' })]));
    const socket = start('wss://model/v1');
    clock.advance(5);
    socket.ping('x');
    clock.advance(1);
    socket.close(1000);
    clock.advance(2000);
    expect(told).toEqual(['opened', 'pong x', 'closed 1000']);
    expect(socket.isOpen).toBe(false);
  });

  it('fails where the call had no further connection', () => {
    const { clock, told, dial: start } = network(callWith([0, dial], [5, open]));
    start('wss://model/v1');
    start('wss://model/v1');
    clock.advance(10);
    expect(told).toEqual(['failed the recording has no further connection', 'closed 1006', 'opened']);
  });

  it('refuses and breaks off as then', () => {
    const refused: Untimed = { ...provider, dir: 'in', ctl: { type: 'refused', status: 503, body: '' } };
    const closed: Untimed = { ...provider, dir: 'in', ctl: { type: 'close', code: 1006, reason: '' } };
    const { clock, told, dial: start } = network(callWith([0, dial], [5, refused], [6, closed]));
    start('wss://model/v1');
    clock.advance(10);
    expect(told).toEqual(['refused 503', 'closed 1006']);
  });
});

describe('a recorded provider without a network', () => {
  it('tells what its sessions told, and refuses one too many', async () => {
    const stored = await readCall('fixtures/plivo-local-line-check');
    const [recorded] = stored.call.providers;
    if (recorded === undefined) throw new Error('the call has no provider');
    const clock = new VirtualClock();
    const made = playedProvider(recorded, { stored, clock, onMissed: () => undefined });
    const told: ProviderEvent[] = [];
    const connect = (): ReturnType<RealtimeProvider['connect']> =>
      made.connect({} as never, (event) => told.push(event), new AbortController().signal);
    const connecting = connect();
    clock.advance(1000);
    const session = await connecting;
    clock.advance(60_000);
    const audio = told.find((event) => event.type === 'audio');
    expect(audio?.type === 'audio' && audio.bytes.length).toBeGreaterThan(100);
    await session.close('done');
    expect(told.at(-1)).toMatchObject({ type: 'closed', expected: true });
    await expect(connect()).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  });
});

describe('functions of a recorded call', () => {
  const tool = { on: 'tool' } as const;
  let ids = 0;
  /** One run: what it was asked, and what came of it after 50 ms. */
  function ran(t: number, run: string, args: object, end: object, ...deeds: readonly string[]) {
    ids += 1;
    const id = ids;
    return [
      [t, { ...tool, dir: 'out', msg: { id, run, toolCallId: `c${id}`, args } }],
      ...deeds.map((does) => [t + 20, { ...tool, dir: 'in', msg: { id, does, with: ['77'] } }] as const),
      [t + 50, { ...tool, dir: 'in', msg: { id, ...end } }],
    ] as unknown as readonly (readonly [number, Untimed])[];
  }

  async function result(
    tools: RecordedTools,
    clock: VirtualClock,
    name: string,
    args: object,
    call = context(),
  ) {
    const done = tools.run(name, args, call).then(
      (value) => ({ value, atMs: clock.now() }),
      (error: unknown) => ({ error: String(error), atMs: clock.now() }),
    );
    // Whatever it waits for, one turn of its promises at a time.
    for (let i = 0; i < 12; i++) {
      await Promise.resolve();
      clock.advance(10);
    }
    return await done;
  }

  function context(own: Partial<ToolContext> = {}): ToolContext {
    return { ...callStub(), signal: new AbortController().signal, idempotencyKey: 'k', ...own };
  }

  function toolsOf(...lines: readonly (readonly (readonly [number, Untimed])[])[]) {
    const clock = new VirtualClock();
    return { clock, tools: new RecordedTools(callWith(...lines.flat()), clock) };
  }

  it('are found by name and arguments, else in their order', async () => {
    const { clock, tools } = toolsOf(
      ran(100, 'look', { room: 1 }, { returned: 'one', done: true }),
      ran(300, 'look', { room: 2 }, { returned: 'two', done: true }),
    );
    expect(await result(tools, clock, 'look', { room: 2 })).toMatchObject({ value: 'two' });
    expect(await result(tools, clock, 'look', { room: 9 })).toMatchObject({ value: 'one' });
    expect(await result(tools, clock, 'look', { room: 2 })).toMatchObject({ value: 'two' });
    expect(tools.missing.size).toBe(0);
  });

  it('take as long as then, and throw as then', async () => {
    const { clock, tools } = toolsOf(
      ran(100, 'look', {}, { threw: { message: 'no line', code: 'TIMEOUT' } }),
    );
    const { error, atMs } = (await result(tools, clock, 'look', {})) as { error: string; atMs: number };
    expect(error).toContain('TIMEOUT: no line');
    expect(atMs).toBeGreaterThanOrEqual(50);
  });

  it('do to the call what they did then', async () => {
    const { clock, tools } = toolsOf(
      ran(0, 'menu', {}, { returned: 1, done: true }, 'sendDigits', 'nonsense'),
    );
    const pressed: string[] = [];
    const call = context({
      sendDigits: async (digits) => {
        pressed.push(digits);
        return { status: 'already-ended' };
      },
    });
    await result(tools, clock, 'menu', {}, call);
    expect(pressed).toEqual(['77']);
  });

  it('fail without a result, which is counted', async () => {
    const { clock, tools } = toolsOf();
    expect(await result(tools, clock, 'hal', {})).toMatchObject({
      error: expect.stringContaining('the recording has no result of hal'),
    });
    await result(tools, clock, 'hal', {});
    expect([...tools.missing]).toEqual([['hal', 2]]);
  });
});

describe('what is taken from a recorded call', () => {
  it('is what the caller said, pressed and did, from the first frame on', async () => {
    const stored = await readCall('fixtures/plivo-keys');
    const { speech: samples, keys, hangUpMs } = callerScript(stored);
    expect(keys.length).toBeGreaterThan(1);
    expect(samples.length / 8).toBeGreaterThan(keys.at(-1)?.atMs ?? 0);
    expect(hangUpMs).toBeGreaterThan(keys.at(-1)?.atMs ?? 0);
  });

  it('can be listened to, whatever is missing of it', async () => {
    const stored = await readCall('fixtures/telnyx-socket-lost-in-mid-sentence');
    const { length } = stored.lines;
    for (let at = length - 50; at < length; at++) {
      const lacking = { ...stored, lines: stored.lines.filter((_line, index) => index !== at) };
      expect(stereoWav(lacking).length).toBeGreaterThan(1000);
      expect(stereoWav({ ...stored, lines: stored.lines.slice(0, at) }).length).toBeGreaterThan(1000);
    }
  });

  it('is what the model said and called, by why it was asked', () => {
    expect(scriptedProvider('gemini', base)).toEqual({
      name: 'gemini',
      says: {
        'user-turn': [{ toolCalls: [{ name: 'look_up', args: { room: 4 } }] }],
        'tool-result': [{ transcript: 'I cannot look it up just now.' }],
      },
      hears: ['he was'],
      faults: [],
      options: {},
    });
  });
});

describe('folders of calls', () => {
  it('are found below a folder in the order of their names, each once, and no deeper than four', () => {
    const home = mkdtempSync(join(tmpdir(), 'patchcord-folders-'));
    const call = (...path: readonly string[]): string => {
      const folder = join(home, ...path);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'call.json'), '{}');
      return folder;
    };
    const [b, a, partial] = [call('b'), call('a', 'one'), call('c.partial')];
    call('x', 'x', 'x', 'x', 'x');
    call('node_modules', 'one');
    expect(callFolders([home, b])).toEqual({ folders: [a, b], leftOut: [partial] });
    expect(callFolders([partial])).toEqual({ folders: [partial], leftOut: [] });
    rmSync(home, { recursive: true });
    expect(() => callFolders([home])).toThrow('found no such folder');
  });
});
