import { once } from 'node:events';
import { connect } from 'node:net';
import webhooks from 'twilio/lib/webhooks/webhooks.js';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Agent, lineCheckAgent } from '../src/agents.ts';
import type { BridgeOptions } from '../src/bridge-options.ts';
import type { CallEvent } from '../src/call-events.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { type Bridge, createBridge } from '../src/server.ts';
import { type CallOptions, type Exchange, startExchange } from '../src/sim/phone.ts';
import { STYLES, Service as StyledService } from './support/carrier-styles.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const TOKEN = '12345678901234567890123456789012';
const SID = `AC${'0'.repeat(31)}1`;

const AGENT: Agent = lineCheckAgent({
  instructions: undefined,
  greeting: 'Hello.',
  voice: undefined,
  language: undefined,
  audio: 'passthrough',
  maxCallMs: 600_000,
  silenceMs: 0,
});

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

interface Service {
  readonly bridge: Bridge;
  readonly exchange: Exchange;
  readonly url: string;
  readonly provider: ManualProvider;
  readonly events: CallEvent[];
  readonly log: string[];
  /** Resolves with the next event of this type. */
  event<T extends CallEvent['type']>(type: T): Promise<Extract<CallEvent, { type: T }>>;
}

/** The real service on a real port, a provider that the test plays, and an exchange that can call. */
async function service(env: Env = {}, options: Partial<BridgeOptions> = {}): Promise<Service> {
  const exchange = await startExchange();
  open.push(exchange);
  const provider = new ManualProvider();
  const events: CallEvent[] = [];
  const log: string[] = [];
  const waiting: { type: string; resolve: (event: CallEvent) => void }[] = [];
  const bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      TWILIO_ACCOUNT_SID: SID,
      TWILIO_AUTH_TOKEN: TOKEN,
      TWILIO_BASE_URL: exchange.restBaseUrl ?? '',
      ...env,
    }),
    provider,
    agent: AGENT,
    log: createLog('trace', { write: (line: string) => log.push(line) }),
    observe: (_callId, event) => {
      events.push(event);
      for (const waiter of waiting.splice(0)) {
        if (waiter.type === event.type) waiter.resolve(event);
        else waiting.push(waiter);
      }
    },
    ...options,
  });
  open.push(bridge);
  const url = await bridge.listen();
  return {
    bridge,
    exchange,
    url,
    provider,
    events,
    log,
    event: (type) =>
      new Promise((resolve) => {
        const known = events.find((event) => event.type === type);
        if (known !== undefined) resolve(known as never);
        else waiting.push({ type, resolve: (event) => resolve(event as never) });
      }),
  };
}

function dial({ exchange, url }: Service, options: Partial<CallOptions> = {}) {
  return exchange.placeCall({
    webhookUrl: `${url}/voice/twilio`,
    statusCallbackUrl: `${url}/status/twilio`,
    authToken: TOKEN,
    accountSid: SID,
    ...options,
  });
}

describe('a call', () => {
  it('goes through: webhook, stream, both voices, hang-up', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    await on.provider.ready();
    expect(on.provider.said).toEqual(['Hello.']);
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.speak(new Int16Array(1600).fill(8000));
    const report = await call.hangUp();
    expect(report).toMatchObject({ outcome: 'completed', endedBy: 'caller' });
    expect(report.warnings.size).toBe(0);
    const [webhook] = call.eventsOf('webhook');
    // Nobody is asked what comes next: this process may be gone by then.
    expect(webhook?.body).toMatch(/<Connect><Stream .*<\/Connect><Say>We are sorry.*<\/Say><Hangup\/>/);
    expect(webhook?.body).toContain(`<Parameter name="call" value="${call.callId}"/>`);
    const ended = await on.event('ended');
    expect(ended.reason).toBe('caller-hung-up');
    expect(on.bridge.calls).toBe(0);
    expect(on.provider.audio.length).toBeGreaterThanOrEqual(1600);
    expect(on.provider.closedWith).toBe('caller-hung-up');
  });

  it('is hung up by REST when the agent hangs up, before the stream is closed', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    await on.provider.ready();
    on.provider.speak('r', 'a', 200, false);
    on.provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    on.provider.emit({ type: 'responseDone', responseId: 'r', status: 'completed', reason: undefined });
    const report = await call.ended;
    expect(report).toMatchObject({ outcome: 'completed', endedBy: 'rest' });
    expect(call.eventsOf('rest').map(({ status }) => status)).toEqual([200]);
    expect(call.eventsOf('say')).toEqual([]);
    expect(report.streams).toEqual([{ how: 'carrier-stopped' }]);
    expect(on.events.at(-1)).toMatchObject({ type: 'ended', reason: 'agent-hung-up' });
  });

  it('is heard an apology when the provider dies in the middle', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    await on.provider.ready();
    on.provider.emit({ type: 'closed', expected: false, error: undefined });
    const said = await call.next('say');
    expect(said.text).toContain('technical problem');
    expect(await call.ended).toMatchObject({ endedBy: 'document' });
  });

  it('is heard an apology when the stream cannot be opened', async () => {
    const on = await service();
    const call = dial(on, { faults: { upgradeSignature: 'bad' } });
    const said = await call.next('say');
    expect(said.text).toContain('technical problem');
    await call.ended;
  });

  it.each(['retry', 'concurrent'] as const)(
    'is one session when the webhook comes twice (%s)',
    async (duplicateWebhook) => {
      const on = await service();
      const call = dial(on, { faults: { duplicateWebhook } });
      await call.streaming;
      expect(on.events.filter((event) => event.type === 'started')).toHaveLength(1);
      await call.hangUp();
    },
  );

  it('that the caller gave up before the stream was opened ends with the status callback', async () => {
    const on = await service();
    const call = dial(on, { faults: { hangUpBeforeUpgrade: true } });
    await call.ended;
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.bridge.calls).toBe(0);
  });

  it('hears a busy tone when there is no room', async () => {
    const on = await service({ MAX_CALLS: '1' });
    const first = dial(on);
    await first.streaming;
    const second = dial(on);
    expect(await second.ended).toMatchObject({ outcome: 'busy' });
    const ready = await fetch(`${on.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'full', calls: 1, maxCalls: 1 });
    await first.hangUp();
  });

  it('ends within a second when the carrier’s socket dies, and leaves nothing behind', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    await on.provider.ready();
    const at = performance.now();
    await call.destroy();
    expect((await on.event('ended')).reason).toBe('media-lost');
    expect(performance.now() - at).toBeLessThan(1000);
    expect(on.bridge.calls).toBe(0);
  });

  it('writes no number, word or token into the log', async () => {
    const on = await service();
    const call = dial(on, { from: '+14155550123', to: '+14155550199' });
    await call.streaming;
    await on.provider.ready();
    on.provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'my secret word', final: true });
    await call.pressKeys('7');
    await call.hangUp();
    await on.event('ended');
    const log = on.log.join('');
    expect(log).toContain('call answered');
    for (const secret of ['4155550123', '4155550199', 'secret word', TOKEN])
      expect(log).not.toContain(secret);
    for (const event of call.eventsOf('stream-opening'))
      expect(log).not.toContain(event.url.split('/').at(-1));
  });
});

describe('a stream that is not as it should be', () => {
  it.each(['mediaBeforeStart', 'sparseStart', 'numbersForStrings', 'unknownEvents'] as const)(
    '%s: the call goes on',
    async (fault) => {
      const on = await service();
      const call = dial(on, { faults: { [fault]: true } });
      await call.streaming;
      await on.provider.ready();
      on.provider.speak('r', 'a', 200);
      expect(await call.untilHeard(100)).toBe(true);
      await call.speak(new Int16Array(800).fill(8000));
      await call.hangUp();
      expect(on.provider.audio.length).toBeGreaterThanOrEqual(800);
    },
  );

  it.each(['omitStop', 'abruptClose'] as const)('%s: the call ends', async (fault) => {
    const on = await service();
    const call = dial(on, { faults: { [fault]: true } });
    await call.streaming;
    await call.hangUp();
    await on.event('ended');
    expect(on.bridge.calls).toBe(0);
  });

  it('is given up when it breaks, and the caller hears an apology', async () => {
    const on = await service();
    const call = dial(on, { faults: { loseSocketAtMs: 100 } });
    expect((await call.next('say')).text).toContain('technical problem');
    expect((await on.event('ended')).reason).toBe('media-lost');
    await call.ended;
  });

  it('is given up when it never starts', async () => {
    const clock = new VirtualClock();
    const on = await service({}, { clock });
    const call = dial(on, { faults: { neverStart: true } });
    await call.next('stream-opening');
    await call.answered;
    await on.provider.ready();
    await expect.poll(() => clock.pending).toBe(4);
    clock.advance(10_001);
    await call.ended;
    expect((await on.event('ended')).reason).toBe('media-lost');
  });

  it('has its holes filled', async () => {
    const on = await service();
    const call = dial(on, { faults: { dropInbound: { fromMs: 100, forMs: 300 } } });
    await on.provider.ready();
    await call.streaming;
    await call.speak(new Int16Array(8 * 800).fill(8000));
    await call.hangUp();
    await on.event('ended');
    const metrics = await (await fetch(`${on.url}/metrics`)).text();
    const filled = Number(/patchcord_uplink_filled_ms_total\{.*\} (\d+)/.exec(metrics)?.[1]);
    expect(filled).toBeGreaterThanOrEqual(280);
    expect(filled).toBeLessThanOrEqual(320);
  });
});

describe('who gets in', () => {
  it.each(['bad', 'missing'] as const)('no webhook with a %s signature', async (webhookSignature) => {
    const on = await service();
    const report = await dial(on, { faults: { webhookSignature } }).ended;
    expect(report.outcome).toBe('failed');
    expect(on.events).toEqual([]);
  });

  it.each(['bad', 'missing'] as const)('no stream with a %s signature', async (upgradeSignature) => {
    const on = await service();
    const report = await dial(on, { faults: { upgradeSignature } }).ended;
    expect(report.streams[0]).toMatchObject({ how: 'failed', errorCode: '31920', started: false });
  });

  it('no stream that uses a token a second time', async () => {
    const on = await service();
    const call = dial(on, { faults: { replayUpgrade: true } });
    expect(await call.next('replayed-upgrade')).toMatchObject({ status: 403 });
    await call.hangUp();
  });

  it('no stream that speaks of another call', async () => {
    const on = await service();
    const call = dial(on, { faults: { wrongCallId: true } });
    await call.ended;
    expect(on.provider.audio).toEqual([]);
    expect((await on.event('ended')).reason).toBe('media-lost');
  });

  it.each([
    ['/media/twilio/guess', 403],
    ['/media/nobody/guess', 404],
    ['/elsewhere', 404],
    ['/media/twilio/../../etc', 404],
  ])('no stream at %s', async (path, status) => {
    const { url } = await service();
    const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`);
    const found = await new Promise<number | undefined>((resolve) => {
      socket.on('unexpected-response', (_request, response) => {
        response.resume();
        resolve(response.statusCode);
      });
      socket.on('open', () => resolve(101));
      socket.on('error', () => resolve(undefined));
    });
    expect(found).toBe(status);
  });

  it('no client that is refused keeps its socket, or the service from stopping', async () => {
    const { url, bridge } = await service();
    const { port } = new URL(url);
    const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => {
      socket.on('close', resolve);
    });
    socket.write(
      'GET /media/twilio/guess HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 403/);
    await bridge.close();
    socket.end();
    await closed;
  });

  it('a webhook whose proxy passes the path of PUBLIC_URL on, and one whose proxy strips it', async () => {
    const on = await service({ PUBLIC_URL: 'https://voice.example.com/phone' });
    for (const path of ['/phone/voice/twilio', '/voice/twilio']) {
      const body = new URLSearchParams({
        CallSid: `CA${path.length}`,
        From: '+1',
        To: '+2',
        CallStatus: 'ringing',
      });
      const url = 'https://voice.example.com/phone/voice/twilio';
      const signature = webhooks.getExpectedTwilioSignature(TOKEN, url, Object.fromEntries(body));
      const headers = { 'x-twilio-signature': signature };
      const answer = await fetch(`${on.url}${path}`, { method: 'POST', body, headers });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain('wss://voice.example.com/phone/media/twilio/');
    }
  });

  it('everybody, when somebody said --insecure', async () => {
    const on = await service({}, { insecure: true });
    const call = dial(on, { faults: { webhookSignature: 'missing', upgradeSignature: 'missing' } });
    await call.streaming;
    await call.hangUp();
  });

  it('a simulated call to a service without a carrier, by the secret made for the run', async () => {
    const on = await service({ TWILIO_AUTH_TOKEN: '', TWILIO_ACCOUNT_SID: '' });
    expect(on.bridge.localAuthToken).toMatch(/^[0-9a-f]{32}$/);
    const wrong = await dial(on).ended;
    expect(wrong.outcome).toBe('failed');
    const call = dial(on, { authToken: on.bridge.localAuthToken });
    await call.streaming;
    await call.hangUp();
  });

  it('nobody with a body larger than 64 KiB, or at an address that does not exist', async () => {
    const { url } = await service();
    const large = await fetch(`${url}/voice/twilio`, { method: 'POST', body: 'x'.repeat(70_000) });
    expect(large.status).toBe(413);
    expect((await fetch(`${url}/voice/nobody`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${url}/`)).status).toBe(404);
  });
});

describe('operators', () => {
  it('see that it lives, that it is ready, and what it has done', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    await call.hangUp();
    await on.event('ended');
    expect(await (await fetch(`${on.url}/healthz`)).json()).toEqual({ status: 'ok' });
    const metrics = await (await fetch(`${on.url}/metrics`)).text();
    expect(metrics).toContain(
      'patchcord_calls_ended_total{reason="caller-hung-up",carrier="twilio",provider="manual"} 1',
    );
    expect(metrics).toContain('patchcord_calls_active 0');
  });

  it('need the token for the figures once there is one', async () => {
    const { url } = await service({ API_TOKEN: 'let-me-in' });
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    const headers = { authorization: 'Bearer let-me-in' };
    expect((await fetch(`${url}/metrics`, { headers })).status).toBe(200);
  });

  it('can stop it: not ready, no new calls, the live one finishes', async () => {
    const on = await service();
    const call = dial(on);
    await call.streaming;
    const drained = on.bridge.drain();
    expect((await fetch(`${on.url}/readyz`)).status).toBe(503);
    expect(await dial(on).ended).toMatchObject({ outcome: 'busy' });
    expect((await call.hangUp()).outcome).toBe('completed');
    await drained;
  });

  it('are told when the port is taken', async () => {
    const { url } = await service();
    const config = loadConfig({ PORT: new URL(url).port, HOST: '127.0.0.1' });
    await using second = await createBridge({ config, provider: new ManualProvider() });
    await expect(second.listen()).rejects.toThrow(
      /BAD_CONFIG: cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });
});

/** Telnyx places calls by Call Control only. */
describe.concurrent.each(STYLES.filter(({ name }) => name !== 'Telnyx TeXML'))(
  'closing without a drain, at $name,',
  (style) => {
    it('gives up what rings, and takes neither orders nor calls meanwhile', async ({ expect }) => {
      await using on = await StyledService.start(style, {
        exchange: { callee: () => ({ kind: 'no-answer' }) },
        calls: { faults: { rest: { delayMs: 1000 } } },
      });
      const order = { to: '+14155550188', from: '+14155550101', ringSeconds: 60 };
      expect((await on.api('POST', '/calls', order)).status).toBe(201);
      const ringing = await on.exchange.nextDialled();
      const closing = on.bridge.close();
      const [second, late] = await Promise.all([on.api('POST', '/calls', order), on.dial().ended]);
      expect(second.status).toBe(503);
      expect(late.outcome).not.toBe('completed');
      await closing;
      // By the request of the bridge; who is not reached rings for a minute.
      expect((await ringing.ended).outcome).not.toBe('no-answer');
      expect(on.events).toEqual([]);
    });
  },
);

describe.concurrent.each(STYLES)('closing while a call is up, at $name,', (style) => {
  it.for(['talking', 'being put through'] as const)(
    'ends it at the carrier too: %s',
    async (phase, { expect }) => {
      await using on = await StyledService.start(style, {
        calls: { dialResult: { status: 'completed', ringMs: 20_000, durationMs: 1000 } },
      });
      const call = await on.connected();
      if (phase === 'being put through') {
        const { id } = await on.view();
        const transfer = { to: '+14155550177', ringSeconds: 30 };
        expect((await on.api('POST', `/calls/${id}/transfer`, transfer)).status).toBe(202);
        await on.event('transfer');
      }
      await on.bridge.close();
      expect((await on.event('ended')).reason).toBe('shutdown');
      const report = await call.ended;
      expect(report).toMatchObject({ outcome: 'completed', failure: undefined });
      // Nobody talks with nobody, and no question meets a port that is closed.
      expect(call.eventsOf('leg').filter(({ status }) => status === 'answered')).toEqual([]);
    },
  );
});
