import { readFileSync } from 'node:fs';
import { describe, it } from 'vitest';
import { endCall } from '../src/tools/built-in.ts';
import { AGENT, Service, type ServiceOptions, STYLES } from './support/carrier-styles.ts';

/** The same sentences for every carrier, through its simulated HTTP, REST and media sockets. */

const OTHER = '+14155550177';
const speech = readFileSync(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url));

describe.concurrent.each(STYLES)('a call by $name', (style) => {
  const start = (options?: ServiceOptions): Promise<Service> => Service.start(style, options);

  it('goes both ways until the caller hangs up', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    expect(on.provider.said).toEqual(['Hello.']);
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.speak(new Int16Array(1600).fill(8000));
    const report = await call.hangUp();
    expect(report).toMatchObject({ outcome: 'completed', endedBy: 'caller', failure: undefined });
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.provider.audio.length).toBeGreaterThan(1600);
    expect(await on.view()).toMatchObject({ carrier: style.carrier, status: 'ended', direction: 'inbound' });
    expect([...report.warnings.keys()].filter((text) => !text.startsWith('31921'))).toEqual([]);
  });

  it('is hung up by the agent, after the goodbye was heard', async ({ expect }) => {
    await using on = await start({ agent: { tools: [endCall] } });
    const call = await on.connected();
    on.provider.emit({ type: 'toolCall', responseId: 'r', callId: 'f', name: 'end_call', args: '{}' });
    await expect.poll(() => on.provider.results).toHaveLength(1);
    on.provider.speak('bye', 'b', 300);
    const report = await call.ended;
    expect((await on.event('ended')).reason).toBe('agent-hung-up');
    expect(report.outcome).toBe('completed');
    expect(['document', 'rest']).toContain(report.endedBy);
    expect(report.heardBytes).toBeGreaterThanOrEqual(2400);
  });

  it('lets the caller cut in, and says how much was heard', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    on.provider.speak('r', 'a', 3000, false);
    await call.untilHeard(500);
    on.provider.emit({ type: 'speechStarted', itemId: undefined });
    const clear = await call.next('clear');
    const [heard] = (await on.event('bargeIn')).heard;
    expect(clear.droppedBytes).toBeGreaterThan(0);
    // On a busy machine the clear is late. What was sent ahead of what was heard is a whole second; test/playout.test.ts
    // has the position to the millisecond.
    expect(Math.abs((heard?.playedMs ?? 0) - clear.stretchBytes / 8)).toBeLessThan(600);
    // What comes of the cut response later is kept from the caller.
    const before = call.heard.length;
    on.provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(800).fill(0x55) });
    await call.untilQuiet(300);
    expect(call.heard.length).toBeGreaterThan(before);
    expect((await call.hangUp()).heardBytes).toBeLessThan(2500 * 8);
  });

  it('tells the agent of keys, once each, as one input', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    expect(await call.pressKeys('1123#')).toBe(true);
    await expect.poll(() => on.provider.texts.length).toBe(1);
    expect(on.provider.texts[0]).toMatchObject({
      text: 'The caller pressed the keys 1123.',
      options: { digits: '1123' },
    });
    await call.hangUp();
    await on.event('ended');
    expect(on.events.filter(({ type }) => type === 'digit')).toHaveLength(5);
    expect(on.provider.texts).toHaveLength(1);
    expect(on.log.join('\n')).not.toContain('1123');
  });

  it('has keys pressed for the other end, and goes on', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    const { id } = await on.view();
    expect(await on.api('POST', `/calls/${id}/digits`, { digits: '42#' })).toMatchObject({
      body: { status: 'ok' },
    });
    expect((await call.next('agent-keys')).digits).toBe('42#');
    // Where the stream was away for it, the agent goes on after it has come back.
    if (style.carrier === 'twilio') await on.event('mediaStarted', (event) => event.atMs > 100);
    on.provider.speak('r', 'a', 400);
    expect(await call.untilHeard(300)).toBe(true);
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
  });

  it('is put through to somebody who answers', async ({ expect }) => {
    await using on = await start({
      calls: { dialResult: { status: 'completed', ringMs: 200, durationMs: 400 } },
    });
    const call = await on.connected();
    const { id } = await on.view();
    const order = { to: OTHER, callerId: '+14155550101', announce: 'A caller with a question.' };
    expect(await on.api('POST', `/calls/${id}/transfer`, order)).toMatchObject({ body: { status: 'ok' } });
    const told = await call.next('leg-told');
    expect(told.text).toBe('A caller with a question.');
    expect((await on.event('ended')).reason).toBe('transferred');
    const report = await call.ended;
    expect(report).toMatchObject({ outcome: 'completed', failure: undefined });
    expect(call.eventsOf('leg').map(({ target }) => target.replace('+', ''))).toContain(OTHER.slice(1));
    expect(call.eventsOf('say')).toEqual([]);
    expect(await on.view()).toMatchObject({ endReason: 'transferred', outcome: 'completed' });
  });

  it.for(['no-answer', 'busy'] as const)(
    'has its caller back when a transfer comes to nothing: %s',
    async (status, { expect }) => {
      await using on = await start({ calls: { dialResult: { status, ringMs: 200, durationMs: 0 } } });
      const call = await on.connected();
      const { id } = await on.view();
      expect(await on.api('POST', `/calls/${id}/transfer`, { to: OTHER, ringSeconds: 5 })).toMatchObject({
        body: { status: 'ok' },
      });
      const failed = await on.event('transfer', (event) => event.status === 'failed');
      expect(failed.outcome).toBe(status);
      await expect.poll(() => on.provider.texts.length).toBe(1);
      expect(on.provider.texts[0]?.text).toContain(
        status === 'busy' ? 'the line is busy' : 'nobody answered',
      );
      on.provider.speak('r', 'a', 400);
      expect(await call.untilHeard(300)).toBe(true);
      expect(on.provider.closedWith).toBeUndefined();
      await call.hangUp();
      expect((await on.event('ended')).reason).toBe('caller-hung-up');
    },
  );

  it('gives its agent the last word of the service when the provider dies', async ({ expect }) => {
    // The same one is dialled once more, and does not come back.
    await using on = await start({ agent: { failover: { ...AGENT.failover, connectMs: 1500 } } });
    const call = await on.connected();
    on.provider.emit({ type: 'closed', expected: false, error: undefined });
    const report = await call.ended;
    expect((await on.event('ended')).reason).toBe('provider-failed');
    expect(call.eventsOf('say')).toHaveLength(1);
    expect(report.outcome).toBe('completed');
  });

  it('is ended by an operator', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    const { id } = await on.view();
    expect(await on.api('POST', `/calls/${id}/hang-up`)).toMatchObject({ body: { status: 'ok' } });
    await call.ended;
    expect((await on.event('ended')).reason).toBe('operator-hung-up');
    expect(await on.api('POST', `/calls/${id}/hang-up`)).toMatchObject({ status: 409 });
  });

  it('is recorded by the carrier for as long as it is wanted', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    const { id } = await on.view();
    expect(await on.api('POST', `/calls/${id}/recording`)).toMatchObject({ body: { status: 'ok' } });
    await call.speak(new Int16Array(1600).fill(8000));
    expect(await on.api('DELETE', `/calls/${id}/recording`)).toMatchObject({ body: { status: 'ok' } });
    const { url } = await on.event('recording');
    expect(url).toMatch(/^https?:\/\//);
    await call.hangUp();
  });

  it('asks for it in the words of the carrier', async ({ expect }) => {
    await using on = await start({ calls: { dialResult: { status: 'busy', ringMs: 100, durationMs: 0 } } });
    const call = await on.connected();
    const { id } = await on.view();
    await on.api('POST', `/calls/${id}/transfer`, { to: OTHER, callerId: '+14155550101', ringSeconds: 5 });
    await on.event('transfer', (event) => event.status === 'failed');
    await expect.poll(() => on.provider.texts.length).toBe(1);
    // Where the stream was away it has to be back before the next order.
    const streams = style.name === 'Telnyx Call Control' ? 1 : 2;
    const opened = (): number => on.events.filter(({ type }) => type === 'mediaStarted').length;
    await expect.poll(opened).toBe(streams);
    await on.api('POST', `/calls/${id}/digits`, { digits: '42#' });
    await call.next('agent-keys');
    await expect.poll(opened, { timeout: 5000 }).toBe(streams + (style.carrier === 'twilio' ? 1 : 0));
    await on.api('POST', `/calls/${id}/recording`);
    await on.api('DELETE', `/calls/${id}/recording`);
    await on.api('POST', `/calls/${id}/hang-up`);
    await call.ended;
    const asked = call.eventsOf('rest').map(({ operation }) => plainly(operation, on, call.callId));
    expect(asked).toEqual(REQUESTS[style.name]);
    expect(call.eventsOf('rest').map(({ status }) => status >= 200 && status < 300)).not.toContain(false);
  });

  it('brings the provider the same samples as any other carrier', async ({ expect }) => {
    await using on = await start();
    const call = await on.connected();
    await call.speak(speech);
    await call.hangUp();
    await on.event('ended');
    const heard = Buffer.from(on.provider.audio);
    const said = Buffer.from(call.sent);
    // From the first frame that was not silence on, byte by byte.
    const first = said.findIndex((byte) => byte !== 0xff);
    const at = heard.indexOf(said.subarray(first, first + 160));
    expect(at).toBeGreaterThanOrEqual(0);
    const length = Math.min(said.length - first, heard.length - at);
    expect(length).toBeGreaterThan(8 * 2900);
    expect(heard.subarray(at, at + length).equals(said.subarray(first, first + length))).toBe(true);
  });
});

/** One call that is transferred in vain, has keys pressed, is recorded and hung up, as each carrier is asked for it. */
const REQUESTS: Readonly<Record<string, readonly string[]>> = {
  Twilio: [
    'POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/{call}.json Url={url}/after/twilio/{token}&Method=POST',
    'POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/{call}.json Url={url}/after/twilio/{token}&Method=POST',
    'POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/{call}/Recordings.json RecordingChannels=dual&RecordingStatusCallback={url}/status/twilio&RecordingStatusCallbackEvent=completed',
    'POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/{call}/Recordings/Twilio.CURRENT.json Status=stopped',
    'POST /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/{call}.json Status=completed',
  ],
  'Telnyx TeXML': [
    'POST /v2/texml/Accounts/61bf923e-5e4d-4595-a110-56190ea18a1b/Calls/{call} Url={url}/after/telnyx/{token}&Method=POST',
    'POST /v2/calls/{call}/actions/send_dtmf {"command_id":"{uuid}","digits":"42#"}',
    'POST /v2/calls/{call}/actions/record_start {"command_id":"{uuid}","format":"wav","channels":"dual","client_state":{"of":"{call}"}}',
    'POST /v2/calls/{call}/actions/record_stop {"command_id":"{uuid}"}',
    'POST /v2/calls/{call}/actions/hangup {"command_id":"{uuid}"}',
  ],
  'Telnyx Call Control': [
    'POST /v2/calls/{call}/actions/answer {"command_id":"{uuid}","send_silence_when_idle":true}',
    'POST /v2/calls/{call}/actions/streaming_start {"command_id":"{uuid}","stream_url":"{ws}/media/telnyx/{token}","stream_track":"inbound_track","stream_codec":"default","stream_bidirectional_mode":"rtp","stream_bidirectional_codec":"PCMU","stream_bidirectional_sampling_rate":8000,"stream_bidirectional_target_legs":"self","stream_auth_token":"{secret}","client_state":{"agent":"line-check"},"custom_parameters":[{"name":"call","value":"{call}"},{"name":"agent","value":"line-check"}]}',
    'POST /v2/calls/{call}/actions/transfer {"command_id":"{uuid}","to":"+14155550177","from":"+14155550101","timeout_secs":5,"target_leg_client_state":{"transferOf":"{call}"}}',
    'POST /v2/calls/{call}/actions/send_dtmf {"command_id":"{uuid}","digits":"42#"}',
    'POST /v2/calls/{call}/actions/record_start {"command_id":"{uuid}","format":"wav","channels":"dual","client_state":{"of":"{call}"}}',
    'POST /v2/calls/{call}/actions/record_stop {"command_id":"{uuid}"}',
    'POST /v2/calls/{call}/actions/hangup {"command_id":"{uuid}"}',
  ],
  Plivo: [
    'POST /v1/Account/MASIMULATEDPLIVO0001/Call/{call}/ {"legs":"aleg","aleg_url":"{url}/after/plivo/{token}","aleg_method":"POST"}',
    'POST /v1/Account/MASIMULATEDPLIVO0001/Call/{call}/Record/ {"file_format":"wav","time_limit":86400,"callback_url":"{url}/status/plivo","callback_method":"POST"}',
    'DELETE /v1/Account/MASIMULATEDPLIVO0001/Call/{call}/Record/',
    'DELETE /v1/Account/MASIMULATEDPLIVO0001/Call/{call}/',
  ],
};

/** A request with names in the place of what is different every time, and base64 state read. */
function plainly(operation: string, on: Service, callId: string): string {
  const [, form] = /^(?:POST|GET) \S+ ([^{].*)$/.exec(operation) ?? [];
  const text = form === undefined ? operation : operation.replace(form, decodeURIComponent(form));
  return text
    .replaceAll(callId, '{call}')
    .replaceAll(on.url, '{url}')
    .replaceAll(on.url.replace('http', 'ws'), '{ws}')
    .replace(/\/(after|media)\/(\w+)\/[\w-]{32,}/g, '/$1/$2/{token}')
    .replace(/"stream_auth_token":"[\w-]+"/, '"stream_auth_token":"{secret}"')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?="[,}])/g, '{uuid}')
    .replace(/(client_state":)"([\w+/=]+)"/g, (_all, name: string, state: string) => {
      return name + Buffer.from(state, 'base64').toString().replaceAll(callId, '{call}');
    });
}

const ORDER = { to: OTHER, from: '+14155550101' };

/** Telnyx places calls by Call Control, whichever way calls come in. */
describe.concurrent.each(STYLES.filter(({ name }) => name !== 'Telnyx TeXML'))(
  'a call placed at $name',
  (style) => {
    const start = (options?: ServiceOptions): Promise<Service> => Service.start(style, options);

    it('is a conversation when a human answers', async ({ expect }) => {
      await using on = await start({ exchange: { callee: () => ({ kind: 'human', ringMs: 200 }) } });
      expect(await on.api('POST', '/calls', ORDER)).toMatchObject({ status: 201 });
      const call = await on.exchange.nextDialled();
      await call.streaming;
      await on.provider.ready();
      on.provider.speak('r', 'a', 400);
      expect(await call.untilHeard(300)).toBe(true);
      expect(await on.view()).toMatchObject({ direction: 'outbound', status: 'in-progress', to: OTHER });
      await call.hangUp();
      await expect.poll(async () => (await on.view()).outcome).toBe('completed');
      expect(on.events.filter(({ type }) => type === 'started')).toHaveLength(1);
    });

    it('leaves its message after the beep when a machine answers', async ({ expect }) => {
      await using on = await start({
        exchange: {
          callee: () => ({ kind: 'machine', ringMs: 200, greeting: speech }),
        },
      });
      const machineDetection = { mode: 'leave-message', message: 'Please call us back.' };
      expect(await on.api('POST', '/calls', { ...ORDER, machineDetection })).toMatchObject({ status: 201 });
      const call = await on.exchange.nextDialled();
      await call.streaming;
      await on.provider.ready();
      await on.event('machine', (event) => event.result !== 'human');
      await expect.poll(() => on.provider.insisted, { timeout: 15_000 }).toEqual(['Please call us back.']);
      on.provider.speak('m', 'm', 400);
      const report = await call.ended;
      expect((await on.event('ended')).reason).toBe('message-left');
      expect(report.heardBytes).toBeGreaterThanOrEqual(3200);
    }, 30_000);

    it('is over when a machine answers that nobody wants', async ({ expect }) => {
      await using on = await start({
        exchange: { callee: () => ({ kind: 'machine', ringMs: 200, greeting: speech }) },
      });
      expect(
        await on.api('POST', '/calls', { ...ORDER, machineDetection: { mode: 'hang-up' } }),
      ).toMatchObject({ status: 201 });
      const call = await on.exchange.nextDialled();
      await call.streaming;
      await on.provider.ready();
      await call.ended;
      expect((await on.event('ended')).reason).toBe('machine-answered');
      expect(await on.view()).toMatchObject({ machine: 'machine', endReason: 'machine-answered' });
    }, 15_000);

    it('is busy', async ({ expect }) => {
      await using on = await start({ exchange: { callee: () => ({ kind: 'busy', ringMs: 200 }) } });
      expect(await on.api('POST', '/calls', ORDER)).toMatchObject({ status: 201 });
      await expect.poll(async () => (await on.view()).outcome, { timeout: 5000 }).toBe('busy');
      expect(on.events).toEqual([]);
    });

    it('is not answered', async ({ expect }) => {
      await using on = await start({ exchange: { callee: () => ({ kind: 'no-answer' }) } });
      expect(await on.api('POST', '/calls', { ...ORDER, ringSeconds: 5 })).toMatchObject({ status: 201 });
      await expect.poll(async () => (await on.view()).outcome, { timeout: 9000 }).toBe('no-answer');
      expect(on.events).toEqual([]);
    }, 15_000);

    it('is given up while it rings', async ({ expect }) => {
      await using on = await start({ exchange: { callee: () => ({ kind: 'no-answer' }) } });
      const { body } = await on.api('POST', '/calls', ORDER);
      const { id } = body as { id: string };
      const call = await on.exchange.nextDialled();
      expect(await on.api('POST', `/calls/${id}/hang-up`)).toMatchObject({ body: { status: 'ok' } });
      expect((await call.ended).outcome).toBe('canceled');
      expect(await on.view()).toMatchObject({ status: 'ended', outcome: 'canceled' });
    });
  },
);
