import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { defineTool, type Tool } from '../src/tools.ts';
import {
  CALLER,
  cutIn,
  type Json,
  NUMBER,
  PATIENT,
  speak,
  startService as start,
} from './support/agents-service.ts';
import { STYLES, type Style } from './support/carrier-styles.ts';
import {
  answering,
  breaking,
  hookReceiver,
  type ReceivedHook,
  SECRET,
  verified,
} from './support/hook-receiver.ts';
import { calls, says } from './support/scripted-model.ts';

/** The end webhook of an agents file: what is told of calls, and that it arrives. */

const agents = (url: string, more = '', per = ''): string => `
variables: { guest: nobody }
agents:
  booking: { instructions: "Booking for {{guest}}.", greeting: "Hello.", silence: false${per} }
numbers: [{ number: "*", agent: booking, variables: { guest: Ms Number } }]
webhooks:
  end: { url: "${url}", secret: "${SECRET}"${more} }
prices:
  currency: EUR
  providers:
    openai: { perMillionTokens: { inputText: 4, cachedText: 0.4, inputAudio: 32, cachedAudio: 0.4, outputText: 16, outputAudio: 64 } }
    gpt-transcribe: { perMillionTokens: { inputText: 1, inputAudio: 1, outputText: 1 } }
  carriers:
    twilio: { inboundPerMinute: 0.6, outboundPerMinute: 0.6, streamPerMinute: 0.06, roundUpSeconds: 60 }
`;

/** What a report says, once its signature is seen to be right. */
function dataOf(hook: ReceivedHook): Json {
  const body = verified(hook) as { readonly type: string; readonly data: Json };
  expect(body.type).toBe('call.ended');
  return body.data;
}

const bookTable = defineTool({
  name: 'book_table',
  description: 'Books.',
  parameters: z.object({ size: z.int(), card: z.string() }),
  redact: ['card'],
  run: ({ size }) => ({ booked: size }),
});

/** Never answers, and says when it runs. */
function endless(): { readonly tool: Tool; readonly runs: Promise<void> } {
  let begin = (): void => undefined;
  const runs = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const tool = defineTool({
    name: 'look_up',
    description: 'Takes for ever.',
    parameters: z.object({}),
    run: () => {
      begin();
      return new Promise<never>(() => undefined);
    },
  });
  return { tool, runs };
}

describe('the report of a call', () => {
  it('tells all of it: what was said and heard, the functions, the end, the cost', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({
      agents: agents(hook.url, '', ', tools: [book_table]'),
      tools: [bookTable],
      model: [
        calls('book_table', { size: 4, card: '4111111111111111' }, 'call_1'),
        says('A table for four is booked for you, is there anything else that I may do?', 6000),
        says('Goodbye.'),
      ],
    });
    const call = await on.connected();
    await speak(call);
    await on.event('tool');
    await on.says('A table for four is booked');
    await cutIn(call);
    await on.says('Goodbye.');
    await call.untilQuiet(200);
    await call.hangUp();
    const asked = await hook.nth(1);
    const data = dataOf(asked);
    expect(data).toMatchObject({
      callId: call.callId,
      carrier: 'twilio',
      direction: 'inbound',
      from: CALLER,
      to: NUMBER,
      agent: 'booking',
      variables: { guest: 'Ms Number' },
      providers: ['openai'],
      outcome: 'completed',
      endReason: 'caller-hung-up',
      bargeIns: 1,
      recording: null,
      machine: null,
      unpriced: [],
    });
    const transcript = data['transcript'] as readonly Json[];
    expect(transcript.map(({ role }) => role)).toEqual([
      'assistant',
      'user',
      'assistant',
      'user',
      'assistant',
    ]);
    expect(transcript[0]).toMatchObject({ text: 'Hello.', interrupted: false });
    const cut = transcript[2];
    expect(cut).toMatchObject({ interrupted: true });
    expect(String(cut?.['text'])).toContain(String(cut?.['heardText']));
    expect(String(cut?.['heardText']).length).toBeLessThan(String(cut?.['text']).length);
    const times = transcript.map(({ atMs }) => Number(atMs));
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    expect(data['toolCalls']).toMatchObject([
      { name: 'book_table', outcome: 'done', args: { size: 4, card: '[redacted]' } },
    ]);
    expect(asked.body).not.toContain('4111111111111111');
    const { usage, cost } = data as { usage: Json; cost: Json };
    expect(cost).toMatchObject({ currency: 'EUR', byCarrier: { twilio: 0.66 } });
    expect(Number(cost['total'])).toBeGreaterThan(0.66);
    expect(JSON.stringify(usage['models'])).toMatch(/outputAudio/);
    // The bridge's id of the call, by which operators know it too.
    expect((await on.api('GET', `/calls/${data['id']}`)).status).toBe(200);
    expect(asked.headers['webhook-id']).toBe(data['id']);
    expect(await on.logged('cost of a call')).toMatchObject({ cost: cost['total'], currency: 'EUR' });
    expect(await on.metrics()).toContain('patchcord_call_cost_total{currency="EUR",of="twilio"} 0.66');
    await expect
      .poll(() => on.metrics(), PATIENT)
      .toContain('patchcord_call_reports_total{outcome="delivered"} 1');
    expect(hook.received).toHaveLength(1);
  });

  it('leaves out what the file does not want to be told', async () => {
    const hook = await hookReceiver(answering(204));
    const on = await start({
      agents: agents(hook.url, ', transcript: false, args: false', ', tools: [book_table]'),
      tools: [bookTable],
      model: [calls('book_table', { size: 4, card: '4111111111111111' }), says('Done.')],
    });
    const call = await on.connected();
    await speak(call);
    await on.says('Done.');
    await call.hangUp();
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({ transcript: null, toolCalls: [{ name: 'book_table', args: null }] });
  });

  it('tells of a function that was running when the caller hung up', async () => {
    const hook = await hookReceiver(answering(200));
    const { tool, runs } = endless();
    const on = await start({
      agents: agents(hook.url, '', ', tools: [look_up]'),
      tools: [tool],
      model: [calls('look_up', {})],
    });
    const call = await on.connected();
    await speak(call);
    await runs;
    await call.hangUp();
    expect(dataOf(await hook.nth(1))).toMatchObject({
      endReason: 'caller-hung-up',
      toolCalls: [{ name: 'look_up', outcome: 'cancelled' }],
    });
    expect(hook.received).toHaveLength(1);
  });

  it('comes once when the provider dies', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url) });
    const call = await on.connected();
    await on.says('Hello.');
    await on.openai.close();
    await call.ended;
    expect(dataOf(await hook.nth(1))).toMatchObject({ endReason: 'provider-failed', outcome: 'failed' });
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });

  it('comes when the provider was never there', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({
      agents: agents(hook.url),
      openai: { faults: [{ when: { after: 'connect' }, do: 'http', status: 401 }] },
    });
    await on.dial().ended;
    expect(dataOf(await hook.nth(1))).toMatchObject({ endReason: 'provider-failed', providers: [] });
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });

  it('comes when the caller has hung up before the stream was there', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url) });
    await on.dial({ faults: { hangUpBeforeUpgrade: true } }).ended;
    const { endReason, transcript } = dataOf(await hook.nth(1));
    // The refused stream may be told before the hang-up.
    expect(['caller-hung-up', 'media-lost']).toContain(endReason);
    // The greeting may have been made by then, and nobody has heard it.
    const heard = (transcript as readonly { heardText: string | null }[]).map(({ heardText }) => heardText);
    expect(heard.filter((text) => text !== null && text !== '')).toEqual([]);
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });

  it('goes to the webhook that an agent has of its own, or nowhere', async () => {
    const [all, own] = [await hookReceiver(answering(200)), await hookReceiver(answering(200))];
    const file = agents(all.url, '', `, endWebhook: { url: "${own.url}", secret: "${SECRET}" }`)
      .replace('numbers: [', 'numbers: [{ number: "+15550100888", agent: silent }, ')
      .replace('agents:\n', 'agents:\n  silent: { instructions: Hm., endWebhook: false, silence: false }\n');
    const on = await start({ agents: file });
    const second = await on.connected({ to: '+15550100888' });
    await second.hangUp();
    const first = await on.connected();
    await first.hangUp();
    expect(dataOf(await own.nth(1))).toMatchObject({ agent: 'booking', callId: first.callId });
    await on.bridge.close();
    expect([own.received.length, all.received.length]).toEqual([1, 0]);
  });
});

describe('the report of a call that was placed', () => {
  const order = { from: NUMBER, to: '+15550100777', variables: { guest: 'Mr Order' } };

  it('and answered tells of the conversation', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url) });
    const placed = await on.api('POST', '/calls', order);
    const call = await on.exchange.nextDialled();
    await on.says('Hello.');
    await call.hangUp();
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({
      id: placed.body['id'],
      direction: 'outbound',
      outcome: 'completed',
      variables: { guest: 'Mr Order' },
    });
    expect(Date.parse(String(data['answeredAt']))).toBeGreaterThanOrEqual(
      Date.parse(String(data['startedAt'])),
    );
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });

  it.each([
    ['busy', { kind: 'busy', ringMs: 10 }, 'busy'],
    ['declined', { kind: 'rejects', ringMs: 10 }, 'busy'],
    ['not answered', { kind: 'no-answer' }, 'no-answer'],
  ] as const)('and was %s says so', async (_name, callee, outcome) => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url), exchange: { callee: () => callee, speed: 10 } });
    const placed = await on.api('POST', '/calls', { ...order, ringSeconds: 5 });
    expect(placed.status).toBe(201);
    const data = dataOf(await hook.nth(1));
    expect(data).toMatchObject({
      id: placed.body['id'],
      direction: 'outbound',
      agent: 'booking',
      outcome,
      endReason: null,
      answeredAt: null,
      durationSeconds: 0,
      transcript: [],
      variables: { guest: 'Mr Order' },
    });
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });

  it('and that the carrier refused says that it came to nothing', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url), exchange: { restFaults: { status: 400 } } });
    expect((await on.api('POST', '/calls', order)).status).toBe(502);
    expect(dataOf(await hook.nth(1))).toMatchObject({ callId: null, outcome: 'failed', answeredAt: null });
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });
});

describe('delivery', () => {
  it('goes on after the receiver was down', async () => {
    const hook = await hookReceiver(answering(503), answering(200));
    const on = await start({ agents: agents(hook.url) });
    const call = await on.connected();
    await call.hangUp();
    const first = await hook.nth(1);
    const second = await hook.nth(2);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.body).toBe(first.body);
    expect(dataOf(second)).toMatchObject({ callId: call.callId });
    await expect
      .poll(
        () => readdirSync(join(on.folder.path, 'data', 'outbox')).filter((name) => name.endsWith('.json')),
        PATIENT,
      )
      .toEqual([]);
    expect(await on.metrics()).toMatch(/patchcord_call_reports_total\{outcome="retried"\} 1/);
  });

  it('goes on after the service was started again, with the secret of the file', async () => {
    const hook = await hookReceiver(breaking);
    const on = await start({ agents: agents(hook.url) });
    const call = await on.connected();
    await call.hangUp();
    await hook.nth(1);
    await on.bridge.close();
    const before = hook.received.length;
    const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    on.folder.write('agents.yaml', agents(hook.url).replace(SECRET, secret));
    hook.answer(answering(200));
    await on.startBridge();
    const late = await hook.nth(before + 1);
    const body = verified(late, secret) as { readonly data: Json };
    expect(body.data).toMatchObject({ callId: call.callId, endReason: 'caller-hung-up' });
    await on.bridge.close();
    expect(hook.received).toHaveLength(before + 1);
  });

  it('of calls that end because the service stops is made before it has stopped', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url) });
    const both = [await on.connected(), await on.connected()];
    await on.bridge.close();
    await Promise.all(both.map(({ ended }) => ended));
    expect(hook.received.map((one) => dataOf(one)['endReason'])).toEqual(['shutdown', 'shutdown']);
  });
});

describe('a report that waits for a recording', () => {
  it('is sent without it when the service stops', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url, '', ', recording: true') });
    const call = await on.connected();
    await call.next('rest', ({ operation }) => /record/i.test(operation));
    // The carrier falls silent, and tells of no recording.
    await call.destroy();
    await on.event('ended');
    await expect
      .poll(() => readdirSync(join(on.folder.path, 'data', 'outbox')).length, PATIENT)
      .toBeGreaterThan(0);
    expect(hook.received).toEqual([]);
    await on.bridge.close();
    expect(hook.received.map((one) => dataOf(one)['recording'])).toEqual([null]);
  });
});

describe.each(STYLES)('a call that is recorded at $name', (style: Style) => {
  it('is recorded from the first second, and its report tells where', async () => {
    const hook = await hookReceiver(answering(200));
    const on = await start({ agents: agents(hook.url, '', ', recording: true'), styles: [style] });
    const call = await on.connected();
    await call.next('rest', ({ operation }) => /record/i.test(operation));
    await on.says('Hello.');
    await call.untilQuiet(200);
    await call.hangUp();
    const { recording } = dataOf(await hook.nth(1)) as { readonly recording: Json };
    expect(String(recording['url'])).toMatch(/^https?:\/\//);
    await on.bridge.close();
    expect(hook.received).toHaveLength(1);
  });
});
