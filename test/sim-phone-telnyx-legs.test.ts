import { describe, expect, it } from 'vitest';
import type { Callee } from '../src/sim/phone/callee.ts';
import { nextTurn, tone, until } from './support/hand-bridge.ts';
import { CONNECTION, isSigned, OURS, Place, refusal, state, THEIRS } from './support/telnyx-place.ts';

const ORDER = { connection_id: CONNECTION, from: OURS, to: THEIRS };

/** An order by the published client, and the call that it leads to. */
async function dial(place: Place, more: Partial<Parameters<Place['client']['calls']['dial']>[0]> = {}) {
  const dialled = place.exchange.nextDialled();
  const { data } = await place.client.calls.dial({
    ...ORDER,
    webhook_url: place.at('/events/telnyx?ref=r1'),
    client_state: state('ref r1'),
    ...more,
  });
  return { data, call: await dialled };
}

describe('a call that the bridge places through Telnyx', () => {
  it('is an event, rings, is answered by a human, and is led by commands', async () => {
    await using place = await Place.open({ callee: { kind: 'human', ringMs: 4000, says: tone(300) } });
    const { data, call } = await dial(place);
    expect(data).toMatchObject({ call_control_id: call.callId, is_alive: false, record_type: 'call' });
    const initiated = await place.event('call.initiated');
    expect(initiated.payload).toMatchObject({
      call_control_id: call.callId,
      call_leg_id: data?.call_leg_id,
      call_session_id: data?.call_session_id,
      connection_id: CONNECTION,
      client_state: state('ref r1'),
      direction: 'outgoing',
      from: OURS,
      to: THEIRS,
    });
    expect(initiated.request.target).toBe('/events/telnyx?ref=r1');
    await place.pass(4000);
    await place.event('call.answered');
    expect(await refusal(place.client.calls.actions.answer(call.callId, {}))).toMatchObject({ status: 422 });
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, {
      stream_url: place.stream,
      stream_bidirectional_mode: 'rtp',
    });
    const media = await connected;
    await call.streaming;
    place.clock.advance(100);
    await media.count('media', 5);
    await call.hangUp();
    expect(place.types()).toEqual([
      'call.initiated',
      'call.answered',
      'streaming.started',
      'streaming.stopped',
      'call.hangup',
    ]);
    // The one who was called is the callee.
    expect((await place.event('call.hangup')).payload).toMatchObject({
      hangup_cause: 'normal_clearing',
      hangup_source: 'callee',
    });
    for (const { request } of place.events()) expect(await isSigned(request)).toBe(true);
    expect(call.warnings.size).toBe(0);
  });

  it('opens its stream by itself when the order asks for one', async () => {
    await using place = await Place.open();
    const connected = place.bridge.media();
    await dial(place, {
      stream_url: place.stream,
      stream_bidirectional_mode: 'rtp',
      stream_bidirectional_sampling_rate: 8000,
      stream_auth_token: 'abc',
      record: 'record-from-answer',
      record_format: 'wav',
    });
    await place.pass(1000);
    const media = await connected;
    expect(media.headers['x-telnyx-streaming-auth-token']).toBe('abc');
    await place.client.calls.actions.hangup(
      (await place.event('call.answered')).payload['call_control_id'] as string,
      {},
    );
    expect((await place.event('call.recording.saved')).payload['channels']).toBe('dual');
  });

  it.each([
    [{ kind: 'busy', ringMs: 500 }, 500, {}, 'busy', ['user_busy', 'callee', '486']],
    [{ kind: 'rejects', ringMs: 500 }, 500, {}, 'rejected', ['call_rejected', 'callee', '603']],
    [{ kind: 'unreachable', ringMs: 500 }, 500, {}, 'failed', ['not_found', 'unknown', '404']],
    [{ kind: 'no-answer' }, 20_000, { timeout_secs: 20 }, 'no-answer', ['timeout', 'caller', '487']],
    [
      { kind: 'human', ringMs: 21_000 },
      20_000,
      { timeout_secs: 20, retry_on_timeout: false },
      'no-answer',
      ['no_answer', 'caller', '487'],
    ],
  ] as const)('comes to nothing with %j', async (callee: Callee, ms, more, outcome, words) => {
    await using place = await Place.open({ callee });
    const { call } = await dial(place, more);
    await place.event('call.initiated');
    await place.pass(ms);
    expect(await call.ended).toMatchObject({ outcome, durationMs: 0 });
    const { payload } = await place.event('call.hangup');
    expect([payload['hangup_cause'], payload['hangup_source'], payload['sip_hangup_cause']]).toEqual(words);
    expect(place.types()).toEqual(['call.initiated', 'call.hangup']);
  });

  it('can be given up while it rings', async () => {
    await using place = await Place.open({ callee: { kind: 'human', ringMs: 4000 } });
    const { call } = await dial(place);
    expect((await place.client.calls.retrieveStatus(call.callId)).data?.is_alive).toBe(true);
    await place.client.calls.actions.hangup(call.callId, {});
    expect(await call.ended).toMatchObject({ outcome: 'canceled', endedBy: 'rest' });
    expect((await place.event('call.hangup')).payload['hangup_cause']).toBe('originator_cancel');
    expect(place.clock.pending).toBe(0);
  });

  it('ends at its time limit', async () => {
    await using place = await Place.open();
    const { call } = await dial(place, { time_limit_secs: 60 });
    await place.pass(1000);
    await call.answered;
    place.clock.advance(60_000);
    await call.ended;
    expect((await place.event('call.hangup')).payload).toMatchObject({ hangup_cause: 'time_limit' });
  });

  const MACHINE: Callee = { kind: 'machine', ringMs: 1000, greeting: tone(3000) };
  const SILENT: Callee = { ...MACHINE, beeps: false };
  it.each([
    ['detect', MACHINE, ['detection machine']],
    ['greeting_end', MACHINE, ['detection machine', 'greeting beep_detected']],
    ['detect_words', SILENT, ['detection machine', 'greeting ended']],
    ['detect_beep', MACHINE, ['greeting beep_detected']],
    ['detect_beep', SILENT, []],
    ['premium', MACHINE, ['premium.detection machine', 'premium.greeting beep_detected']],
    ['premium', SILENT, ['premium.detection machine', 'premium.greeting no_beep_detected']],
    ['premium', { kind: 'human' }, ['premium.detection human_residence']],
    ['greeting_end', { kind: 'human' }, ['detection human']],
    ['disabled', MACHINE, []],
  ] as const)('finds out who took it: %s, %j', async (mode, callee: Callee, found) => {
    await using place = await Place.open({ callee });
    const { call } = await dial(place, { answering_machine_detection: mode });
    await place.pass(1000);
    await call.answered;
    for (let i = 0; i < 6; i++) {
      await nextTurn();
      place.clock.advance(1000);
    }
    await call.hangUp();
    const machine = place.events().filter(({ type }) => type.startsWith('call.machine.'));
    expect(machine.map(({ type, payload }) => `${type.slice(13, -6)} ${String(payload['result'])}`)).toEqual(
      found,
    );
  });

  it.each(['not_sure', 'fax_detected', 'silence'])('may find out no more than %s', async (detection) => {
    await using place = await Place.open({ defaults: { settings: { detection } } });
    const { call } = await dial(place, { answering_machine_detection: 'premium' });
    await place.pass(1000);
    await call.answered;
    await place.pass(2000);
    const { payload } = await place.event('call.machine.premium.detection.ended');
    expect(payload['result']).toBe(detection);
  });

  it.each([
    [{}, ['10004', '10004', '10004']],
    [{ ...ORDER, to: '4155550199' }, ['10016']],
    [{ ...ORDER, to: [] }, ['10016']],
    [{ ...ORDER, timeout_secs: 4 }, ['10033']],
    [{ ...ORDER, answering_machine_detection: 'on' }, ['10032']],
    [{ ...ORDER, client_state: 'ä' }, ['10015']],
    [{ ...ORDER, webhook_url: '/events' }, ['10003']],
    [{ ...ORDER, bridge_on_answer: true }, ['10004']],
    [{ ...ORDER, link_to: `v3:${'x'.repeat(40)}` }, ['90015']],
  ])('is checked before anybody is rung: %j', async (body, codes) => {
    await using place = await Place.open();
    expect(await refusal(place.client.post('/calls', { body }))).toEqual({ status: 422, codes });
    expect(place.exchange.liveCalls).toBe(0);
  });

  it('is placed once when the order comes twice with one id, and warns of what is unknown', async () => {
    await using place = await Place.open();
    const first = await dial(place, { command_id: 'one', ['machine' as never]: 'yes' as never });
    const again = await place.client.calls.dial({ ...ORDER, command_id: 'one' });
    expect(again.data?.call_control_id).toBe(first.call.callId);
    expect(place.exchange.liveCalls).toBe(1);
    place.clock.advance(60_000);
    const later = await place.client.calls.dial({ ...ORDER, command_id: 'one' });
    expect(later.data?.call_control_id).not.toBe(first.call.callId);
    expect([...first.call.warnings.keys()]).toEqual(['unknown_parameter: dial has no parameter machine']);
  });

  it('is not placed when the carrier has a bad day', async () => {
    await using place = await Place.open({ rest: { status: 503, times: 1 } });
    expect(await refusal(place.client.calls.dial(ORDER))).toEqual({ status: 503, codes: ['10007'] });
    expect(place.exchange.liveCalls).toBe(0);
    expect((await dial(place)).call.isOver).toBe(false);
  });
});

describe('a transfer', () => {
  const words = (events: readonly { type: string; payload: Record<string, unknown> }[], caller: string) =>
    events.map(({ type, payload }) => `${payload['call_control_id'] === caller ? 'A' : 'B'} ${type}`);

  it('rings somebody, connects the two, and ends both legs when they have talked', async () => {
    await using place = await Place.open();
    const { call } = await place.streaming({
      to: OURS,
      dialResult: { status: 'completed', ringMs: 3000, durationMs: 10_000 },
    });
    await place.event('streaming.started');
    const before = place.events().length;
    await place.client.calls.actions.transfer(call.callId, {
      to: THEIRS,
      audio_url: 'https://files.example.com/whisper.mp3',
      client_state: state('caller'),
      target_leg_client_state: state('human'),
    });
    expect(await refusal(place.client.calls.actions.transfer(call.callId, { to: THEIRS }))).toMatchObject({
      status: 422,
    });
    await call.next('leg');
    place.clock.advance(3000);
    await call.next('leg-told');
    await nextTurn();
    place.clock.advance(1000);
    await call.next('leg', ({ status }) => status === 'in-progress');
    // The stream of the caller's leg goes on.
    expect(call.eventsOf('stream-ended')).toEqual([]);
    place.clock.advance(10_000);
    expect(await call.ended).toMatchObject({ endedBy: 'carrier', outcome: 'completed' });
    const events = place.events().slice(before);
    expect(words(events, call.callId)).toEqual([
      'B call.initiated',
      'B call.answered',
      'A call.bridged',
      'B call.bridged',
      'B call.hangup',
      'A streaming.stopped',
      'A call.hangup',
    ]);
    const [initiated] = events;
    expect(initiated?.payload).toMatchObject({
      direction: 'outgoing',
      from: OURS,
      to: THEIRS,
      client_state: state('human'),
      call_session_id: (await place.event('call.initiated')).payload['call_session_id'],
    });
    expect(events.at(-1)?.payload['client_state']).toBe(state('caller'));
    expect(call.eventsOf('leg').map(({ target, status }) => [target, status])).toEqual([
      [THEIRS, 'ringing'],
      [THEIRS, 'in-progress'],
      [THEIRS, 'completed'],
    ]);
    expect(call.eventsOf('leg-told')).toMatchObject([{ text: 'https://files.example.com/whisper.mp3' }]);
    expect(place.clock.pending).toBe(0);
  });

  it.each([
    [{ status: 'busy', ringMs: 500, durationMs: 0 }, 500, 'user_busy'],
    [{ status: 'no-answer', durationMs: 0 }, 20_000, 'timeout'],
    [{ status: 'completed', ringMs: 25_000, durationMs: 0 }, 20_000, 'timeout'],
    [{ status: 'failed', durationMs: 0 }, 0, 'not_found'],
  ] as const)(
    'that comes to %j leaves the caller and the stream as they were',
    async (dialResult, ms, cause) => {
      await using place = await Place.open();
      const { call, media } = await place.streaming({ dialResult });
      await place.client.calls.actions.transfer(call.callId, { to: 'sip:a@b.example', timeout_secs: 20 });
      if (ms > 0) await place.pass(ms);
      const hangup = await place.event('call.hangup');
      expect(hangup.payload).toMatchObject({ hangup_cause: cause, to: 'sip:a@b.example' });
      expect(hangup.payload['call_control_id']).not.toBe(call.callId);
      expect(call.isOver).toBe(false);
      expect(media.of('stop')).toEqual([]);
      expect(place.types()).not.toContain('call.bridged');
      // Somebody else can be tried.
      await place.client.calls.actions.transfer(call.callId, { to: THEIRS });
    },
  );

  it('ends with the caller, while it rings and while they talk', async () => {
    await using place = await Place.open();
    for (const ringMs of [5000, 0]) {
      const dialResult = { status: 'completed', ringMs, durationMs: 60_000 } as const;
      const call = await place.answered({ dialResult });
      await place.client.calls.actions.transfer(call.callId, { to: THEIRS });
      await call.next('leg', ({ status }) => status === (ringMs === 0 ? 'in-progress' : 'ringing'));
      await call.hangUp();
      const causes = place
        .events()
        .filter(({ type }) => type === 'call.hangup')
        .map(({ payload }) => payload['hangup_cause']);
      expect(causes.slice(-2)).toEqual([
        ringMs === 0 ? 'normal_clearing' : 'originator_cancel',
        'normal_clearing',
      ]);
    }
    await until(() => place.clock.pending === 0);
  });

  it('has a leg of its own that can be looked at and hung up', async () => {
    await using place = await Place.open();
    const call = await place.answered({ dialResult: { status: 'completed', durationMs: 60_000 } });
    await place.client.calls.actions.transfer(call.callId, { to: THEIRS, park_after_unbridge: 'self' });
    await call.next('leg', ({ status }) => status === 'in-progress');
    await until(() => place.events().some(({ payload }) => payload['to'] === THEIRS));
    const leg = String(
      place.events().find(({ payload }) => payload['to'] === THEIRS)?.payload['call_control_id'],
    );
    expect((await place.client.calls.retrieveStatus(leg)).data?.is_alive).toBe(true);
    await place.client.calls.actions.hangup(leg, {});
    expect((await place.client.calls.retrieveStatus(leg)).data?.is_alive).toBe(false);
    expect(await refusal(place.client.calls.actions.hangup(leg, {}))).toEqual({
      status: 422,
      codes: ['90018'],
    });
    // It was to be parked.
    expect(call.isOver).toBe(false);
    await call.hangUp();
    expect(place.types().filter((type) => type === 'call.hangup')).toHaveLength(2);
  });
});

describe('a second leg that is dialled and bridged', () => {
  async function announced(place: Place, dialResult?: { status: 'completed'; durationMs: number }) {
    const caller = await place.streaming(dialResult === undefined ? {} : { dialResult });
    const { call: human } = await dial(place, {
      link_to: caller.call.callId,
      client_state: state('leg'),
    });
    return { ...caller, human };
  }

  it('is told what it is about before it is connected, and shares the session', async () => {
    await using place = await Place.open();
    const { call, human } = await announced(place);
    const session = (await place.event('call.initiated', call.callId)).payload['call_session_id'];
    expect((await place.event('call.initiated', human.callId)).payload['call_session_id']).toBe(session);
    const { actions } = place.client.calls;
    expect(
      await refusal(actions.bridge(human.callId, { call_control_id_to_bridge_with: call.callId })),
    ).toEqual({ status: 422, codes: ['90034'] });
    await place.pass(1000);
    await place.event('call.answered', human.callId);
    await actions.speak(human.callId, { payload: 'A caller asks for you.', voice: 'female' });
    expect(call.eventsOf('leg-told')).toMatchObject([{ text: 'A caller asks for you.' }]);
    place.clock.advance(3000);
    await place.event('call.speak.ended', human.callId);
    await actions.bridge(human.callId, {
      call_control_id_to_bridge_with: call.callId,
      client_state: state('bridged'),
    });
    expect((await place.event('call.bridged', human.callId)).payload['client_state']).toBe(state('bridged'));
    await place.event('call.bridged', call.callId);
    expect(
      await refusal(actions.bridge(human.callId, { call_control_id_to_bridge_with: call.callId })),
    ).toMatchObject({ status: 422 });
    // When one of them goes the other one does.
    await human.hangUp();
    expect(await call.ended).toMatchObject({ endedBy: 'carrier' });
    expect(call.eventsOf('leg').map(({ target, status }) => [target, status])).toEqual([
      [THEIRS, 'ringing'],
      [THEIRS, 'in-progress'],
      [THEIRS, 'completed'],
    ]);
  });

  it('ends with the caller, or when the two have talked for as long as was said', async () => {
    await using place = await Place.open();
    const first = await announced(place);
    await place.pass(1000);
    await place.event('call.answered', first.human.callId);
    await place.client.calls.actions.bridge(first.human.callId, {
      call_control_id_to_bridge_with: first.call.callId,
    });
    await first.call.hangUp();
    expect(await first.human.ended).toMatchObject({ endedBy: 'carrier' });
    const second = await announced(place, { status: 'completed', durationMs: 5000 });
    await place.event('call.answered', second.human.callId);
    await place.client.calls.actions.bridge(second.human.callId, {
      call_control_id_to_bridge_with: second.call.callId,
    });
    place.clock.advance(5000);
    expect((await second.human.ended).endedBy).toBe('caller');
    expect((await second.call.ended).durationMs).toBe(5000);
    expect(place.clock.pending).toBe(0);
  });

  it('can be bridged by the order itself, and one leg may be parked afterwards', async () => {
    await using place = await Place.open();
    const call = await place.answered();
    const { call: human } = await dial(place, { link_to: call.callId, bridge_on_answer: true });
    await place.pass(1000);
    await place.event('call.bridged', call.callId);
    await human.hangUp();
    await call.ended;
    const again = await place.answered();
    const next = await dial(place, {
      link_to: again.callId,
      bridge_on_answer: true,
      park_after_unbridge: 'self',
    });
    await place.pass(1000);
    await place.event('call.bridged', again.callId);
    await again.hangUp();
    expect(next.call.isOver).toBe(false);
  });

  it.each([
    [{ status: 'busy', durationMs: 0 }, 'busy', 'user_busy'],
    [{ status: 'no-answer', durationMs: 0 }, 'no-answer', 'timeout'],
    [{ status: 'failed', durationMs: 0 }, 'failed', 'not_found'],
  ] as const)('comes to what ringing another leg comes to: %j', async (dialResult, status, cause) => {
    await using place = await Place.open();
    const { call } = await place.streaming({ dialResult });
    const { call: human } = await dial(place, { link_to: call.callId, timeout_secs: 5 });
    if (status === 'no-answer') await place.pass(5000);
    await human.ended;
    expect(call.eventsOf('leg').map((leg) => leg.status)).toEqual(['ringing', status]);
    expect((await place.event('call.hangup', human.callId)).payload['hangup_cause']).toBe(cause);
    expect(call.isOver).toBe(false);
  });

  it('is refused when the caller has gone meanwhile', async () => {
    await using place = await Place.open();
    const call = await place.answered();
    await call.hangUp();
    expect(await refusal(place.client.calls.dial({ ...ORDER, link_to: call.callId }))).toEqual({
      status: 422,
      codes: ['90018'],
    });
    expect(place.exchange.liveCalls).toBe(0);
  });
});
