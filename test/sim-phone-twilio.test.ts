import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { readWav } from '../src/audio/wav.ts';
import type { Callee } from '../src/sim/phone/callee.ts';
import { nextTurn, TOKEN, tone, until } from './support/hand-bridge.ts';
import { ACCOUNT, allSigned, atTwilio, HUMAN, OURS, sdk, told } from './support/twilio-place.ts';

const EVENTS = ['initiated', 'ringing', 'answered', 'completed'];

describe('a call that the bridge places through Twilio', () => {
  it('rings, is led by its address when somebody took it, and is told about in order and signed', async () => {
    await using place = await atTwilio({ callee: { kind: 'human', ringMs: 4000, says: tone(300) } });
    const { created, call } = await place.order({
      url: place.at('/voice?ref=r%201'),
      statusCallback: place.at('/status?ref=r1'),
      statusCallbackEvent: EVENTS,
    });
    expect(created).toMatchObject({
      sid: call.callId,
      status: 'queued',
      direction: 'outbound-api',
      to: HUMAN,
    });
    await told(call, 'ringing');
    expect(place.asked('/voice')).toEqual([]);
    expect((await place.client.calls(call.callId).fetch()).status).toBe('ringing');
    place.clock.advance(4000);
    await call.streaming;
    expect(place.asked('/voice')).toMatchObject([
      {
        method: 'POST',
        form: { CallStatus: 'in-progress', Direction: 'outbound-api', From: OURS, To: HUMAN },
      },
    ]);
    place.clock.advance(2600);
    const live = await place.client.calls(call.callId).fetch();
    expect(live).toMatchObject({ status: 'in-progress', duration: null, endTime: null });
    expect(live.startTime?.toISOString()).toBe('2026-01-02T03:04:09.000Z');
    await place.client.calls(call.callId).update({ status: 'completed' });
    expect(await call.ended).toMatchObject({ endedBy: 'rest', outcome: 'completed' });
    const forms = place.asked('/status').map(({ form }) => form);
    expect(forms.map((form) => [form['CallStatus'], form['SequenceNumber'], form['CallDuration']])).toEqual([
      ['initiated', '0', undefined],
      ['ringing', '1', undefined],
      ['in-progress', '2', undefined],
      ['completed', '3', '3'],
    ]);
    expect(forms[3]).toMatchObject({ SipResponseCode: '200', CallSid: call.callId });
    expect(allSigned(place.bridge)).toBe(true);
    const dead = await place.client.calls(call.callId).fetch();
    expect(dead).toMatchObject({ status: 'completed', duration: '3', answeredBy: null });
    expect(call.eventsOf('caller-speaking')).toHaveLength(1);
  });

  it('tells its end only, unless the order names the events, and by the method of the order', async () => {
    await using place = await atTwilio();
    place.answers['/voice'] = '<Hangup/>';
    const { call } = await place.order({
      statusCallback: place.at('/status'),
      statusCallbackMethod: 'GET',
      method: 'GET',
    });
    place.clock.advance(1000);
    await call.ended;
    expect(place.asked('/voice')).toMatchObject([{ method: 'GET' }]);
    const [only, ...more] = place.asked('/status');
    expect(more).toEqual([]);
    expect(only?.method).toBe('GET');
    expect(only?.target).toContain('CallStatus=completed');
    expect(only?.target).toContain('SequenceNumber=0');
    expect(allSigned(place.bridge)).toBe(true);
    const odd = await place.order({ statusCallback: place.at('/odd'), statusCallbackEvent: ['picked-up'] });
    place.clock.advance(1000);
    await odd.call.ended;
    expect(place.asked('/odd')).toMatchObject([{ form: { CallStatus: 'completed' } }]);
    expect([...odd.call.warnings.keys()]).toEqual([expect.stringMatching(/^21626: /)]);
  });

  it('asks nobody when the order brought the document, and the fallback when there is no answer', async () => {
    await using place = await atTwilio();
    const given = await place.order({
      url: undefined,
      twiml: '<Response><Say>from the order</Say></Response>',
    });
    place.clock.advance(1000);
    await given.call.ended;
    expect(given.call.eventsOf('say')).toMatchObject([{ text: 'from the order' }]);
    expect(place.bridge.requests).toEqual([]);
    // Where both are given the document is ignored.
    place.answers['/voice'] = '<Say>from the bridge</Say>';
    const both = await place.order({ twiml: '<Response><Say>from the order</Say></Response>' });
    place.clock.advance(1000);
    await both.call.ended;
    expect(both.call.eventsOf('say')).toMatchObject([{ text: 'from the bridge' }]);
    place.answers['/sorry'] = '<Say>sorry</Say>';
    const lost = await place.order({ url: place.at('/nothing'), fallbackUrl: place.at('/sorry') });
    place.clock.advance(1000);
    await lost.call.ended;
    expect(lost.call.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    expect(place.asked('/sorry')).toMatchObject([{ form: { ErrorUrl: place.at('/nothing') } }]);
  });

  it.each([
    [{ kind: 'busy', ringMs: 500 }, 500, 'busy', '486'],
    [{ kind: 'no-answer' }, 20_000, 'no-answer', '487'],
    [{ kind: 'human', ringMs: 21_000 }, 20_000, 'no-answer', '487'],
    [{ kind: 'rejects', ringMs: 700 }, 700, 'busy', '603'],
    [{ kind: 'unreachable', ringMs: 100 }, 100, 'failed', '404'],
  ] as const)('comes to nothing with %j', async (callee, ms, status, code) => {
    await using place = await atTwilio({ callee });
    const { call } = await place.order({ timeout: 20, statusCallback: place.at('/status') });
    place.clock.advance(ms - 1);
    expect(call.isOver).toBe(false);
    place.clock.advance(1);
    expect(await call.ended).toMatchObject({ durationMs: 0, streams: [] });
    expect(place.bridge.requests).toMatchObject([
      { target: '/status', form: { CallStatus: status, SipResponseCode: code, CallDuration: '0' } },
    ]);
    const dead = await place.client.calls(call.callId).fetch();
    expect(dead).toMatchObject({ status, duration: '0', startTime: null });
    await expect(place.client.calls(call.callId).update({ status: 'completed' })).rejects.toMatchObject({
      status: 400,
      code: 21220,
    });
  });

  it('rings for a minute when the order does not say how long', async () => {
    await using place = await atTwilio({ callee: { kind: 'no-answer' } });
    const { call } = await place.order();
    place.clock.advance(59_999);
    expect(call.isOver).toBe(false);
    place.clock.advance(1);
    expect((await call.ended).outcome).toBe('no-answer');
  });

  it('can be cancelled while it rings, and not any more when it was taken', async () => {
    await using place = await atTwilio({ callee: { kind: 'human', ringMs: 4000 } });
    for (const status of ['canceled', 'completed'] as const) {
      const { call } = await place.order({ statusCallback: place.at(`/${status}`) });
      const twiml = '<Response><Say>too early</Say></Response>';
      await expect(place.client.calls(call.callId).update({ twiml })).rejects.toMatchObject({ code: 21220 });
      await place.client.calls(call.callId).update({ status });
      expect(await call.ended).toMatchObject({ outcome: 'canceled', endedBy: 'rest' });
      expect(place.asked(`/${status}`)).toMatchObject([{ form: { CallStatus: 'canceled' } }]);
    }
    const { call } = await place.order();
    place.clock.advance(4000);
    await call.streaming;
    const updated = await place.client.calls(call.callId).update({ status: 'canceled' });
    expect(updated.status).toBe('in-progress');
    expect(call.isOver).toBe(false);
    await call.hangUp();
    expect(place.clock.pending).toBe(0);
  });

  it('is signed for the public address of a bridge that listens elsewhere', async () => {
    const host = 'https://bridge.example.com';
    await using place = await atTwilio({ defaults: { publicUrl: host } }, true);
    place.answers['/voice'] = '<Play digits="WW1"/><Redirect>/next</Redirect>';
    place.answers['/next'] = '<Hangup/>';
    const { call } = await place.order({
      url: `${host}/voice?ref=1`,
      statusCallback: `${host}/status`,
      machineDetection: 'Enable',
      asyncAmd: 'true',
      asyncAmdStatusCallback: '/machine',
    });
    place.clock.advance(1000);
    await call.next('agent-keys');
    place.clock.advance(2000);
    await told(call, 'human');
    place.clock.advance(200);
    await call.ended;
    expect(place.bridge.requests.map(({ target }) => target)).toEqual([
      '/voice?ref=1',
      '/machine',
      '/next',
      '/status',
    ]);
    expect(allSigned(place.bridge, host)).toBe(true);
  });

  it('ends in an error when the document that REST gave it is none', async () => {
    await using place = await atTwilio();
    const { call } = await place.inbound();
    await place.client.calls(call.callId).update({ twiml: '<Response><Say>open</Response>' });
    const report = await call.ended;
    expect(report.failure).toContain('12100');
    expect(call.handle.status).toBe('completed');
  });

  it('presses the keys of the order, which is instead of a detection', async () => {
    await using place = await atTwilio();
    const { call } = await place.order({
      sendDigits: 'ww12#',
      machineDetection: 'Enable',
      asyncAmd: 'true',
      asyncAmdStatusCallback: place.at('/machine'),
    });
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(2000);
    await nextTurn();
    expect(call.handle.machine).toBeUndefined();
    await call.hangUp();
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: 'ww12#', atMs: 1000 }]);
    expect(place.asked('/machine')).toEqual([]);
    expect([...call.warnings.keys()].filter((text) => text.includes('SendDigits'))).toHaveLength(1);
  });

  it('ends when its time is up, also when the time is set later', async () => {
    await using place = await atTwilio();
    const limited = await place.order({ timeLimit: 90 });
    place.clock.advance(1000);
    await limited.call.streaming;
    place.clock.advance(89_999);
    expect(limited.call.isOver).toBe(false);
    place.clock.advance(1);
    expect(await limited.call.ended).toMatchObject({ endedBy: 'carrier', durationMs: 90_000 });
    const { call } = await place.order({ timeLimit: 90 });
    place.clock.advance(1000);
    await call.streaming;
    await place.client.calls(call.callId).update({ timeLimit: 30 });
    await place.client.calls(call.callId).update({ timeLimit: 40 });
    place.clock.advance(30_000);
    await nextTurn();
    expect(call.isOver).toBe(false);
    place.clock.advance(10_000);
    expect(await call.ended).toMatchObject({ durationMs: 40_000 });
    expect(place.clock.pending).toBe(0);
  });

  it.each([
    [{ to: '' }, 21201],
    [{ from: '' }, 21213],
    [{ to: '0123' }, 21211],
    [{ to: '+1 415 555 0123' }, 21211],
    [{ from: '4155550101' }, 21212],
    [{ from: 'client:agent' }, 21212],
    [{ url: undefined }, 21205],
    [{ url: 'bridge.example.com/voice' }, 21205],
    [{ url: '/voice' }, 21205],
    [{ twiml: `<Response><Say>${'x'.repeat(4000)}</Say></Response>` }, 20001],
    [{ sendDigits: '12p' }, 21206],
    [{ sendDigits: '1'.repeat(33) }, 21206],
    [{ timeout: 0 }, 21208],
    [{ timeLimit: -1 }, 21208],
    [{ method: 'PUT' }, 21209],
    [{ statusCallback: 'status' }, 21609],
    [{ machineDetection: 'Maybe' }, 20001],
  ])('is refused with %j as %i', async (more, code) => {
    await using place = await atTwilio();
    await expect(place.order(more)).rejects.toMatchObject({ status: 400, code });
    expect(place.exchange.liveCalls).toBe(0);
  });

  it('rings addresses that are no numbers', async () => {
    await using place = await atTwilio();
    for (const to of ['sip:desk@pbx.example.com', 'client:desk']) {
      const { created, call } = await place.order({ to, from: 'client:agent' });
      expect(created.to).toBe(to);
      await place.client.calls(call.callId).update({ status: 'canceled' });
      await call.ended;
    }
  });

  it('is refused without the right credentials, and when there are too many orders', async () => {
    await using place = await atTwilio({ restFaults: { status: 429, times: 1, delayMs: 5000 } });
    const order = { to: HUMAN, from: OURS, url: place.at('/voice') };
    const refused = expect(place.client.calls.create(order)).rejects.toMatchObject({
      status: 429,
      code: 20429,
    });
    await until(() => place.clock.pending > 0);
    place.clock.advance(5000);
    await refused;
    const wrong = expect(sdk(place.exchange.restBaseUrl, 'wrong').calls.create(order)).rejects.toMatchObject({
      status: 401,
      code: 20003,
    });
    await until(() => place.clock.pending > 0);
    place.clock.advance(5000);
    await wrong;
    expect(place.exchange.liveCalls).toBe(0);
    const served = place.order();
    await until(() => place.clock.pending > 0);
    place.clock.advance(5000);
    expect((await served).created.status).toBe('queued');
  });
});

describe('answering-machine detection of the simulated Twilio', () => {
  const callees: Readonly<Record<'human' | 'machine' | 'silent' | 'endless', Callee>> = {
    human: { kind: 'human', ringMs: 1000 },
    machine: { kind: 'machine', ringMs: 1000, greeting: tone(3000) },
    silent: { kind: 'machine', ringMs: 1000, greeting: tone(3000), beeps: false },
    endless: { kind: 'machine', ringMs: 1000, greeting: tone(40_000) },
  };

  it.each([
    ['Enable', 'human', 'human', 2000],
    ['Enable', 'machine', 'machine_start', 2000],
    ['DetectMessageEnd', 'human', 'human', 2000],
    ['DetectMessageEnd', 'machine', 'machine_end_beep', 3500],
    ['DetectMessageEnd', 'silent', 'machine_end_silence', 3000],
    ['DetectMessageEnd', 'endless', 'unknown', 30_000],
  ] as const)('in the background with %s tells of a %s once: %s', async (mode, callee, answeredBy, ms) => {
    await using place = await atTwilio({ callee: callees[callee] });
    const { call } = await place.order({
      machineDetection: mode,
      asyncAmd: 'true',
      asyncAmdStatusCallback: place.at('/machine?ref=1'),
      asyncAmdStatusCallbackMethod: 'POST',
    });
    place.clock.advance(1000);
    // The bridge leads the call from the start.
    await call.streaming;
    expect(place.asked('/voice')[0]?.form['AnsweredBy']).toBeUndefined();
    place.clock.advance(2000);
    await until(() => call.handle.machine !== undefined);
    await nextTurn();
    place.clock.advance(ms - 2000);
    await until(() => call.eventsOf('callback').some(({ kind }) => kind === 'machine'));
    place.clock.advance(14_000);
    await nextTurn();
    await call.hangUp();
    expect(place.asked('/machine').map(({ form }) => form)).toEqual([
      {
        CallSid: call.callId,
        AccountSid: ACCOUNT,
        AnsweredBy: answeredBy,
        MachineDetectionDuration: String(ms),
      },
    ]);
    expect(allSigned(place.bridge)).toBe(true);
  });

  it.each([
    ['Enable', 'machine', 'machine_start', 3000],
    ['Enable', 'human', 'human', 3000],
    ['DetectMessageEnd', 'machine', 'machine_end_beep', 4500],
  ] as const)(
    'that the order waits for, with %s, for a %s, comes with the first request',
    async (mode, callee, answeredBy, ms) => {
      await using place = await atTwilio({ callee: callees[callee] });
      const { call } = await place.order({
        machineDetection: mode,
        asyncAmdStatusCallback: place.at('/machine'),
      });
      place.clock.advance(1000);
      await call.answered;
      await until(() => place.clock.pending > 0);
      place.clock.advance(2000);
      if (ms > 3000) {
        await until(() => call.handle.machine === 'machine' && place.clock.pending > 0);
        expect(place.asked('/voice')).toEqual([]);
        place.clock.advance(1500);
      }
      await call.streaming;
      expect(place.asked('/voice')).toMatchObject([{ form: { AnsweredBy: answeredBy } }]);
      expect(call.eventsOf('webhook')[0]?.atMs).toBe(ms);
      expect((await place.client.calls(call.callId).fetch()).answeredBy).toBe(answeredBy);
      await call.hangUp();
      expect(place.asked('/machine')).toEqual([]);
    },
  );

  it('that the order waits for can be cut short by either side', async () => {
    await using place = await atTwilio({ callee: callees.machine });
    for (const end of ['rest', 'caller'] as const) {
      const { call } = await place.order({ machineDetection: 'DetectMessageEnd' });
      place.clock.advance(1000);
      await call.answered;
      if (end === 'rest') await place.client.calls(call.callId).update({ status: 'completed' });
      else await call.hangUp();
      expect(await call.ended).toMatchObject({ outcome: 'completed', endedBy: end });
    }
    expect(place.bridge.requests).toEqual([]);
    expect(place.clock.pending).toBe(0);
  });

  it('gives up a greeting when the order says so', async () => {
    await using place = await atTwilio({ callee: callees.machine });
    const { call } = await place.order({
      machineDetection: 'DetectMessageEnd',
      machineDetectionTimeout: 3,
      asyncAmd: 'true',
      asyncAmdStatusCallback: place.at('/machine'),
    });
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(2000);
    await until(() => call.handle.machine === 'machine');
    await nextTurn();
    place.clock.advance(5000);
    await told(call, 'unknown');
    await until(() => call.handle.machine === 'greeting-ended-beep');
    await call.hangUp();
    expect(place.asked('/machine')).toHaveLength(1);
  });

  it('can be made to say anything, and nobody hears it without an address', async () => {
    await using place = await atTwilio({
      callee: callees.human,
      defaults: { settings: { answeredBy: 'fax' } },
    });
    const { call } = await place.order({ machineDetection: 'Enable', asyncAmd: 'true' });
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(2000);
    await until(() => call.handle.machine !== undefined);
    expect((await place.client.calls(call.callId).fetch()).answeredBy).toBe('fax');
    expect([...call.warnings.keys()]).toEqual([expect.stringMatching(/^21262: /)]);
    place.answers['/later'] = '<Hangup/>';
    await place.client.calls(call.callId).update({ url: place.at('/later') });
    await call.ended;
    expect(place.asked('/later')[0]?.form['AnsweredBy']).toBeUndefined();
    expect(call.eventsOf('callback').filter(({ kind }) => kind === 'machine')).toEqual([]);
  });
});

describe('recordings of the simulated Twilio', () => {
  const wavOf = async (url: string | undefined) => {
    const basic = Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64');
    const response = await fetch(`${url}.wav`, { headers: { authorization: `Basic ${basic}` } });
    expect(response.headers.get('content-type')).toBe('audio/x-wav');
    return readWav(new Uint8Array(await response.arrayBuffer()));
  };

  it('begin and end by request, tell it signed, and hold both sides from then to then', async () => {
    await using place = await atTwilio();
    const { call, media } = await place.inbound();
    media.play(20_000, 0x00);
    place.clock.advance(100);
    await until(() => call.handle.heard.length > 0);
    const recordings = place.client.calls(call.callId).recordings;
    const begun = await recordings.create({
      recordingChannels: 'dual',
      recordingStatusCallback: place.at('/recorded'),
      recordingStatusCallbackEvent: ['in-progress', 'completed'],
    });
    expect(begun).toMatchObject({ status: 'in-progress', channels: 2, source: 'StartCallRecordingAPI' });
    await told(call, 'in-progress');
    call.speak(tone(1000)).catch(() => {});
    await new Promise<void>((resolve) => {
      media.socket.once('pong', () => resolve());
      media.socket.ping();
    });
    place.clock.advance(2000);
    const stopped = await recordings('Twilio.CURRENT').update({ status: 'stopped' });
    expect(stopped).toMatchObject({ sid: begun.sid, status: 'completed', duration: '2' });
    await told(call, 'completed');
    const forms = place.asked('/recorded').map(({ form }) => form);
    expect(forms.map((form) => [form['RecordingStatus'], form['RecordingDuration']])).toEqual([
      ['in-progress', undefined],
      ['completed', '2'],
    ]);
    expect(forms[1]).toMatchObject({ RecordingSid: begun.sid, RecordingChannels: '2', CallSid: call.callId });
    expect(allSigned(place.bridge)).toBe(true);
    const wav = await wavOf(forms[1]?.['RecordingUrl']);
    expect([wav.channels, wav.rate, wav.frames]).toEqual([2, 8000, 16_000]);
    expect(wav.channel(0).some((sample) => sample > 4000)).toBe(true);
    expect(wav.channel(1)[12_000]).toBe(-32_124);
    await expect(recordings('Twilio.CURRENT').update({ status: 'stopped' })).rejects.toMatchObject({
      status: 404,
      code: 20404,
    });
    expect(await recordings(begun.sid).fetch()).toMatchObject({ status: 'completed' });
    expect(await recordings.list()).toHaveLength(1);
    expect(await place.client.recordings(begun.sid).remove()).toBe(true);
    await call.hangUp();
    expect(place.asked('/recorded')).toHaveLength(2);
  });

  it('end with the call, leave pauses out, and are absent when there was nothing', async () => {
    await using place = await atTwilio();
    const { call } = await place.inbound();
    const recordings = place.client.calls(call.callId).recordings;
    const callback = { recordingStatusCallback: place.at('/recorded') };
    const first = await recordings.create(callback);
    place.clock.advance(3000);
    await recordings(first.sid).update({ status: 'paused' });
    place.clock.advance(5000);
    await recordings(first.sid).update({ status: 'in-progress' });
    place.clock.advance(1000);
    await recordings.create({ ...callback, recordingStatusCallbackEvent: ['absent'] });
    await call.hangUp();
    const forms = place.asked('/recorded').map(({ form }) => form);
    expect(forms.map((form) => [form['RecordingStatus'], form['RecordingDuration']]).sort()).toEqual([
      ['absent', '0'],
      ['completed', '4'],
    ]);
    const wav = await wavOf(forms.find((form) => form['RecordingStatus'] === 'completed')?.['RecordingUrl']);
    expect([wav.channels, wav.frames]).toEqual([1, 32_000]);
    await expect(recordings.create(callback)).rejects.toMatchObject({ status: 400, code: 21220 });
  });

  it('come with the last status callback when the order wanted one', async () => {
    await using place = await atTwilio();
    const { call } = await place.order({
      record: true,
      recordingStatusCallback: place.at('/recorded'),
      statusCallback: place.at('/status'),
    });
    await expect(place.client.calls(call.callId).recordings.create({})).rejects.toMatchObject({
      code: 21220,
    });
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(1000);
    await call.hangUp();
    const [status] = place.asked('/status');
    const [recorded] = place.asked('/recorded');
    expect(recorded?.form).toMatchObject({ RecordingSource: 'OutboundAPI', RecordingDuration: '1' });
    expect(status?.form['RecordingSid']).toBe(recorded?.form['RecordingSid']);
    expect((await wavOf(status?.form['RecordingUrl'])).frames).toBe(8000);
  });
});

describe('faults of the simulated Twilio on a call that was placed', () => {
  it('sign callbacks wrongly, send them twice, and in reverse', async () => {
    await using place = await atTwilio({
      defaults: { faults: { webhookSignature: 'bad', duplicateCallbacks: true, reverseProgress: true } },
    });
    const { call } = await place.order({
      statusCallback: place.at('/status'),
      statusCallbackEvent: EVENTS,
      machineDetection: 'Enable',
      asyncAmd: 'true',
      asyncAmdStatusCallback: place.at('/machine'),
    });
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(2000);
    await until(() => place.asked('/machine').length === 2);
    await call.hangUp();
    const numbers = place.asked('/status').map(({ form }) => form['SequenceNumber']);
    expect(numbers).toEqual(['3', '3', '2', '2', '1', '1', '0', '0']);
    const [first, second] = place
      .asked('/machine')
      .map(({ headers }) => headers['i-twilio-idempotency-token']);
    expect(first).toBe(second);
    for (const { headers, target, form } of place.bridge.requests) {
      const signature = String(headers['x-twilio-signature']);
      expect(twilio.validateRequest(TOKEN, signature, place.bridge.url + target, form)).toBe(false);
    }
  });

  it.each([
    [404, 20404],
    [400, 21220],
    [500, 20500],
    [503, 20503],
  ] as const)('answer a hang-up with %i once', async (status, code) => {
    await using place = await atTwilio();
    const { call } = await place.inbound({ faults: { rest: { status, times: 1 } } });
    const update = () => place.client.calls(call.callId).update({ status: 'completed' });
    await expect(update()).rejects.toMatchObject({ status, code });
    expect(call.isOver).toBe(false);
    await update();
    expect(await call.ended).toMatchObject({ endedBy: 'rest' });
  });
});
