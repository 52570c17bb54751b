import { readFileSync } from 'node:fs';
import { describe, type ExpectStatic, it } from 'vitest';
import { decodeG711 } from '../src/audio/g711.ts';
import { AGENT, Service, type ServiceOptions, STYLES, type Style } from './support/carrier-styles.ts';

/** What only some carriers do, and what may go wrong with any of them. */

const speech = readFileSync(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url));

function style(name: string): Style {
  const found = STYLES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no style ${name}`);
  return found;
}

/** The most that two recordings of the same speech are alike, 1 when they are the same. */
function likeness(a: Int16Array, b: Int16Array): number {
  let best = 0;
  for (let shift = -80; shift <= 400; shift++) {
    let dot = 0;
    let left = 1;
    let right = 1;
    for (let i = 8000; i < 16_000; i++) {
      const x = a[i] ?? 0;
      const y = b[i + shift] ?? 0;
      dot += x * y;
      left += x * x;
      right += y * y;
    }
    best = Math.max(best, dot / Math.sqrt(left * right));
  }
  return best;
}

/** Speech goes up and comes down by this way. Two resamplers shift it by part of a sample, so it is alike, not the same. */
async function soundsRight(expect: ExpectStatic, on: Service): Promise<void> {
  const call = await on.connected();
  await call.speak(speech);
  on.provider.speak('r', 'a', 600);
  expect(await call.untilHeard(500)).toBe(true);
  await call.hangUp();
  await on.event('ended');
  const heard = decodeG711('mulaw', Uint8Array.from(on.provider.audio));
  const said = decodeG711('mulaw', call.sent);
  const first = said.findIndex((sample) => Math.abs(sample) > 500);
  const from = heard.findIndex((sample) => Math.abs(sample) > 500);
  expect(likeness(said.subarray(first), heard.subarray(from))).toBeGreaterThan(0.9);
  // The provider speaks in steady 0x55, which is loud in mu-law.
  const down = decodeG711('mulaw', call.heard);
  expect(down.filter((sample) => Math.abs(sample) > 500).length).toBeGreaterThanOrEqual(480 * 8);
}

describe.concurrent('at Plivo', () => {
  const start = (options?: ServiceOptions): Promise<Service> => Service.start(style('Plivo'), options);

  it('a stream that breaks is opened again and is the same call', async ({ expect }) => {
    await using on = await start({ calls: { faults: { loseSocketAtMs: 800 } } });
    const call = await on.connected();
    on.provider.speak('r', 'a', 5000, false);
    await on.event('mediaStarted', (event) => event.atMs > 700);
    // Cut off at what was heard, and told, because the caller has missed something.
    const playedMs = (): number => on.provider.interruptions.at(-1)?.[0]?.playedMs ?? 0;
    await expect.poll(playedMs).toBeGreaterThan(200);
    // No more than what was sent before the break, however late that was noticed.
    expect(playedMs()).toBeLessThan(2500);
    await expect.poll(() => on.provider.texts.at(-1)?.text).toContain('The connection to the caller broke');
    expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
    expect(on.provider.closedWith).toBeUndefined();
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
  });

  it.for(['l16-8000', 'l16-16000'])('%s sounds right both ways', async (audio, { expect }) => {
    await using on = await start({ env: { PLIVO_AUDIO: audio } });
    await soundsRight(expect, on);
  });
});

const TELNYX = STYLES.filter(({ carrier }) => carrier === 'telnyx');

describe.concurrent.each(TELNYX)('at $name', (telnyx) => {
  const start = (options?: ServiceOptions): Promise<Service> => Service.start(telnyx, options);

  it.for([
    ['PCMA', 'little'],
    ['L16/8000', 'little'],
    ['L16/16000', 'big'],
    ['L16/24000', 'little'],
  ] as const)(
    'a leg that sends %s (%s) is heard, while it is sent PCMU',
    async ([legCodec, order], { expect }) => {
      const settings = { legCodec, l16ByteOrder: order };
      await using on = await start({ calls: { settings } });
      await soundsRight(expect, on);
    },
  );

  it('a codec that nobody can decode is refused, and the stream comes again with one that can', async ({
    expect,
  }) => {
    const settings = { legCodec: 'G722', transcoding: 'all' };
    await using on = await start({ calls: { settings } });
    await soundsRight(expect, on);
    expect(on.log.join('\n')).toContain('cannot be decoded');
  });

  it('a codec that nobody can decode and that does not go away ends in words, not in noise', async ({
    expect,
  }) => {
    await using on = await start({ calls: { settings: { legCodec: 'G722' } } });
    const call = on.dial();
    await call.answered;
    await call.ended;
    expect((await on.event('ended')).reason).toBe('media-lost');
    expect(call.eventsOf('say')).toHaveLength(1);
    expect(on.provider.audio).toEqual([]);
  });

  it('messages that overtake each other are heard in order', async ({ expect }) => {
    await using on = await start({ calls: { faults: { shuffleWithin: 3 } } });
    const call = await on.connected();
    await call.speak(speech);
    await call.hangUp();
    await on.event('ended');
    const heard = Buffer.from(on.provider.audio);
    const said = Buffer.from(call.sent);
    const first = said.findIndex((byte) => byte !== 0xff);
    const at = heard.indexOf(said.subarray(first, first + 160));
    expect(heard.subarray(at, at + 20_000).equals(said.subarray(first, first + 20_000))).toBe(true);
  });

  it('silence is sent from the start, for calls that are cleared without any audio', async ({ expect }) => {
    await using on = await start({ calls: { settings: { silenceLimitMs: '400' } } });
    const call = await on.connected();
    await call.speak(new Int16Array(8000).fill(3000));
    expect(call.isOver).toBe(false);
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
  });
});

describe.concurrent('events of Telnyx Call Control', () => {
  const start = (options?: ServiceOptions): Promise<Service> =>
    Service.start(style('Telnyx Call Control'), options);

  it.for(['swapped', 'concurrent'])('may arrive %s', async (eventOrder, { expect }) => {
    await using on = await start({ calls: { settings: { eventOrder } } });
    const call = await on.connected();
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
  });

  it('may arrive twice', async ({ expect }) => {
    await using on = await start({
      calls: { faults: { duplicateWebhook: 'concurrent', duplicateCallbacks: true } },
    });
    const call = await on.connected();
    await call.pressKeys('7');
    await expect.poll(() => on.provider.texts.length).toBe(1);
    await call.hangUp();
    await on.event('ended');
    expect(on.provider.texts).toHaveLength(1);
    expect(call.eventsOf('stream-opening')).toHaveLength(1);
    expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
  });
});

describe.concurrent.each(STYLES)('whatever goes wrong at $name', (any) => {
  const start = (options?: ServiceOptions): Promise<Service> => Service.start(any, options);

  it.for(['bad', 'missing'] as const)(
    'a webhook with a %s signature is refused',
    async (webhookSignature, { expect }) => {
      await using on = await start({ calls: { faults: { webhookSignature } } });
      const report = await on.dial().ended;
      expect(report.outcome).not.toBe('completed');
      expect(on.events).toEqual([]);
      expect(await on.api('GET', '/calls')).toMatchObject({ body: { calls: [] } });
    },
  );

  it('a webhook that comes twice is one call', async ({ expect }) => {
    await using on = await start({ calls: { faults: { duplicateWebhook: 'concurrent' } } });
    const call = await on.connected();
    await call.hangUp();
    await on.event('ended');
    expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
  });

  it('a second socket with the same token is refused, or is the same call', async ({ expect }) => {
    await using on = await start({ calls: { faults: { replayUpgrade: true } } });
    const call = await on.connected();
    const { status } = await call.next('replayed-upgrade');
    expect(status).toBe(any.carrier === 'plivo' ? 101 : 403);
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
  });

  it('a start that names another call is given up', async ({ expect }) => {
    await using on = await start({ calls: { faults: { wrongCallId: true } } });
    const call = on.dial();
    await call.ended;
    expect((await on.event('ended')).reason).toBe('media-lost');
    expect(on.provider.audio).toEqual([]);
  });

  it.for([
    { numbersForStrings: true },
    { unknownEvents: true },
    { sparseStart: true },
    { mediaBeforeStart: true },
    { marks: 'never' },
    { omitStop: true },
    { reverseProgress: true },
    { marks: 300 },
    { burstMs: 100 },
    { upgradeDelayMs: 300 },
    { reportCloseAsError: true },
    { abruptClose: true },
    { duplicateCallbacks: true },
    { dropInbound: { fromMs: 200, forMs: 400 } },
  ] as const)('the call goes on with %o', async (faults, { expect }) => {
    await using on = await start({ calls: { faults } });
    const call = await on.connected();
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.speak(new Int16Array(800).fill(8000));
    await call.hangUp();
    expect(['caller-hung-up', 'media-lost']).toContain((await on.event('ended')).reason);
    expect(on.provider.audio.length).toBeGreaterThan(800);
  });

  it('a stream that never starts is given up after ten seconds', async ({ expect }) => {
    await using on = await start({
      calls: { faults: { neverStart: true } },
      // A provider that says nothing to nobody is not what is to be noticed here.
      agent: { failover: { ...AGENT.failover, answerMs: 0, connectMs: 60_000 } },
    });
    const call = on.dial();
    await call.ended;
    expect((await on.event('ended')).reason).toBe('media-lost');
    expect(on.provider.audio).toEqual([]);
  });

  it('a caller who hangs up before there is a stream leaves nothing behind', async ({ expect }) => {
    await using on = await start({ calls: { faults: { hangUpBeforeUpgrade: true } } });
    const call = on.dial();
    await call.ended;
    // Known from the status callback, long before the time for a stream is over.
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.bridge.calls).toBe(0);
  });

  it('keys that come all at once are one input', async ({ expect }) => {
    await using on = await start({ calls: { faults: { dtmfBurst: true } } });
    const call = await on.connected();
    await call.pressKeys('1122');
    await expect.poll(() => on.provider.texts.length).toBe(1);
    expect(on.provider.texts[0]?.options.digits).toBe('1122');
    await call.hangUp();
  });

  it('a socket that says nothing any more is asked about, and the call goes on when it lives', async ({
    expect,
  }) => {
    await using on = await start({ calls: { faults: { dropInbound: { fromMs: 100, forMs: 60_000 } } } });
    const call = await on.connected();
    const asked = await call.next('rest', ({ operation }) => operation.startsWith('GET '), 19_000);
    expect(asked.status).toBe(200);
    expect(asked.atMs).toBeGreaterThan(10_000);
    expect(on.bridge.calls).toBe(1);
    await call.hangUp();
  }, 30_000);

  // In command style the answer to the call would be what the carrier does not know.
  const unknown = any.name === 'Telnyx Call Control' ? [] : [{ status: 404, times: 1 } as const];
  it.for([...unknown, { status: 429, times: 1 }, { delayMs: 1500 }] as const)(
    'a hang-up is not lost with %o',
    async (rest, { expect }) => {
      await using on = await start({ calls: { faults: { rest } } });
      const call = await on.connected();
      const { id } = await on.view();
      await on.api('POST', `/calls/${id}/hang-up`);
      await call.ended;
      expect((await on.event('ended')).reason).toBe('operator-hung-up');
      expect(await on.view()).toMatchObject({ status: 'ended' });
    },
  );

  it('a hang-up that the carrier does not take at first is asked for again', async ({ expect }) => {
    await using on = await start({ calls: { faults: { rest: { status: 503, times: 1 } } } });
    const call = await on.connected();
    const { id } = await on.view();
    await on.api('POST', `/calls/${id}/hang-up`);
    await call.ended;
    expect((await on.event('ended')).reason).toBe('operator-hung-up');
  });
});

const SIGNED = STYLES.filter(({ name }) => name !== 'Telnyx TeXML');

describe.concurrent.each(SIGNED)('a media socket at $name', (any) => {
  it('with a bad signature or secret is refused before the upgrade', async ({ expect }) => {
    await using on = await Service.start(any, { calls: { faults: { upgradeSignature: 'bad' } } });
    const call = on.dial();
    await call.ended;
    expect(on.log.join('')).toContain('media socket refused');
    expect(on.provider.audio).toEqual([]);
    expect(on.events.some(({ type }) => type === 'mediaStarted')).toBe(false);
  });
});

describe.concurrent.each(TELNYX)('a webhook of $name', (telnyx) => {
  it('that was signed more than five minutes ago is refused', async ({ expect }) => {
    await using on = await Service.start(telnyx, { calls: { faults: { webhookSignature: 'stale' } } });
    await on.dial().ended;
    expect(on.events).toEqual([]);
    expect(on.log.join('')).toContain('stale');
  });
});
