import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'vitest';
import type { AfterStream } from '../src/carrier.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { type Bridge, createBridge } from '../src/server.ts';
import type { CallOptions } from '../src/sim/phone.ts';
import { AGENT, SECRET, Service, type ServiceOptions, STYLES, type Style } from './support/carrier-styles.ts';
import { Gateway } from './support/gateway.ts';
import { ManualProvider } from './support/manual-provider.ts';

/** What callers hear when nothing is left: all providers are dead, the process was killed, or the whole machine is gone. */

const HUMAN = '+14155550177';
const WORDS = 'This is the surgery. Our assistant is away. Please call again.';
const SAY: AfterStream = { type: 'say', text: WORDS, language: 'en-US' };
const MESSAGE: AfterStream = { type: 'message', text: WORDS, language: 'en-US', maxS: 30 };
const TRANSFER: AfterStream = {
  type: 'transfer',
  to: HUMAN,
  callerId: undefined,
  ringS: 20,
  announce: undefined,
  language: undefined,
};
const SPOKEN = new Int16Array(8 * 600).fill(8000);

const DOCUMENT_STYLES = STYLES.filter(({ name }) => name !== 'Telnyx Call Control');
const [CONTROL] = STYLES.filter(({ name }) => name === 'Telnyx Call Control');

/** Without what requests need. */
const NO_REQUESTS: Env = {
  TWILIO_ACCOUNT_SID: '',
  TELNYX_API_KEY: '',
  TELNYX_CONNECTION_ID: '',
  PLIVO_AUTH_ID: '',
};

interface Place extends AsyncDisposable {
  readonly on: Service;
  readonly gate: Gateway;
  readonly calls: Partial<CallOptions>;
  /** The process is gone, with all that it could still ask for. */
  kill(): void;
  /** To be done at the end, before the rest is closed. */
  readonly cleanups: (() => unknown)[];
}

/** A service that is reached, and that reaches the carrier, only as long as it lives. */
async function place(style: Style, lastResort: AfterStream, options: ServiceOptions = {}): Promise<Place> {
  let service: Service | undefined;
  const gate = await Gateway.open(() => service?.url ?? '');
  const rest = await Gateway.open(() => service?.exchange.restBaseUrl ?? '');
  const on = await Service.start(style, {
    ...options,
    agent: { lastResort, ...options.agent },
    env: { ...style.env(SECRET, rest.url), PUBLIC_URL: gate.url, ...options.env },
  });
  service = on;
  const calls = {
    webhookUrl: `${gate.url}/${style.route}/${style.carrier}`,
    statusCallbackUrl: `${gate.url}/status/${style.carrier}`,
  };
  const kill = (): void => {
    gate.kill();
    rest.kill();
  };
  const cleanups: (() => unknown)[] = [];
  const dispose = async (): Promise<void> => {
    for (const cleanup of cleanups) await cleanup();
    kill();
    await on[Symbol.asyncDispose]();
  };
  return { on, gate, calls, kill, cleanups, [Symbol.asyncDispose]: dispose };
}

/** The same service, started again: it knows its agent, and nothing of the calls. */
async function again(style: Style, { on, gate, cleanups }: Place, lastResort: AfterStream, env: Env = {}) {
  const bridge: Bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      ...style.env(SECRET, on.exchange.restBaseUrl ?? ''),
      PUBLIC_URL: gate.url,
      ...env,
    }),
    provider: new ManualProvider(),
    agent: { ...AGENT, lastResort },
    log: createLog('silent'),
  });
  cleanups.push(() => bridge.close());
  return await bridge.listen();
}

/** A document somewhere else, as a number's fallback. */
async function elsewhere({ cleanups }: Place, body: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/xml').end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/apology`;
}

describe.concurrent.each(DOCUMENT_STYLES)('a process that is killed in mid-call, at $name', (style) => {
  it('leaves the caller to what the agent says, from the document itself', async ({ expect }) => {
    await using at = await place(style, SAY);
    const call = await at.on.connected(at.calls);
    at.kill();
    const report = await call.ended;
    expect(call.eventsOf('say').map(({ text }) => text)).toEqual([WORDS]);
    expect(report).toMatchObject({ outcome: 'completed', endedBy: 'document', failure: undefined });
  });

  it('leaves the caller to a human', async ({ expect }) => {
    await using at = await place(style, TRANSFER, {
      calls: { dialResult: { status: 'completed', ringMs: 50, durationMs: 100 } },
    });
    const call = await at.on.connected(at.calls);
    at.kill();
    const report = await call.ended;
    expect(call.eventsOf('dial').flatMap(({ targets }) => targets.map((to) => to.replace('+', '')))).toEqual([
      HUMAN.slice(1),
    ]);
    expect(call.eventsOf('say')).toEqual([]);
    expect(report.outcome).toBe('completed');
  });

  it('leaves the caller to the recorder of the carrier, once', async ({ expect }) => {
    await using at = await place(style, MESSAGE);
    const call = await at.on.connected(at.calls);
    at.kill();
    await call.next('beep');
    await call.speak(SPOKEN);
    expect(await call.pressKeys('#')).toBe(true);
    await call.ended;
    expect(call.eventsOf('say').map(({ text }) => text)).toEqual([WORDS]);
    expect(call.eventsOf('beep')).toHaveLength(1);
    expect(call.eventsOf('message')).toMatchObject([{ end: 'key' }]);
  });

  it('leaves the caller to the fallback address where nothing can be ordered by request', async ({
    expect,
  }) => {
    await using at = await place(style, SAY, { env: NO_REQUESTS });
    const words = style.carrier === 'plivo' ? 'Speak' : 'Say';
    const fallbackUrl = await elsewhere(at, `<Response><${words}>Elsewhere.</${words}></Response>`);
    const call = await at.on.connected({ ...at.calls, fallbackUrl });
    at.kill();
    await call.ended;
    // Twilio has verbs behind the stream, but asks first; nobody has more than the fallback.
    expect(call.eventsOf('say').map(({ text }) => text)).toEqual(['Elsewhere.']);
  });

  it('drops the caller where there is no fallback address either', async ({ expect }) => {
    await using at = await place(style, SAY, { env: NO_REQUESTS });
    const call = await at.on.connected(at.calls);
    at.kill();
    expect((await call.ended).failure).toBeDefined();
    expect(call.eventsOf('say')).toEqual([]);
  });
});

describe.concurrent.each(DOCUMENT_STYLES)(
  'a process that was started again in mid-call, at $name',
  (style) => {
    it.for([
      ['by request', {}],
      ['without requests', NO_REQUESTS],
    ] as const)('gives the caller the last resort of the agent, %s', async ([, env], { expect }) => {
      await using at = await place(style, SAY, { env });
      const call = await at.on.connected(at.calls);
      const url = await again(style, at, SAY, env);
      at.kill();
      await at.gate.revive(() => url);
      const report = await call.ended;
      expect(call.eventsOf('say').map(({ text }) => text)).toEqual([WORDS]);
      expect(report).toMatchObject({ outcome: 'completed', failure: undefined });
    });

    it('hears of the message that was left', async ({ expect }) => {
      await using at = await place(style, MESSAGE);
      const call = await at.on.connected(at.calls);
      const url = await again(style, at, MESSAGE);
      at.kill();
      await at.gate.revive(() => url);
      await call.next('beep');
      await call.speak(SPOKEN);
      await call.pressKeys('#');
      await call.ended;
      expect(call.eventsOf('callback').filter(({ kind }) => kind === 'recording')).toMatchObject([
        { status: 200 },
      ]);
      expect(call.eventsOf('say')).toHaveLength(1);
    });
  },
);

describe.concurrent('a process that is killed in mid-call, at Telnyx Call Control', () => {
  const style = CONTROL as Style;

  it.for([
    ['say', SAY],
    ['message', MESSAGE],
    ['transfer', TRANSFER],
  ] as const)(
    'leaves the caller to another one at the failover address: %s',
    async ([type, last], { expect }) => {
      await using at = await place(style, last, {
        calls: { dialResult: { status: 'completed', ringMs: 50, durationMs: 200 } },
      });
      const other = await again(style, at, last);
      const call = await at.on.connected({ ...at.calls, fallbackUrl: `${other}/events/telnyx` });
      at.kill();
      if (type === 'message') {
        await call.next('beep', undefined, 15_000);
        await call.speak(SPOKEN);
        await call.hangUp();
      }
      await call.ended;
      expect(call.eventsOf('say').map(({ text }) => text)).toEqual(type === 'transfer' ? [] : [WORDS]);
      if (type === 'transfer')
        expect(call.eventsOf('leg').map(({ status }) => status)).toContain('in-progress');
      if (type !== 'message') return;
      const told = call.eventsOf('callback').filter(({ kind }) => kind === 'recording');
      expect(told).toMatchObject([{ status: 200 }]);
    },
  );
});

describe.concurrent.each(STYLES)('a call whose providers are all dead, at $name', (style) => {
  /** A provider that is dead is dialled once more. */
  const agent = { failover: { ...AGENT.failover, connectMs: 1500 } };
  const die = (on: Service): void => on.provider.emit({ type: 'closed', expected: false, error: undefined });

  it('leaves a message, and its recording is told of after the end', async ({ expect }) => {
    await using at = await place(style, MESSAGE, { agent });
    const call = await at.on.connected(at.calls);
    die(at.on);
    await call.next('beep', undefined, 15_000);
    expect((await at.on.event('ended')).reason).toBe('provider-failed');
    await call.speak(SPOKEN);
    if (style === CONTROL) await call.hangUp();
    else expect(await call.pressKeys('#')).toBe(true);
    await call.ended;
    expect(call.eventsOf('say').map(({ text }) => text)).toEqual([WORDS]);
    const told = call.eventsOf('callback').filter(({ kind }) => kind === 'recording');
    expect(told).toMatchObject([{ status: 200 }]);
    const metrics = await (await fetch(`${at.on.url}/metrics`, { headers: OPERATOR })).text();
    expect(metrics).toMatch(/last_resort\w*\{type="message"\} 1/);
  });

  it.skipIf(style === CONTROL).for([
    ['answers 500', { status: 500 }],
    ['does not answer', { delayMs: 20_000 }],
  ] as const)('is led to its end also when the REST interface %s', async ([, rest], { expect }) => {
    for (const last of [SAY, TRANSFER]) {
      await using at = await place(style, last, {
        agent,
        calls: { dialResult: { status: 'completed', ringMs: 50, durationMs: 100 } },
      });
      const call = await at.on.connected({ ...at.calls, faults: { rest } });
      die(at.on);
      await call.ended;
      expect(call.eventsOf('say').map(({ text }) => text)).toEqual(last === SAY ? [WORDS] : []);
      expect(call.eventsOf('dial')).toHaveLength(last === SAY ? 0 : 1);
    }
  });
});

describe.each(DOCUMENT_STYLES)('a last resort that puts the caller through, at $name', (style) => {
  it('tells the other end what the agent has for it', async ({ expect }) => {
    const lastResort: AfterStream = { ...TRANSFER, announce: 'The booking line is out of order.' };
    await using at = await place(style, lastResort, {
      agent: { failover: { ...AGENT.failover, connectMs: 1500 } },
      calls: { dialResult: { status: 'completed', ringMs: 50, durationMs: 100 } },
    });
    const call = await at.on.connected(at.calls);
    at.on.provider.die();
    await call.next('ended');
    expect(call.eventsOf('leg-told').map(({ text }) => text)).toEqual(['The booking line is out of order.']);
  });
});

const OPERATOR = { authorization: 'Bearer operator' };

describe.concurrent.each(DOCUMENT_STYLES)(
  'a call that was ended well while REST is down, at $name',
  (style) => {
    it('rings nobody, and the next one asks as if there was no REST', async ({ expect }) => {
      await using at = await place(style, TRANSFER);
      const call = await at.on.connected({ ...at.calls, faults: { rest: { status: 500 } } });
      const { id } = await at.on.view();
      await at.on.api('POST', `/calls/${id}/hang-up`);
      expect((await at.on.event('ended')).reason).toBe('operator-hung-up');
      await at.on.logged('the call could not be hung up');
      expect(call.isOver).toBe(false);
      await call.hangUp();
      expect(call.eventsOf('dial')).toEqual([]);
      const next = at.on.dial(at.calls);
      const [document] = await Promise.all([next.next('webhook'), next.streaming]);
      expect(document.body).toContain('/after/');
      await next.hangUp();
    });
  },
);
