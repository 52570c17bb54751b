import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readWav } from '../src/audio/wav.ts';
import { nextTurn, tone, until } from './support/hand-bridge.ts';
import {
  ACCOUNT,
  isSigned,
  KEY,
  OURS,
  Place,
  PUBLIC_KEY,
  read,
  refusal,
  type SeenEvent,
  state,
  THEIRS,
} from './support/telnyx-place.ts';

const WAV = { format: 'wav', channels: 'dual' } as const;

/** Where the WAV of a recording is. */
function urlOf(saved: SeenEvent | undefined): string {
  const urls = (saved?.payload['recording_urls'] ?? {}) as Readonly<Record<string, string>>;
  return urls['wav'] ?? '';
}

describe('an incoming call of Call Control', () => {
  it('is an event that is signed, rings until it is answered, and streams when it is told to', async () => {
    await using place = await Place.open();
    const call = await place.ringing({ from: THEIRS, to: OURS });
    const initiated = await place.event('call.initiated');
    expect(initiated.payload).toMatchObject({
      call_control_id: call.callId,
      direction: 'incoming',
      state: 'parked',
      from: THEIRS,
      to: OURS,
      client_state: null,
    });
    expect(call.callId).toMatch(/^v3:[\w-]{40,}$/);
    expect(initiated.request.headers['content-type']).toBe('application/json');
    // The published client takes the event apart and checks who has sent it.
    const headers = initiated.request.headers as Record<string, string>;
    const unwrapped = await place.client.webhooks.unwrap(initiated.request.body, { headers });
    expect('data' in unwrapped && unwrapped.data).toMatchObject({
      event_type: 'call.initiated',
      record_type: 'event',
    });
    expect(call.handle.isAnswered).toBe(false);
    const answer = { client_state: state('mine'), send_silence_when_idle: true };
    expect(await place.client.calls.actions.answer(call.callId, answer)).toEqual({ data: { result: 'ok' } });
    const answered = await place.event('call.answered');
    expect(answered.payload).toMatchObject({
      call_leg_id: initiated.payload['call_leg_id'],
      call_session_id: initiated.payload['call_session_id'],
      state: 'answered',
      client_state: state('mine'),
    });
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, {
      stream_url: place.stream,
      stream_auth_token: 'token-1',
      custom_parameters: [{ name: 'ref', value: 'ä & <b>' }],
      stream_bidirectional_mode: 'rtp',
    });
    const media = await connected;
    await media.count('start', 1);
    expect(media.headers['x-telnyx-streaming-auth-token']).toBe('token-1');
    expect(media.messages[0]).toEqual({
      event: 'connected',
      version: '1.0.0',
      connected: { 'x-telnyx-streaming-auth-token': 'token-1' },
    });
    expect(media.messages[1]).toEqual({
      event: 'start',
      sequence_number: '1',
      stream_id: call.streamId,
      start: {
        user_id: ACCOUNT,
        call_control_id: call.callId,
        call_session_id: initiated.payload['call_session_id'],
        from: THEIRS,
        to: OURS,
        tags: ['TAG1'],
        client_state: state('mine'),
        custom_parameters: { ref: 'ä & <b>' },
        media_format: { encoding: 'PCMU', sample_rate: 8000, channels: 1 },
      },
    });
    const started = await place.event('streaming.started');
    expect(started.payload).toMatchObject({ stream_url: place.stream });
    await call.hangUp();
    expect(place.types()).toEqual([
      'call.initiated',
      'call.answered',
      'streaming.started',
      'streaming.stopped',
      'call.hangup',
    ]);
    expect((await place.event('call.hangup')).payload).toMatchObject({
      hangup_cause: 'normal_clearing',
      hangup_source: 'caller',
      sip_hangup_cause: '200',
      state: 'hangup',
      call_quality_stats: null,
    });
    for (const { request } of place.events()) expect(await isSigned(request)).toBe(true);
    expect(call.warnings.size).toBe(0);
    expect(place.clock.pending).toBe(0);
  });

  it('opens its stream with the answer when that asks for one', async () => {
    await using place = await Place.open();
    const call = await place.ringing();
    const connected = place.bridge.media();
    await place.client.calls.actions.answer(call.callId, {
      stream_url: place.stream,
      stream_track: 'inbound_track',
      stream_bidirectional_mode: 'rtp',
      webhook_url: place.at('/events/telnyx?ref=r1'),
    });
    await connected;
    await call.streaming;
    await until(() => place.requestsTo('/events/telnyx').some(({ target }) => target.endsWith('?ref=r1')));
  });

  it('may forget the stream that the answer asks for', async () => {
    await using place = await Place.open();
    const call = await place.ringing({ settings: { answerStreams: 'no' } });
    await place.client.calls.actions.answer(call.callId, { stream_url: place.stream });
    await place.event('call.answered');
    expect(call.eventsOf('stream-opening')).toEqual([]);
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream });
    await connected;
  });

  it('stays up when the bridge closes the socket, and may be given another stream', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming();
    media.socket.close(1000);
    await place.event('streaming.stopped');
    expect(call.isOver).toBe(false);
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream });
    const second = await connected;
    await second.count('start', 1);
    expect(
      await refusal(place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream })),
    ).toEqual({ status: 422, codes: ['90045'] });
    await place.client.calls.actions.stopStreaming(call.callId, {});
    expect(await second.closed).toBe(1000);
    expect(second.messages.at(-1)).toMatchObject({
      event: 'stop',
      stop: { call_control_id: call.callId, user_id: ACCOUNT },
    });
    await until(() => place.types().filter((type) => type === 'streaming.stopped').length === 2);
    await place.client.calls.actions.hangup(call.callId, {});
    expect(await call.ended).toMatchObject({ endedBy: 'rest', outcome: 'completed' });
    expect((await place.event('call.hangup')).payload['hangup_source']).toBe('callee');
  });

  it('says that a stream failed when nobody opens the door, and the call goes on', async () => {
    await using place = await Place.open();
    place.bridge.refuseUpgrade = 403;
    const call = await place.answered();
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream });
    const failed = await place.event('streaming.failed');
    expect(failed.payload).toMatchObject({
      failure_reason: 'upgrade_failed',
      stream_type: 'websocket',
      stream_id: call.streamId,
      stream_params: { stream_url: place.stream, track: 'inbound_track' },
    });
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: 'ws://bridge.example.com/m' });
    await until(() => place.types().filter((type) => type === 'streaming.failed').length === 2);
    expect([...call.warnings.keys()]).toContain('invalid_url: the scheme of the stream address must be wss');
    expect(call.isOver).toBe(false);
  });

  it.each([
    ['USER_BUSY', 'busy', 'user_busy', '486'],
    ['CALL_REJECTED', 'rejected', 'call_rejected', '603'],
  ] as const)('can be refused with %s', async (cause, outcome, hangup_cause, sip_hangup_cause) => {
    await using place = await Place.open();
    const call = await place.ringing();
    await place.client.calls.actions.reject(call.callId, { cause });
    expect(await call.ended).toMatchObject({ outcome, durationMs: 0 });
    const hangup = await place.event('call.hangup');
    expect(hangup.payload).toMatchObject({ hangup_cause, hangup_source: 'callee', sip_hangup_cause });
    expect(place.types()).toEqual(['call.initiated', 'call.hangup']);
  });

  it('is given up by a caller who does not want to wait', async () => {
    await using place = await Place.open();
    const call = await place.ringing();
    expect(await call.hangUp()).toMatchObject({ endedBy: 'caller' });
    expect((await place.event('call.hangup')).payload).toMatchObject({
      hangup_cause: 'originator_cancel',
      hangup_source: 'caller',
      sip_hangup_cause: '487',
    });
  });

  it('goes to the failover address, or is lost, when its first event is not taken', async () => {
    await using place = await Place.open();
    place.bridge.answer = ({ target }) => ({ status: target === '/second' ? 200 : 500, body: '' });
    const saved = place.exchange.placeCall({
      webhookUrl: place.at('/events/telnyx'),
      fallbackUrl: place.at('/second'),
    });
    await until(() => place.requestsTo('/second').length === 1);
    const [first, second] = place.events();
    expect(second?.id).toBe(first?.id);
    expect(saved.isOver).toBe(false);
    const lost = await place.exchange.placeCall({ webhookUrl: place.at('/events/telnyx') }).ended;
    expect(lost.failure).toContain('webhook_failed');
    expect(lost.outcome).toBe('failed');
  });
});

describe('commands to a call', () => {
  it('need the right key, a call that is known, and JSON', async () => {
    await using place = await Place.open();
    const call = await place.answered();
    const ask = async (path: string, init: RequestInit = {}): Promise<unknown[]> => {
      const headers = { authorization: `Bearer ${KEY}`, ...(init.headers as Record<string, string>) };
      const response = await fetch(`${place.exchange.restBaseUrl}/v2${path}`, { ...init, headers });
      const { errors } = (await response.json()) as { errors: { code: string }[] };
      return [response.status, errors[0]?.code];
    };
    const own = `/calls/${call.callId}`;
    expect(await ask(own, { headers: { authorization: 'Bearer wrong' } })).toEqual([401, '10009']);
    expect(await ask(`/calls/v3:${'a'.repeat(40)}`)).toEqual([404, '10005']);
    expect(await ask('/calls/nonsense/actions/hangup', { method: 'POST' })).toEqual([422, '90015']);
    expect(await ask(`${own}/actions/dance`, { method: 'POST', body: '{}' })).toEqual([404, '10005']);
    expect(await ask(`${own}/actions/hangup`)).toEqual([404, '10005']);
    expect(await ask(`${own}/actions/hangup`, { method: 'POST', body: '{' })).toEqual([400, '10015']);
    expect(await ask(`${own}/actions/hangup`, { method: 'POST', body: '[]' })).toEqual([400, '10015']);
    expect(await ask('/numbers')).toEqual([404, '10005']);
    expect(call.isOver).toBe(false);
  });

  it('fail with 90034 before the call is answered, and with 90018 when it is over', async () => {
    await using place = await Place.open();
    const { actions } = place.client.calls;
    const call = await place.ringing();
    const early = { status: 422, codes: ['90034'] };
    expect(await refusal(actions.startStreaming(call.callId, { stream_url: place.stream }))).toEqual(early);
    expect(await refusal(actions.speak(call.callId, { payload: 'x', voice: 'female' }))).toEqual(early);
    expect(await refusal(actions.sendDtmf(call.callId, { digits: '1' }))).toEqual(early);
    expect(await refusal(actions.startRecording(call.callId, WAV))).toEqual(early);
    expect(place.bridge.ends).toEqual([]);
    await actions.answer(call.callId, {});
    expect(await refusal(actions.answer(call.callId, {}))).toEqual({ status: 422, codes: ['90033'] });
    expect(await refusal(actions.reject(call.callId, { cause: 'USER_BUSY' }))).toMatchObject({ status: 422 });
    await call.hangUp();
    const late = { status: 422, codes: ['90018'] };
    expect(await refusal(actions.hangup(call.callId, {}))).toEqual(late);
    expect(await refusal(actions.transfer(call.callId, { to: THEIRS }))).toEqual(late);
  });

  it('are obeyed once a minute when they carry the same id, and again when they have failed', async () => {
    await using place = await Place.open();
    const call = await place.ringing();
    const { actions } = place.client.calls;
    const keys = { digits: '12#', command_id: 'same' };
    // It fails, so its id is not used up.
    await refusal(actions.sendDtmf(call.callId, keys));
    await actions.answer(call.callId, {});
    await actions.sendDtmf(call.callId, keys);
    await actions.sendDtmf(call.callId, keys);
    expect(call.eventsOf('agent-keys')).toHaveLength(1);
    place.clock.advance(59_999);
    await actions.sendDtmf(call.callId, keys);
    expect(call.eventsOf('agent-keys')).toHaveLength(1);
    place.clock.advance(1);
    await actions.sendDtmf(call.callId, keys);
    expect(call.eventsOf('agent-keys').map(({ digits }) => digits)).toEqual(['12#', '12#']);
    // Whoever hangs up twice by the same command has not been refused.
    await actions.hangup(call.callId, { command_id: 'bye' });
    expect(await actions.hangup(call.callId, { command_id: 'bye' })).toEqual({ data: { result: 'ok' } });
  });

  it.each([
    ['streaming_start', {}, ['10004']],
    ['streaming_start', { stream_url: 'https://b' }, ['10003']],
    ['streaming_start', { stream_url: 'wss://b', stream_track: 'both' }, ['10032']],
    ['streaming_start', { stream_url: 'wss://b', stream_bidirectional_mode: 'raw' }, ['10032']],
    ['streaming_start', { stream_url: 'wss://b', stream_bidirectional_codec: 'pcmu' }, ['10032']],
    ['streaming_start', { stream_url: 'wss://b', stream_bidirectional_sampling_rate: '8000' }, ['10032']],
    ['streaming_start', { stream_url: 'wss://b', stream_bidirectional_target_legs: 'none' }, ['10032']],
    ['streaming_start', { stream_url: 'wss://b', stream_auth_token: 'x'.repeat(4001) }, ['10015']],
    ['streaming_start', { stream_url: 'wss://b', custom_parameters: { a: 'b' } }, ['10015']],
    ['answer', { client_state: 'not base64!' }, ['10015']],
    ['answer', { webhook_url: 'bridge.example.com' }, ['10003']],
    ['answer', { send_silence_when_idle: 'yes' }, ['10015']],
    ['reject', { cause: 'BUSY' }, ['10032']],
    ['transfer', { to: '4155550100' }, ['10016']],
    ['transfer', { to: THEIRS, timeout_secs: 4 }, ['10033']],
    ['transfer', { to: THEIRS, timeout_secs: 601 }, ['10033']],
    ['transfer', { to: THEIRS, time_limit_secs: 14_401 }, ['10033']],
    ['bridge', {}, ['10004']],
    ['send_dtmf', { digits: '12x' }, ['10015']],
    ['send_dtmf', { digits: '1', duration_millis: 99 }, ['10033']],
    ['record_start', {}, ['10004', '10004']],
    ['record_start', { format: 'ogg', channels: 'stereo' }, ['10032', '10032']],
    ['speak', { payload: '' }, ['10004', '10004']],
    ['speak', { payload: 'x'.repeat(3001), voice: 'female' }, ['10015']],
    ['playback_start', {}, ['10004']],
    ['playback_start', { audio_url: 'https://a/b.mp3', media_name: 'c' }, ['10004']],
  ])('are checked as their documentation has them: %s %j', async (name, body, codes) => {
    await using place = await Place.open();
    const call = await place.answered();
    const path = `/calls/${call.callId}/actions/${name}`;
    expect(await refusal(place.client.post(path, { body }))).toEqual({ status: 422, codes });
    expect(call.isOver).toBe(false);
  });

  it('that hold something unknown are obeyed with a warning', async () => {
    await using place = await Place.open();
    const call = await place.ringing();
    const body = { steam_url: 'wss://b', webhook_urls: {}, webhook_url_method: 'GET' };
    await place.client.post(`/calls/${call.callId}/actions/answer`, { body });
    await call.answered;
    expect([...call.warnings.keys()]).toEqual([
      'unknown_parameter: answer has no parameter steam_url',
      'not_simulated: webhook_urls of answer has no effect here',
      'not_simulated: events are sent by POST and never by GET',
    ]);
  });

  it('show a call, alive and not, and for ten minutes after', async () => {
    await using place = await Place.open();
    const call = await place.answered();
    const initiated = await place.event('call.initiated');
    expect(await place.client.calls.retrieveStatus(call.callId)).toMatchObject({
      data: {
        call_control_id: call.callId,
        call_leg_id: initiated.payload['call_leg_id'],
        is_alive: true,
        record_type: 'call',
      },
    });
    place.clock.advance(3000);
    await call.hangUp();
    const gone = await place.client.calls.retrieveStatus(call.callId);
    expect(gone.data).toMatchObject({ is_alive: false, call_duration: 3 });
    expect(gone.data?.end_time).toBeDefined();
    place.clock.advance(600_001);
    expect(await refusal(place.client.calls.retrieveStatus(call.callId))).toEqual({
      status: 404,
      codes: ['10005'],
    });
  });

  it('speak and play one after the other, and end with the call', async () => {
    await using place = await Place.open();
    const call = await place.answered();
    const { actions } = place.client.calls;
    await actions.speak(call.callId, {
      payload: 'x'.repeat(100),
      voice: 'female',
      language: 'de-DE',
      client_state: state('told'),
    });
    await actions.startPlayback(call.callId, { audio_url: 'https://files.example.com/a.mp3' });
    expect(call.eventsOf('say')).toMatchObject([{ language: 'de-DE' }]);
    expect(call.eventsOf('play')).toMatchObject([{ url: 'https://files.example.com/a.mp3' }]);
    await place.event('call.speak.started');
    expect(place.types()).not.toContain('call.playback.started');
    place.clock.advance(6500);
    const ended = await place.event('call.speak.ended');
    expect(ended.payload).toMatchObject({ status: 'completed', client_state: state('told') });
    await place.event('call.playback.started');
    await actions.stopPlayback(call.callId, { stop: 'all' });
    expect((await place.event('call.playback.ended')).payload).toMatchObject({
      status: 'cancelled',
      media_url: 'https://files.example.com/a.mp3',
    });
    await actions.speak(call.callId, { payload: 'Goodbye', voice: 'female' });
    await call.hangUp();
    const spoken = place.events().filter(({ type }) => type === 'call.speak.ended');
    expect(spoken.map(({ payload }) => payload['status'])).toEqual(['completed', 'call_hangup']);
    expect(place.types().at(-1)).toBe('call.hangup');
    expect(place.clock.pending).toBe(0);
  });

  it('record what both sides said, and the file can be fetched for ten minutes', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming();
    const { actions } = place.client.calls;
    place.clock.advance(500);
    await actions.startRecording(call.callId, { ...WAV, client_state: state('rec') });
    expect(await refusal(actions.startRecording(call.callId, WAV))).toMatchObject({ status: 422 });
    const spoken = call.speak(tone(1000));
    media.play(400);
    await read(media);
    place.clock.advance(1000);
    await spoken;
    await actions.stopRecording(call.callId, {});
    const saved = await place.event('call.recording.saved');
    expect(saved.payload).toMatchObject({ channels: 'dual', client_state: state('rec') });
    // Whoever wants to know which call it was has to have said so himself.
    expect(saved.payload['call_control_id']).toBeUndefined();
    const wav = urlOf(saved);
    const file = await fetch(wav);
    expect(file.headers.get('content-type')).toBe('audio/wav');
    const audio = readWav(new Uint8Array(await file.arrayBuffer()));
    expect(audio).toMatchObject({ rate: 8000, channels: 2 });
    expect(audio.channel(0)).toHaveLength(8000);
    expect(audio.channel(0).some((sample) => Math.abs(sample) > 5000)).toBe(true);
    expect(
      audio
        .channel(1)
        .subarray(0, 3200)
        .every((sample) => sample !== 0),
    ).toBe(true);
    expect(
      audio
        .channel(1)
        .subarray(3200)
        .every((sample) => Math.abs(sample) < 10),
    ).toBe(true);
    place.clock.advance(600_001);
    expect((await fetch(wav)).status).toBe(404);
    await actions.startRecording(call.callId, { format: 'wav', channels: 'single' });
    place.clock.advance(100);
    await actions.stopRecording(call.callId, {});
    const savings = () => place.events().filter(({ type }) => type === 'call.recording.saved');
    await until(() => savings().length === 2);
    const mono = await fetch(urlOf(savings()[1]));
    expect(readWav(new Uint8Array(await mono.arrayBuffer()))).toMatchObject({ channels: 1 });
    // One that still runs at the end is saved with it.
    await actions.startRecording(call.callId, { format: 'mp3', channels: 'single' });
    await call.hangUp();
    const last = savings()[2];
    expect(last?.payload['recording_urls']).toEqual({ mp3: expect.stringContaining('.mp3') });
    expect(await refusal(actions.stopRecording(call.callId, {}))).toEqual({ status: 422, codes: ['90018'] });
  });

  it('have the faults of the call: 429 once, and slow', async () => {
    await using place = await Place.open();
    const call = await place.ringing({ faults: { rest: { status: 429, times: 1, delayMs: 5000 } } });
    const first = refusal(place.client.calls.actions.hangup(call.callId, {}));
    await place.pass(5000);
    expect(await first).toEqual({ status: 429, codes: ['10011'] });
    const second = place.client.calls.actions.hangup(call.callId, {});
    await place.pass(5000);
    await second;
    await call.ended;
  });

  it.each([
    [404, '10005'],
    [422, '90018'],
    [503, '10007'],
  ] as const)('can fail with %d, as the faults say', async (status, code) => {
    await using place = await Place.open();
    const call = await place.answered({ faults: { rest: {} } });
    await call.hangUp();
    const failing = await place.ringing({ faults: { rest: { status } } });
    expect(await refusal(place.client.calls.actions.hangup(failing.callId, {}))).toEqual({
      status,
      codes: [code],
    });
    expect(failing.isOver).toBe(false);
  });
});

describe('events of a call', () => {
  it('tell of every key, beside the socket', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming();
    const pressed = call.pressKeys('1#');
    await nextTurn();
    place.clock.advance(400);
    expect(await pressed).toBe(true);
    const [one] = await media.count('dtmf', 2);
    expect(one).toMatchObject({ dtmf: { digit: '1' }, occurred_at: expect.stringMatching(/\.\d{6}Z$/) });
    await until(() => place.types().filter((type) => type === 'call.dtmf.received').length === 2);
    const digits = place.events().filter(({ type }) => type === 'call.dtmf.received');
    expect(digits.map(({ payload }) => payload['digit'])).toEqual(['1', '#']);
  });

  it('come twice with the same id, one after the other or at once', async () => {
    await using place = await Place.open();
    for (const duplicateWebhook of ['retry', 'concurrent'] as const) {
      place.bridge.requests.length = 0;
      const call = await place.answered({ faults: { duplicateWebhook, duplicateCallbacks: true } });
      await call.hangUp();
      const ids = place.events().map(({ id }) => id);
      expect(place.types()).toEqual([
        'call.initiated',
        'call.initiated',
        'call.answered',
        'call.answered',
        'call.hangup',
        'call.hangup',
      ]);
      expect(new Set(ids).size).toBe(3);
      for (const { request } of place.events()) expect(await isSigned(request)).toBe(true);
    }
  });

  it('can overtake each other, and the last one comes all the same', async () => {
    await using place = await Place.open();
    const call = await place.answered({ settings: { eventOrder: 'swapped' } });
    expect(place.types()).toEqual(['call.initiated']);
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream });
    await connected;
    await place.event('call.answered');
    expect(place.types()).toEqual(['call.initiated', 'streaming.started', 'call.answered']);
    // What nothing follows comes after a while.
    const pressed = call.pressKeys('7');
    await nextTurn();
    place.clock.advance(20);
    await pressed;
    await nextTurn();
    expect(place.types()).not.toContain('call.dtmf.received');
    place.clock.advance(200);
    await place.event('call.dtmf.received');
    await call.hangUp();
    expect(place.types().slice(-2)).toEqual(['call.hangup', 'streaming.stopped']);
    expect(place.clock.pending).toBe(0);
  });

  it('can all be under way at once', async () => {
    await using place = await Place.open();
    const { call } = await place.streaming({ settings: { eventOrder: 'concurrent' } });
    await place.event('streaming.started');
    const pressed = call.pressKeys('123');
    await nextTurn();
    place.clock.advance(500);
    await pressed;
    await call.hangUp();
    expect(place.types().filter((type) => type === 'call.dtmf.received')).toHaveLength(3);
    expect([...place.types()].sort().filter((type) => !type.includes('dtmf'))).toEqual([
      'call.answered',
      'call.hangup',
      'call.initiated',
      'streaming.started',
      'streaming.stopped',
    ]);
  });

  it.each(['bad', 'missing', 'stale'] as const)(
    'can have a signature that is %s',
    async (webhookSignature) => {
      await using place = await Place.open();
      await place.ringing({ faults: { webhookSignature } });
      const { request } = await place.event('call.initiated');
      expect(await isSigned(request)).toBe(false);
      expect(request.headers['telnyx-timestamp'] === undefined).toBe(webhookSignature === 'missing');
      if (webhookSignature !== 'stale') return;
      const age = Date.now() / 1000 - Number(request.headers['telnyx-timestamp']);
      expect(age).toBeGreaterThan(300);
      expect(age).toBeLessThan(330);
    },
  );

  it('can be signed with a key of one’s own', async () => {
    await using place = await Place.open();
    const signingSeed = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64');
    await place.ringing({ settings: { signingSeed } });
    const { request } = await place.event('call.initiated');
    expect(await isSigned(request, 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=')).toBe(true);
    expect(await isSigned(request, PUBLIC_KEY)).toBe(false);
  });

  it('give up a bridge that does not answer in time', async () => {
    await using place = await Place.open();
    let asked = (): void => {};
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const silent = createServer(() => asked());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const call = place.exchange.placeCall({
      webhookUrl: `http://127.0.0.1:${port}/events`,
      settings: { webhookTimeoutMs: '3000' },
    });
    await reached;
    place.clock.advance(2999);
    expect(call.isOver).toBe(false);
    place.clock.advance(1);
    await until(() => call.isOver);
    // The end of the call is told to the same deaf ears.
    await place.pass(3000);
    expect((await call.ended).failure).toContain('TIMEOUT');
    await new Promise((resolve) => {
      silent.close(resolve);
      silent.closeAllConnections();
    });
  });

  it('go by the settings that are known, and no others', async () => {
    await using place = await Place.open();
    const dial = (settings: Record<string, string>) => () =>
      place.exchange.placeCall({ webhookUrl: place.at('/x'), settings });
    expect(dial({ colour: 'red' })).toThrow(/BAD_INPUT.*"colour".*legCodec/);
    expect(dial({ legCodec: 'MP3' })).toThrow(/BAD_INPUT.*legCodec.*PCMU/);
    // What may be a key is not shown.
    expect(dial({ signingSeed: 'secret' })).toThrow(/^BAD_INPUT: settings\.signingSeed: found 6 characters/);
  });
});
