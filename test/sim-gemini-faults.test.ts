import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { simulate } from '../src/commands/simulate.ts';
import { type FaultRule, type KnownError, startGeminiSimulator } from '../src/sim/gemini.ts';
import {
  connect,
  GeminiClient,
  type Line,
  say,
  sendAudio,
  setupOf,
  silence,
  speech,
  start,
} from './support/gemini-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function faulty(...faults: readonly FaultRule[]): Promise<Line> {
  return start({ faults, respond: () => ({ audioMs: 500, transcript: 'Good evening to you.' }) });
}

describe('a fault script', () => {
  it.each<[FaultRule, string]>([
    [{ when: { after: 'setup' }, do: 'http', status: 503 }, "only possible at 'connect', found 'setup'"],
    [{ when: { after: 'ms' }, do: 'drop' }, "'drop' after 'ms' needs a value"],
    [
      { when: { after: 'connect' }, do: 'explode' } as unknown as FaultRule,
      'unknown fault "explode", wanted one of http',
    ],
  ])('is refused when it cannot work: %j', async (rule, words) => {
    await expect(startGeminiSimulator({ faults: [rule] })).rejects.toThrow(words);
  });
});

describe('at the handshake', () => {
  it('can answer with any status, drop the line, or say nothing', async () => {
    const when = { after: 'connect' };
    await using sim = await startGeminiSimulator({
      faults: [
        { when, do: 'http', status: 503, connection: 0 },
        { when, do: 'drop', connection: 1 },
        { when, do: 'stall', connection: 2 },
        { when, do: 'close', code: 1013, reason: 'overloaded', connection: 3 },
      ],
    });
    const dial = (): WebSocket => {
      const socket = new WebSocket(`${sim.liveUrl}?key=k`);
      socket.on('error', () => {});
      return socket;
    };
    const [, response] = await once(dial(), 'unexpected-response');
    expect(response.statusCode).toBe(503);
    const [body] = await once(response, 'data');
    expect(JSON.parse(String(body))).toMatchObject({ error: { code: 503, status: 'UNAVAILABLE' } });
    const [cut] = await once(dial(), 'error');
    expect(cut).toMatchObject({ message: 'socket hang up' });
    const silent = dial();
    const closed = new GeminiClient(`${sim.liveUrl}?key=k`).closed;
    expect(await closed).toEqual({ code: 1013, reason: 'overloaded' });
    expect(silent.readyState).toBe(WebSocket.CONNECTING);
    silent.terminate();
    expect((await sim.nextConnection()).index).toBe(3);
    expect((await connect(sim)).connection.index).toBe(4);
  });
});

describe('in a session', () => {
  it.each<[KnownError, number, string]>([
    ['internal', 1011, 'Internal error encountered.'],
    ['unavailable', 1011, 'The service is currently unavailable.'],
    ['deadline', 1011, 'Deadline expired before operation could complete.'],
    ['quota', 1011, 'You exceeded your current quota'],
    ['invalid-argument', 1007, 'Request contains an invalid argument.'],
    ['api-key', 1007, 'API key not valid.'],
    ['no-model', 1008, 'is not found for API version'],
    ['not-found', 1008, 'Requested entity was not found.'],
    ['not-implemented', 1008, 'Operation is not implemented, or supported, or enabled.'],
    ['session-not-found', 1008, 'BidiGenerateContent session not found'],
  ])('can end as users have seen it: %s', async (error, code, words) => {
    await using line = await faulty({ when: { after: 'modelTurn', value: 2 }, do: 'error', error });
    line.client.send(say('Hello.'));
    expect(await line.client.closed).toEqual({ code, reason: expect.stringContaining(words) });
    expect(line.client.all('modelTurn')).toHaveLength(2);
  });

  it('can be cut after a time, so much audio that was sent, or so much that came', async () => {
    const clock = new VirtualClock();
    await using timed = await start({ clock, faults: [{ when: { after: 'ms', value: 700 }, do: 'drop' }] });
    clock.advance(700);
    expect(await timed.client.closed).toMatchObject({ code: 1006 });
    await using spoken = await faulty({ when: { after: 'audioMs', value: 200 }, do: 'close', code: 1001 });
    spoken.client.send(say('Hello.'));
    expect(await spoken.client.closed).toMatchObject({ code: 1001 });
    expect(spoken.connection.sentAudioMs).toBe(200);
    await using heard = await faulty({ when: { after: 'appendMs', value: 100 }, do: 'drop' });
    sendAudio(heard.client, silence(200));
    expect(await heard.client.closed).toMatchObject({ code: 1006 });
    expect(heard.connection.receivedAudioMs).toBe(100);
  });

  it('can fall silent, for a time or half-open for ever', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      faults: [{ when: { after: 'setupComplete' }, do: 'mute', forMs: 500 }],
    });
    line.client.send(say('Hello?'));
    await line.connection.next('realtimeInput.text');
    clock.advance(400);
    expect(line.connection.sentAudioMs).toBeGreaterThan(0);
    expect(line.connection.sent).toHaveLength(1);
    clock.advance(200);
    line.client.send(say('And now?'));
    await line.connection.next('realtimeInput.text');
    clock.advance(100);
    await line.client.next('turnComplete');
    await using stalled = await faulty({ when: { after: 'modelTurn' }, do: 'stall' });
    await stalled.client.ask(say('Hello.'), 'modelTurn');
    stalled.client.send(say('Hello?'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(stalled.client.all('modelTurn')).toHaveLength(1);
    expect(stalled.client.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('can send what no client expects', async () => {
    const unknown = { serverContent: { futureThing: { a: 1 } }, weather: {} };
    await using line = await faulty(
      { when: { after: 'realtimeInput.text' }, do: 'malformed' },
      { when: { after: 'realtimeInput.text' }, do: 'malformed', frame: 'no', text: true },
      { when: { after: 'realtimeInput.text' }, do: 'unknown-event' },
      { when: { after: 'realtimeInput.text' }, do: 'unknown-event', type: 'novelty', inContent: true },
      { when: { after: 'realtimeInput.text' }, do: 'huge', bytes: 300_000 },
      { when: { after: 'generationComplete' }, do: 'duplicate' },
      { when: { after: 'generationComplete' }, do: 'inject', event: unknown },
    );
    const { client } = line;
    await client.ask(say('Hello.'), 'turnComplete');
    const odd = client.frames.filter(({ text }) => !text.endsWith('}'));
    expect(odd).toEqual([
      { text: '{"serverContent":{"modelTurn":{"par', isBinary: true },
      { text: 'no', isBinary: false },
    ]);
    expect(client.messages).toContainEqual({ weatherUpdate: { sky: 'grey' } });
    expect(client.messages).toContainEqual({ serverContent: { novelty: { sky: 'grey' } } });
    expect(client.messages).toContainEqual(unknown);
    expect(Math.max(...client.frames.map(({ text }) => text.length))).toBeGreaterThan(300_000);
    expect(client.all('generationComplete')).toEqual([true, true]);
  });

  it('can leave things out, and send others late', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      faults: [
        { when: { after: 'setup' }, do: 'omit', types: ['usageMetadata', 'generationComplete'] },
        { when: { after: 'setup' }, do: 'delay', types: ['turnComplete'], ms: 400 },
      ],
    });
    line.client.send(say('Hello.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(300);
    line.connection.goAway(1_000);
    clock.advance(200);
    await line.client.next('turnComplete');
    expect(line.client.story()).toEqual([
      'setupComplete',
      'modelTurn',
      'goAway',
      'turnComplete',
      'interactionStatus',
    ]);
  });

  it('can ignore a message of the client', async () => {
    await using line = await faulty({
      when: { after: 'setup' },
      do: 'ignore',
      type: 'realtimeInput.text',
      count: 2,
    });
    for (const text of ['1', '2', '3']) line.client.send(say(text));
    await line.client.next('turnComplete');
    expect(line.connection.conversation).toMatchObject([{ parts: [{ text: '3' }] }, { role: 'model' }]);
  });

  it('can interrupt, refuse and complete turns by itself, and announce an end that does not come', async () => {
    const clock = new VirtualClock();
    const acts: readonly FaultRule['do'][] = [
      'interrupt',
      'fail-response',
      'premature-turn-complete',
      'go-away',
    ];
    const told: string[] = [];
    for (const act of acts) {
      await using line = await start({
        clock,
        speedFactor: 1,
        respond: () => ({ audioMs: 1_000 }),
        faults: [{ when: { after: 'modelTurn', value: 3 }, do: act } as FaultRule],
      });
      line.client.send(say('Hello.'));
      await line.connection.next('realtimeInput.text');
      clock.advance(400);
      told.push(
        line.connection.sent
          .map(({ event }) => event.type)
          .slice(4, 6)
          .join(' '),
      );
      clock.advance(2_000);
      expect(line.connection.state).toBe('idle');
      expect(line.connection.isOpen).toBe(true);
    }
    expect(told).toEqual([
      'interrupted turnComplete',
      'turnComplete turnCompleteReason',
      'turnComplete modelTurn',
      'goAway modelTurn',
    ]);
  });

  it('can let audio come after the interruption, and forget its handles', async () => {
    const clock = new VirtualClock();
    await using line = await start(
      {
        clock,
        speedFactor: 1,
        respond: () => ({ audioMs: 5_000 }),
        faults: [
          { when: { after: 'setup' }, do: 'late-deltas', count: 2 },
          { when: { after: 'interrupted' }, do: 'forget-handles' },
        ],
      },
      { sessionResumption: {} },
    );
    const { handle } = line.connection;
    line.client.send(say('Hello.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(400);
    sendAudio(line.client, speech(200));
    await line.client.next('turnComplete');
    const story = line.client.story();
    const at = story.indexOf('interrupted');
    expect(story.slice(at, at + 3)).toEqual(['interrupted', 'modelTurn', 'turnComplete']);
    const client = new GeminiClient(`${line.sim.liveUrl}?key=k`);
    await client.opened;
    client.send(setupOf({ sessionResumption: { handle } }));
    expect(await client.closed).toMatchObject({ code: 1008 });
  });

  it('is ended by the simulator itself, which leaves nobody waiting', async () => {
    const line = await start();
    const next = line.sim.nextConnection();
    const event = line.connection.next('toolCall');
    await line.sim.close();
    await expect(next).rejects.toThrow('CANCELLED');
    await expect(event).rejects.toThrow("no 'toolCall' came before the connection ended (close 1006)");
    await expect(line.sim.nextConnection()).rejects.toThrow('the simulator is closed');
  });
});

describe('patchcord simulate gemini', () => {
  function play(...argv: readonly string[]) {
    const out: string[] = [];
    let interrupt = (): void => {};
    let told = (_: string): void => {};
    const url = new Promise<string>((resolve) => {
      told = resolve;
    });
    const exit = simulate.run(['gemini', ...argv], {
      env: {},
      isTty: false,
      out: (text) => told(text.trim().split(' ').at(-1) ?? ''),
      err: (text) => out.push(text),
      onInterrupt: (listener) => {
        interrupt = listener;
        return () => {};
      },
      onStray: () => {},
    });
    return { url, exit, out, stop: () => interrupt() };
  }

  it('plays until it is interrupted, and shows every event', async () => {
    const played = play('--api-key', 'right', '--first-audio-ms', '0', '--speed', '100', '--frames', 'text');
    const path = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=right';
    const client = new GeminiClient((await played.url) + path);
    await client.opened;
    await client.ask(setupOf(), 'setupComplete');
    await client.ask(say('Hello.'), 'generationComplete');
    expect(client.frames[0]?.isBinary).toBe(false);
    played.stop();
    expect(await played.exit).toBe(0);
    const shown = played.out.map((line) => line.trim().split(/\s+/).slice(2).join(' '));
    expect(shown.slice(0, 4)).toEqual(['▶ setup', '◀ setupComplete', '▶ realtimeInput.text', '◀ modelTurn']);
  });

  it('refuses what it does not know', async () => {
    await expect(play('--frames', 'paper').exit).rejects.toThrow(
      '--frames: found "paper", wanted binary or text',
    );
    await expect(play('--faults', '/nowhere').exit).rejects.toThrow(
      '--faults /nowhere: cannot be read as JSON',
    );
    await expect(simulate.run(['soup'], {} as never)).rejects.toThrow(/found "soup", wanted one of .*gemini/);
  });
});
