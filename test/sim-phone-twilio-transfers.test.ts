import { describe, expect, it } from 'vitest';
import type { CallOptions } from '../src/sim/phone/call-terms.ts';
import { until } from './support/hand-bridge.ts';
import { allSigned, atTwilio, HUMAN, OURS } from './support/twilio-place.ts';

describe('transfers of the simulated Twilio', () => {
  const dial = (inner: string, attributes = ''): string =>
    `<Dial action="/after" method="POST" ${attributes}>${inner}</Dial><Say>never</Say>`;
  const number = (more = '', target = HUMAN): string =>
    `<Number statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed" ${more}>${target}</Number>`;

  /** A call in its stream, which REST then leads to `/transfer`. */
  async function transferred(verbs: string, options: Partial<CallOptions> = {}) {
    const place = await atTwilio();
    place.answers['/transfer'] = verbs;
    place.answers['/after'] = '<Say>back</Say>';
    const { call, media } = await place.inbound(options);
    await place.client.calls(call.callId).update({ url: place.at('/transfer'), method: 'POST' });
    return { place, call, media };
  }

  it('stop the stream, ring, whisper, connect, and ask what comes next', async () => {
    const { place, call, media } = await transferred(
      dial(number('url="/whisper" method="GET"'), `callerId="${OURS}" timeout="20"`),
      { dialResult: { status: 'completed', ringMs: 6000, durationMs: 61_400 } },
    );
    await using _ = place;
    place.answers['/whisper'] =
      '<Say>a caller for you</Say><Pause length="2"/><Redirect>/whisper/2</Redirect>';
    place.answers['/whisper/2'] = '<Play>https://x.example/chime.mp3</Play>';
    expect(await media.closed).toBe(1000);
    expect(media.messages.at(-1)).toMatchObject({ event: 'stop', stop: { callSid: call.callId } });
    await call.next('leg', ({ status }) => status === 'ringing');
    place.clock.advance(6000);
    await call.next('leg-told');
    await until(() => place.clock.pending > 0);
    place.clock.advance(2000);
    await call.next('leg', ({ status }) => status === 'in-progress');
    // So much time at once would be too long for callbacks that are still under way.
    await until(() => call.eventsOf('callback').length === 3);
    place.clock.advance(61_400);
    await call.ended;
    expect(call.eventsOf('dial')).toMatchObject([{ targets: [HUMAN], callerId: OURS }]);
    expect(call.eventsOf('leg-told').map(({ text, atMs }) => [text, atMs])).toEqual([
      ['a caller for you', 6000],
      ['https://x.example/chime.mp3', 8000],
    ]);
    expect(call.eventsOf('leg').map(({ status, atMs }) => [status, atMs])).toEqual([
      ['ringing', 0],
      ['in-progress', 8000],
      ['completed', 69_400],
    ]);
    // The caller hears neither what was whispered nor what stands behind the Dial.
    expect(call.eventsOf('say')).toMatchObject([{ text: 'back' }]);
    const legs = place.asked('/leg').map(({ form }) => form);
    const bySequence = [...legs].sort((a, b) => Number(a['SequenceNumber']) - Number(b['SequenceNumber']));
    expect(bySequence.map((form) => [form['CallStatus'], form['CallDuration']])).toEqual([
      ['initiated', undefined],
      ['ringing', undefined],
      ['in-progress', undefined],
      ['completed', '63'],
    ]);
    const [leg] = legs;
    expect(leg).toMatchObject({
      ParentCallSid: call.callId,
      Direction: 'outbound-dial',
      From: OURS,
      To: HUMAN,
    });
    expect(leg?.['CallSid']).toMatch(/^CA[0-9a-f]{32}$/);
    expect(leg?.['CallSid']).not.toBe(call.callId);
    const [whisper] = place.asked('/whisper');
    expect(whisper?.method).toBe('GET');
    expect(whisper?.target).toContain(`CallSid=${leg?.['CallSid']}`);
    expect(whisper?.target).toContain(`ParentCallSid=${call.callId}`);
    expect(place.asked('/after')).toMatchObject([
      {
        form: {
          CallSid: call.callId,
          CallStatus: 'in-progress',
          DialCallStatus: 'completed',
          DialCallSid: leg?.['CallSid'],
          DialCallDuration: '63',
          DialBridged: 'true',
        },
      },
    ]);
    expect(allSigned(place.bridge)).toBe(true);
    expect([...call.warnings.keys()]).toEqual([]);
  });

  it.each([
    [{ status: 'busy', ringMs: 2000, durationMs: 0 }, 2000, 'busy'],
    [{ status: 'failed', ringMs: 100, durationMs: 0 }, 100, 'failed'],
    [{ status: 'no-answer', durationMs: 0 }, 10_000, 'no-answer'],
    [{ status: 'completed', ringMs: 10_001, durationMs: 0 }, 10_000, 'no-answer'],
  ] as const)('that come to nothing, with %j, lead back', async (dialResult, ms, status) => {
    const { place, call } = await transferred(dial(number('url="/whisper"'), 'timeout="10"'), { dialResult });
    await using _ = place;
    await call.next('leg');
    place.clock.advance(ms);
    await call.ended;
    expect(place.asked('/after')[0]?.form).toMatchObject({ DialCallStatus: status, DialBridged: 'false' });
    expect(place.asked('/after')[0]?.form['DialCallDuration']).toBeUndefined();
    expect(place.asked('/whisper')).toEqual([]);
    const statuses = place.asked('/leg').map(({ form }) => form['CallStatus']);
    expect(statuses.sort()).toEqual(['initiated', 'ringing', status].sort());
    expect(call.eventsOf('say')).toMatchObject([{ text: 'back' }]);
  });

  it('to somebody who hangs up while being told were never bridged, though they count as completed', async () => {
    const { place, call } = await transferred(dial(number('url="/whisper"')));
    await using _ = place;
    place.answers['/whisper'] = '<Say>a caller</Say><Hangup/>';
    await call.ended;
    expect(call.eventsOf('leg-told')).toMatchObject([{ text: 'a caller' }]);
    expect(call.eventsOf('leg').some(({ status }) => status === 'in-progress')).toBe(false);
    expect(place.asked('/after')[0]?.form).toMatchObject({
      DialCallStatus: 'completed',
      DialBridged: 'false',
    });
  });

  it('whose announcement is no document, or asks for a stream, say so', async () => {
    const { place, call } = await transferred(dial(number('url="/none"')));
    await using _ = place;
    await call.ended;
    expect(place.asked('/after')[0]?.form).toMatchObject({ DialBridged: 'false' });
    expect([...call.warnings.keys()]).toEqual([expect.stringMatching(/^1\d{4}: /)]);
    const other = await transferred(dial(number('url="/odd"')));
    await using __ = other.place;
    other.place.answers['/odd'] =
      '<Connect><Stream url="wss://x.example/"/></Connect><Dial>+14155550188</Dial>';
    await other.call.ended;
    expect(other.place.asked('/after')[0]?.form).toMatchObject({ DialBridged: 'true' });
    expect([...other.call.warnings.keys()]).toEqual([
      expect.stringContaining('"connect" is not for the other leg'),
      expect.stringContaining('"dial" is not for the other leg'),
    ]);
  });

  it('ring SIP addresses and clients, and several at once, of whom one takes it', async () => {
    const two =
      '<Sip statusCallback="/sip">sip:desk@pbx.example.com</Sip><Client statusCallback="/client">desk</Client>';
    const { place, call } = await transferred(dial(two));
    await using _ = place;
    await call.ended;
    expect(call.eventsOf('dial')).toMatchObject([{ targets: ['sip:desk@pbx.example.com', 'desk'] }]);
    expect(place.asked('/sip').map(({ form }) => form['CallStatus'])).toEqual(['completed']);
    expect(place.asked('/client').map(({ form }) => form['CallStatus'])).toEqual(['no-answer']);
    expect([...call.warnings.keys()]).toEqual([]);
  });

  it.each([
    ['<Number>nobody</Number>', '13224'],
    ['<Sip>desk</Sip>', '13224'],
    ['<Conference>room</Conference>', '12200'],
    ['', '12200'],
  ])('to %s fail at once with %s', async (inner, code) => {
    const { place, call } = await transferred(dial(inner));
    await using _ = place;
    await call.ended;
    expect(place.asked('/after')[0]?.form).toMatchObject({ DialCallStatus: 'failed' });
    expect([...call.warnings.keys()].some((text) => text.startsWith(code))).toBe(true);
  });

  it('warn of odd times and a caller id that is none, and of what is not simulated', async () => {
    const { place, call } = await transferred(
      dial(number('machineDetection="Enable" colour="red"'), 'callerId="me" timeout="soon" record="true"'),
    );
    await using _ = place;
    await call.ended;
    const codes = [...call.warnings.keys()].map((text) => text.slice(0, 5)).sort();
    expect(codes).toEqual(['12200', '12200', '12200', '13212', '13214']);
  });

  it('end with the caller: a leg that rings is cancelled, and one that talks is over', async () => {
    const dialResult = { status: 'completed', ringMs: 5000, durationMs: 60_000 } as const;
    const settings = { actionAfterHangUp: 'yes' };
    const { place, call } = await transferred(dial(number()), { dialResult, settings });
    await using _ = place;
    await call.next('leg');
    place.clock.advance(1000);
    expect(await call.hangUp()).toMatchObject({ endedBy: 'caller', outcome: 'completed' });
    expect(place.asked('/leg').map(({ form }) => form['CallStatus'])).toContain('canceled');
    expect(place.asked('/after')).toMatchObject([
      { form: { CallStatus: 'completed', DialCallStatus: 'canceled', DialBridged: 'false' } },
    ]);
    expect(place.clock.pending).toBe(0);
    const talking = await transferred(dial(number()), { dialResult });
    await using __ = talking.place;
    await talking.call.next('leg');
    talking.place.clock.advance(5000);
    await talking.call.next('leg', ({ status }) => status === 'in-progress');
    talking.place.clock.advance(10_000);
    await talking.call.hangUp();
    const over = talking.place.asked('/leg').find(({ form }) => form['CallStatus'] === 'completed');
    expect(over?.form['CallDuration']).toBe('10');
    // Without the setting nobody is asked what comes after the end.
    expect(talking.place.asked('/after')).toEqual([]);
  });

  it('end for the other leg when another document takes their place, and may then be tried elsewhere', async () => {
    const { place, call } = await transferred(dial(number()), {
      dialResult: (target) => ({
        status: target === HUMAN ? 'completed' : 'busy',
        ringMs: 1000,
        durationMs: 90_000,
      }),
    });
    await using _ = place;
    await call.next('leg');
    place.clock.advance(1000);
    await call.next('leg', ({ status }) => status === 'in-progress');
    place.answers['/second'] = dial(number('', '+14155550199'));
    await place.client.calls(call.callId).update({ url: place.at('/second') });
    await call.next('leg', ({ target, status }) => target !== HUMAN && status === 'ringing');
    place.clock.advance(1000);
    await call.ended;
    const ends = place
      .asked('/leg')
      .flatMap(({ form }) => (form['CallDuration'] === undefined ? [] : [[form['To'], form['CallStatus']]]));
    expect(ends).toEqual([
      [HUMAN, 'completed'],
      ['+14155550199', 'busy'],
    ]);
    expect(place.asked('/after')).toMatchObject([{ form: { DialCallStatus: 'busy' } }]);
  });

  it('let the caller hear it ring until the other leg is there, when they are told to', async () => {
    await using place = await atTwilio();
    place.answers['/voice'] = dial(number('url="/whisper"'), 'answerOnBridge="true"');
    place.answers['/whisper'] = '<Pause length="3"/>';
    place.answers['/after'] = '<Hangup/>';
    const call = place.exchange.placeCall({
      webhookUrl: place.at('/voice'),
      dialResult: { status: 'completed', ringMs: 4000, durationMs: 20_000 },
    });
    await call.next('leg');
    place.clock.advance(4000);
    await until(() => place.asked('/whisper').length > 0);
    await call.next('webhook', ({ url }) => url.endsWith('/whisper'));
    await until(() => place.clock.pending > 0);
    expect(call.handle.isAnswered).toBe(false);
    expect((await place.client.calls(call.callId).fetch()).status).toBe('ringing');
    place.clock.advance(3000);
    await call.answered;
    expect(call.eventsOf('answered')).toMatchObject([{ atMs: 7000 }]);
    await call.next('leg', ({ status }) => status === 'in-progress');
    place.clock.advance(20_000);
    expect(await call.ended).toMatchObject({ durationMs: 20_000 });
  });

  it('end with the exchange and with a caller who leaves during the announcement', async () => {
    const dialResult = { status: 'completed', durationMs: 60_000 } as const;
    const { place, call } = await transferred(dial(number('url="/whisper"')), { dialResult });
    place.answers['/whisper'] = '<Say>a caller</Say><Pause length="9"/>';
    await call.next('leg-told');
    await until(() => place.clock.pending > 0);
    expect(await call.hangUp()).toMatchObject({ endedBy: 'caller' });
    expect(place.asked('/leg').map(({ form }) => form['CallStatus'])).toContain('completed');
    expect(place.clock.pending).toBe(0);
    const { call: other } = await place.inbound({ dialResult });
    await place.client.calls(other.callId).update({ url: place.at('/transfer') });
    await other.next('leg-told');
    await place[Symbol.asyncDispose]();
    expect(await other.ended).toMatchObject({ endedBy: 'exchange' });
    expect(place.clock.pending).toBe(0);
  });

  it('that nobody takes go on with the next verb when there is no action, and are told of once', async () => {
    const { place, call } = await transferred(`<Dial>${number()}</Dial><Say>sorry</Say><Pause length="9"/>`, {
      dialResult: { status: 'busy', durationMs: 0 },
    });
    await using _ = place;
    await call.next('pause');
    expect(call.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    await call.hangUp();
    const statuses = place.asked('/leg').map(({ form }) => form['CallStatus']);
    expect(statuses.sort()).toEqual(['busy', 'initiated', 'ringing']);
  });

  it('last no longer than they may', async () => {
    const { place, call } = await transferred(dial(number(), 'timeLimit="30"'), {
      dialResult: { status: 'completed', durationMs: 3_600_000 },
    });
    await using _ = place;
    await call.next('leg', ({ status }) => status === 'in-progress');
    place.clock.advance(30_000);
    await call.ended;
    expect(place.asked('/after')[0]?.form['DialCallDuration']).toBe('30');
  });
});

describe('documents of the simulated Twilio', () => {
  it('press keys, which takes its time and is in the log', async () => {
    await using place = await atTwilio();
    place.answers['/keys'] = '<Play digits="ww12#"/><Redirect method="POST">/after</Redirect>';
    place.answers['/after'] = '<Say>pressed</Say>';
    const { call, media } = await place.inbound();
    await place.client.calls(call.callId).update({ url: place.at('/keys') });
    expect(await media.closed).toBe(1000);
    await call.next('agent-keys');
    // Two pauses of half a second and three keys.
    place.clock.advance(1599);
    expect(place.asked('/after')).toEqual([]);
    place.clock.advance(1);
    await call.ended;
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: 'ww12#' }]);
    expect(call.eventsOf('say')).toMatchObject([{ text: 'pressed', atMs: 1600 }]);
    // Whoever hangs up meanwhile does not wait for the keys.
    place.answers['/voice'] = '<Play digits="WWWWWWWWWW"/>';
    const gone = place.exchange.placeCall({ webhookUrl: place.at('/voice') });
    await gone.next('agent-keys');
    await gone.hangUp();
    expect(place.clock.pending).toBe(0);
  });

  it('bring a second stream with an id of its own for the same call', async () => {
    await using place = await atTwilio();
    const { call, media } = await place.inbound();
    const again = place.bridge.media();
    place.answers['/again'] = `<Connect><Stream url="ws://${place.bridge.host}/media/tok_2"/></Connect>`;
    await place.client.calls(call.callId).update({ url: place.at('/again') });
    const second = await again;
    await second.count('start', 1);
    expect(await media.closed).toBe(1000);
    expect(media.messages.at(-1)).toMatchObject({ event: 'stop' });
    expect(second.streamSid).not.toBe(media.streamSid);
    expect(second.of('start')[0]).toMatchObject({ sequenceNumber: '1', start: { callSid: call.callId } });
  });

  it('start a stream that only listens, while the call goes on', async () => {
    await using place = await atTwilio();
    place.answers['/voice'] =
      `<Start><Stream url="ws://${place.bridge.host}/m" track="both_tracks"/></Start><Pause length="5"/>`;
    const connected = place.bridge.media();
    const call = place.exchange.placeCall({ webhookUrl: place.at('/voice') });
    const media = await connected;
    await media.count('start', 1);
    await call.next('pause');
    media.play(100);
    await until(() => call.warnings.size > 0);
    expect([...call.warnings.keys()]).toEqual([expect.stringMatching(/^31924: /)]);
    place.clock.advance(5000);
    expect(await call.ended).toMatchObject({ heardBytes: 0, endedBy: 'document' });
    expect(await media.closed).toBe(1000);
  });

  it('are asked for their action also when the caller is gone, where that is wanted', async () => {
    await using place = await atTwilio({ defaults: { settings: { actionAfterHangUp: 'yes' } } });
    place.answers['/voice'] =
      `<Connect action="/after"><Stream url="ws://${place.bridge.host}/m"/></Connect>`;
    const { call } = await place.inbound();
    await call.hangUp();
    expect(place.asked('/after')).toMatchObject([{ form: { CallStatus: 'completed' } }]);
    expect(allSigned(place.bridge)).toBe(true);
    // A document that was replaced is not asked about.
    const { call: other } = await place.inbound();
    await place.client.calls(other.callId).update({ twiml: '<Response><Hangup/></Response>' });
    await other.ended;
    expect(place.asked('/after')).toHaveLength(1);
  });

  it('can have their status callback moved by REST', async () => {
    await using place = await atTwilio();
    const { call } = await place.inbound();
    await place.client.calls(call.callId).update({ statusCallback: place.at('/moved') });
    await call.hangUp();
    expect(place.asked('/moved')).toMatchObject([{ form: { CallStatus: 'completed' } }]);
  });
});
