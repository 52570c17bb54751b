import { describe, expect, it } from 'vitest';
import { readWav } from '../src/audio/wav.ts';
import type { Callee } from '../src/sim/phone/callee.ts';
import { tone, until } from './support/hand-bridge.ts';
import {
  atPlivo,
  EPOCH,
  events,
  isSigned,
  MA,
  MULAW,
  onTheLine,
  type Place,
  pass,
  play,
  read,
  TOKEN,
  UUID,
} from './support/sim-plivo.ts';

describe('control of a call by the simulated Plivo', () => {
  it('shows a call while it is up, hangs it up once, and then knows how it ended', async () => {
    await using line = await onTheLine();
    const { callId } = line.call;
    expect(await line.sdk((client) => client.calls.getLiveCall(callId))).toMatchObject({
      callUuid: callId,
      callStatus: 'in-progress',
      direction: 'inbound',
      from: '14155550100',
      to: '14155550101',
    });
    expect((await line.rest('GET', 'Call/?status=live')).body['calls']).toEqual([callId]);
    // The record of a call is written when it is over.
    expect(await line.rest('GET', `Call/${callId}/`)).toMatchObject({ status: 404 });
    expect(await line.sdk((client) => client.calls.hangup(callId))).toBe(true);
    expect(await line.call.ended).toMatchObject({ endedBy: 'rest', outcome: 'completed' });
    expect(line.told('/voice').at(-1)?.form).toMatchObject({ Event: 'Hangup', HangupSource: 'API Request' });
    await expect(line.sdk((client) => client.calls.hangup(callId))).rejects.toMatchObject({ status: 404 });
    await expect(line.sdk((client) => client.calls.getLiveCall(callId))).rejects.toThrow();
    expect(await line.rest('GET', `Call/${callId}/`)).toMatchObject({
      status: 200,
      body: { call_uuid: callId, hangup_cause_code: 4000, hangup_source: 'API Request' },
    });
    expect((await line.rest('GET', 'Call/?status=live')).body['calls']).toEqual([]);
    expect(line.call.eventsOf('rest').map(({ status }) => status)).toEqual([200, 404, 204, 404, 404, 200]);
  });

  it('asks for other instructions and ends the stream', async () => {
    await using line = await atPlivo('', { '/next': '<Speak>next</Speak><Hangup/>', '/stream': '' });
    const attributes = `${MULAW} statusCallbackUrl="/stream"`;
    line.answers['/voice'] = `${line.stream(attributes)}<Speak>never</Speak>`;
    const call = line.place();
    await call.streaming;
    const url = `${line.bridge.url}/next?a=1`;
    const { callId } = call;
    const reply = await line.sdk((client) =>
      client.calls.transfer(callId, { legs: 'aleg', alegUrl: url, alegMethod: 'GET' } as never),
    );
    expect(reply).toMatchObject({ message: 'call transferred' });
    const report = await call.ended;
    expect(report.streams).toMatchObject([{ how: 'carrier-stopped' }]);
    expect(call.eventsOf('say')).toMatchObject([{ text: 'next' }]);
    expect(events(line.told('/stream')).sort()).toEqual(['StartStream', 'StopStream']);
    const [asked] = line.told('/next');
    expect(asked).toMatchObject({ method: 'GET' });
    expect(asked?.target).toContain('Event=Redirect');
    expect(isSigned(asked, line.bridge.url)).toBe(true);
  });

  it('hangs up a call that is sent round more than seventy times', async () => {
    await using line = await onTheLine();
    line.answers['/round'] = '<Wait length="60"/>';
    const path = `Call/${line.call.callId}/`;
    for (let round = 0; round < 70; round++) {
      expect(await line.rest('POST', path, { aleg_url: `${line.bridge.url}/round` })).toMatchObject({
        status: 202,
      });
    }
    await until(() => line.told('/round').length > 0);
    expect(line.call.isOver).toBe(false);
    await line.rest('POST', path, { aleg_url: `${line.bridge.url}/round` });
    await line.call.ended;
    expect(line.told('/voice').at(-1)?.form).toMatchObject({ HangupCauseName: 'Loop Detected' });
  });

  it('presses keys, speaks and plays', async () => {
    await using line = await onTheLine();
    const { callId } = line.call;
    await line.sdk(async (client) => {
      await client.calls.sendDigits(callId, '12#', { leg: 'aleg' });
      await client.calls.speakText(callId, 'hello', { language: 'en-GB' } as never);
      await client.calls.playMusic(callId, 'https://b.example.com/a.mp3', { legs: 'aleg' } as never);
      await client.calls.stopSpeakingText(callId);
      await client.calls.stopPlayingMusic(callId);
    });
    expect(line.call.eventsOf('agent-keys')).toMatchObject([{ digits: '12#' }]);
    expect(line.call.eventsOf('say')).toMatchObject([{ text: 'hello', language: 'en-GB' }]);
    expect(line.call.eventsOf('play')).toMatchObject([{ url: 'https://b.example.com/a.mp3' }]);
  });

  it('presses keys that a document asks for, and waits for them when it says so', async () => {
    await using place = await atPlivo('<DTMF async="false">1W2</DTMF><Hangup/>');
    const call = place.place();
    await call.next('agent-keys');
    await pass(place, 1500);
    expect(await call.ended).toMatchObject({ durationMs: 1500 });
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: '1W2' }]);
  });

  it.each([
    [{}, (form: Record<string, string>) => form],
    [
      { recordCallback: 'response' },
      (form: Record<string, string>) => JSON.parse(form['response'] ?? '') as Record<string, string>,
    ],
  ])('records both sides and tells where the file is (%j)', async (settings, fieldsOf) => {
    await using line = await onTheLine(MULAW, { settings });
    line.answers['/recorded'] = '';
    const { callId } = line.call;
    line.clock.advance(200);
    const options = { fileFormat: 'wav', timeLimit: 60, callbackUrl: `${line.bridge.url}/recorded` };
    const reply = await line.sdk((client) => client.calls.record(callId, options as never));
    expect(reply).toMatchObject({ message: 'call recording started', recordingId: expect.any(String) });
    const spoken = line.call.speak(tone(400));
    play(line.media, 400);
    await read(line.media);
    line.clock.advance(1000);
    await spoken;
    await line.sdk((client) => client.calls.stopRecording(callId, {}));
    await until(() => line.told('/recorded').length > 0);
    const [told] = line.told('/recorded');
    expect(isSigned(told, line.bridge.url)).toBe(true);
    const fields = fieldsOf({ ...told?.form });
    expect(fields).toMatchObject({
      call_uuid: callId,
      recording_duration: '1',
      recording_duration_ms: '1000',
      recording_start_ms: String(EPOCH + 200),
      recording_end_ms: String(EPOCH + 1200),
    });
    const file = await fetch(fields['record_url'] ?? '');
    expect(file.headers.get('content-type')).toBe('audio/x-wav');
    const wav = readWav(new Uint8Array(await file.arrayBuffer()));
    expect([wav.rate, wav.channel(0).length, wav.channel(1).length]).toEqual([8000, 8000, 8000]);
    expect(Math.max(...wav.channel(0))).toBeGreaterThan(7000);
    expect(wav.channel(1)[1600]).not.toBe(0);
    expect(await line.rest('DELETE', `Call/${callId}/Record/`)).toMatchObject({ status: 404 });
  });

  it('stops recording after a minute when nothing was said, and at the end of the call', async () => {
    await using line = await onTheLine();
    line.answers['/recorded'] = '';
    const path = `Call/${line.call.callId}/Record/`;
    const body = { callback_url: `${line.bridge.url}/recorded` };
    expect(await line.rest('POST', path, body)).toMatchObject({
      status: 202,
      body: { url: expect.stringMatching(/\.mp3$/) },
    });
    line.clock.advance(60_000);
    await until(() => line.told('/recorded').length === 1);
    await line.rest('POST', path, { ...body, time_limit: 3600 });
    line.clock.advance(2000);
    await line.call.hangUp();
    expect(line.told('/recorded').map(({ form }) => form['recording_duration'])).toEqual(['60', '2']);
    expect(line.clock.pending).toBe(0);
  });

  it('records as a document says: in the background, or until the time is over', async () => {
    await using place = await atPlivo('', { '/file': '', '/after': '<Speak>thanks</Speak>' });
    const callbacks = `callbackUrl="${place.bridge.url}/file" fileFormat="wav"`;
    place.answers['/voice'] = `<Record recordSession="true" ${callbacks}/><Wait length="3"/>`;
    const background = place.place();
    await background.next('pause');
    await pass(place, 3000);
    await background.ended;
    expect(place.told('/file')).toMatchObject([
      { form: { CallUUID: background.callId, RecordUrl: expect.any(String), RecordingDuration: '3' } },
    ]);
    place.answers['/voice'] = `<Record maxLength="5" action="${place.bridge.url}/after" ${callbacks}/>`;
    const message = place.place();
    await message.answered;
    await pass(place, 5000);
    await message.ended;
    expect(place.told('/after')).toMatchObject([{ form: { Event: 'Record', RecordingDuration: '5' } }]);
    expect(message.eventsOf('say')).toMatchObject([{ text: 'thanks' }]);
  });

  it('opens and stops streams on a live call', async () => {
    await using place = await atPlivo('<Wait length="60"/>', { '/stream': '' });
    const call = place.place();
    await call.next('pause');
    const url = `ws://${place.bridge.host}/media/second`;
    const options = {
      bidirectional: true,
      contentType: 'audio/x-mulaw;rate=8000',
      extraHeaders: 'a=b',
      statusCallbackUrl: `${place.bridge.url}/stream`,
    };
    const connected = place.bridge.media();
    const started = (await place.sdk((client) => {
      const { calls } = client as unknown as {
        readonly calls: { stream(id: string, url: string, options: unknown): Promise<unknown> };
      };
      return calls.stream(call.callId, url, options);
    })) as { readonly streamId: string };
    const media = await connected;
    expect(await media.count('start', 1)).toMatchObject([
      {
        start: { streamId: started.streamId, mediaFormat: { encoding: 'audio/x-mulaw' } },
        extra_headers: 'a=b',
      },
    ]);
    const path = `Call/${call.callId}/Stream`;
    expect((await place.rest('GET', `${path}/`)).body['objects']).toMatchObject([
      { stream_id: started.streamId, service_url: url },
    ]);
    expect(await place.rest('POST', `${path}/`, { service_url: url })).toMatchObject({ status: 400 });
    expect(await place.rest('DELETE', `${path}/nothing`)).toMatchObject({ status: 404 });
    expect(await place.rest('DELETE', `${path}/${started.streamId}`)).toMatchObject({ status: 204 });
    await media.closed;
    await until(() => place.told('/stream').length === 2);
    expect(events(place.told('/stream')).sort()).toEqual(['StartStream', 'StopStream']);
    expect(call.isOver).toBe(false);
    const again = place.bridge.media();
    await place.rest('POST', `${path}/`, { service_url: url });
    await again;
    expect(await place.rest('DELETE', `${path}/`)).toMatchObject({ status: 204 });
    await call.hangUp();
    expect(place.clock.pending).toBe(0);
  });

  it('refuses wrong credentials, unknown calls and requests that make no sense', async () => {
    await using line = await onTheLine();
    const { callId } = line.call;
    const wrong = await line.rest('DELETE', `Call/${callId}/`, undefined, 'another');
    expect(wrong.status).toBe(401);
    expect(wrong.text).toContain('Could not verify your access level');
    const elsewhere = await fetch(
      `${line.exchange.restBaseUrl}/v1/Account/MASIMULATEDPLIVO0001/Call/${callId}/`,
      {
        headers: { authorization: `Basic ${Buffer.from(`${MA}:${TOKEN}`).toString('base64')}` },
      },
    );
    expect(elsewhere.status).toBe(401);
    const call = `Call/${callId}/`;
    for (const [method, path, body, status] of [
      ['DELETE', 'Call/97ceeb52-58b6-11e1-86da-77300b68f8bb/', undefined, 404],
      ['DELETE', 'Request/97ceeb52-58b6-11e1-86da-77300b68f8bb/', undefined, 404],
      ['GET', 'Message/', undefined, 404],
      ['PUT', call, undefined, 405],
      ['POST', call, {}, 400],
      ['POST', call, '{', 400],
      ['POST', call, { aleg_url: 'nowhere' }, 400],
      ['POST', call, { legs: 'bleg', bleg_url: 'https://b.example.com' }, 400],
      ['POST', `${call}DTMF/`, { digits: '12x' }, 400],
      ['POST', `${call}DTMF/`, {}, 400],
      ['POST', `${call}Speak/`, {}, 400],
      ['POST', `${call}Play/`, { urls: ['https://b.example.com/a.mp3'] }, 400],
      ['POST', `${call}Record/`, { file_format: 'ogg' }, 400],
      ['POST', `${call}Record/`, { time_limit: '1.5' }, 400],
      ['POST', `${call}Stream/`, { service_url: 'https://b.example.com' }, 400],
      ['POST', `${call}Nothing/`, {}, 404],
      ['POST', 'Call/', { from: '14155550100', to: '14155550101' }, 400],
      ['POST', 'Call/', order(line, { to: 'somebody' }), 400],
      ['POST', 'Call/', order(line, { answer_url: '/voice' }), 400],
      ['POST', 'Call/', order(line, { answer_method: 'PUT' }), 400],
      ['POST', 'Call/', order(line, { ring_timeout: 0 }), 400],
      ['POST', 'Call/', order(line, { machine_detection: 'maybe' }), 400],
      ['POST', 'Call/', order(line, { machine_detection_time: 500 }), 400],
    ] as const) {
      const reply = await line.rest(method, path, body);
      expect([method, path, JSON.stringify(body), reply.status]).toEqual([
        method,
        path,
        JSON.stringify(body),
        status,
      ]);
      expect(reply.body).toMatchObject({ api_id: expect.stringMatching(UUID), error: expect.any(String) });
    }
    expect(line.call.isOver).toBe(false);
  });
});

/** An order as it goes to the REST interface. */
function order(place: Pick<Place, 'bridge'>, change: Record<string, unknown> = {}): Record<string, unknown> {
  const { url } = place.bridge;
  return {
    from: '14155550100',
    to: '14155550101',
    answer_url: `${url}/out?ref=7`,
    ring_url: `${url}/ring`,
    hangup_url: `${url}/hangup`,
    ...change,
  };
}

describe('calls that the simulated Plivo places', () => {
  const quiet = { '/ring': '', '/hangup': '', '/machine': '' };
  const calling = (callee: Callee, more = {}) => atPlivo('', { ...quiet, ...more }, { callee: () => callee });

  it('ring, are led by the answer URL, and are known by the id of the request', async () => {
    await using place = await calling({ kind: 'human', ringMs: 4000, says: tone(300) });
    place.answers['/out'] = place.stream();
    const { url } = place.bridge;
    const reply = (await place.sdk((client) =>
      client.calls.create('+14155550100', '14155550101', `${url}/out?ref=7`, {
        answerMethod: 'POST',
        ringUrl: `${url}/ring?ref=7`,
        hangupUrl: `${url}/hangup?ref=7`,
        timeLimit: 600,
        ringTimeout: 30,
      } as never),
    )) as { readonly message: string; readonly requestUuid: string };
    expect(reply.message).toBe('call fired');
    const call = await place.exchange.nextDialled();
    expect(call.callId).not.toBe(reply.requestUuid);
    await until(() => place.told('/ring').length === 1);
    const ids = { CallUUID: call.callId, RequestUUID: reply.requestUuid, ALegRequestUUID: reply.requestUuid };
    const [rung] = place.told('/ring');
    expect(rung?.form).toMatchObject({
      ...ids,
      ALegUUID: call.callId,
      Event: 'Ring',
      CallStatus: 'ringing',
      Direction: 'outbound',
      From: '14155550100',
      To: '14155550101',
    });
    expect(await place.sdk((client) => client.calls.getLiveCall(call.callId))).toMatchObject({
      callStatus: 'ringing',
      requestUuid: reply.requestUuid,
    });
    await pass(place, 4000);
    await call.streaming;
    expect(place.told('/out')).toMatchObject([
      { form: { ...ids, Event: 'StartApp', CallStatus: 'in-progress' } },
    ]);
    place.clock.advance(1000);
    // What was taken cannot be given up as a request.
    await expect(place.sdk((client) => client.calls.cancel(reply.requestUuid))).rejects.toThrow();
    await call.hangUp();
    const [ended] = place.told('/hangup');
    expect(ended?.form).toMatchObject({
      ...ids,
      CallStatus: 'completed',
      Duration: '1',
      BillDuration: '60',
      HangupSource: 'Callee',
      StartTime: '2026-01-02 03:04:05',
      AnswerTime: '2026-01-02 03:04:09',
      EndTime: '2026-01-02 03:04:10',
    });
    for (const request of [rung, ...place.told('/out'), ended]) {
      expect(isSigned(request, place.bridge.url)).toBe(true);
    }
    expect(place.clock.pending).toBe(0);
  });

  it.each([
    [{ kind: 'busy', ringMs: 500 }, 500, 'busy', 'busy', '3010'],
    [{ kind: 'rejects', ringMs: 500 }, 500, 'rejected', 'failed', '3020'],
    [{ kind: 'no-answer' }, 25_000, 'no-answer', 'no-answer', '6010'],
    [{ kind: 'human', ringMs: 26_000 }, 25_000, 'no-answer', 'no-answer', '6010'],
  ] as const)('come to nothing with %j', async (callee, ms, outcome, status, code) => {
    await using place = await calling(callee);
    await place.rest('POST', 'Call/', order(place, { ring_timeout: 25 }));
    const call = await place.exchange.nextDialled();
    await pass(place, ms);
    expect(await call.ended).toMatchObject({ outcome, durationMs: 0 });
    expect(place.told('/hangup')).toMatchObject([
      { form: { CallStatus: status, HangupCauseCode: code, Duration: '0', AnswerTime: '' } },
    ]);
    expect(place.told('/out')).toEqual([]);
  });

  it.each([
    ['Request', 'requestUuid'],
    ['Call', 'callId'],
  ])('can be given up while they ring, by the id of the %s', async (kind) => {
    await using place = await calling({ kind: 'human', ringMs: 9000 });
    const { body } = await place.rest('POST', 'Call/', order(place));
    const call = await place.exchange.nextDialled();
    const id = kind === 'Request' ? String(body['request_uuid']) : call.callId;
    expect(await place.rest('DELETE', `${kind}/${id}/`)).toMatchObject({ status: 204 });
    expect(await call.ended).toMatchObject({ outcome: 'canceled', endedBy: 'rest' });
    expect(place.told('/hangup')).toMatchObject([
      { form: { CallStatus: 'cancel', HangupCauseCode: '1000', HangupSource: 'API Request' } },
    ]);
    expect(await place.rest('DELETE', `${kind}/${id}/`)).toMatchObject({ status: 404 });
    expect(place.clock.pending).toBe(0);
  });

  it('have the id of their request when they are set so, and can be several at once', async () => {
    const defaults = { settings: { requestIds: 'same' } };
    await using place = await atPlivo('', quiet, { defaults });
    const { body } = await place.rest(
      'POST',
      'Call/',
      order(place, { to: '14155550101<sip:a@b.example.com' }),
    );
    const calls = [await place.exchange.nextDialled(), await place.exchange.nextDialled()];
    expect(body['request_uuid']).toEqual(calls.map(({ callId }) => callId));
    expect(calls.map(({ identity }) => identity.to)).toEqual(['14155550101', 'sip:a@b.example.com']);
    for (const { callId } of calls)
      expect(await place.rest('DELETE', `Call/${callId}/`)).toMatchObject({ status: 204 });
  });

  it.each([
    ['machine', 'true'],
    ['human', undefined],
  ] as const)('wait for what answered, a %s, when there is no address for it', async (kind, machine) => {
    const greeting = tone(3000);
    const callee = kind === 'machine' ? { kind, ringMs: 1000, greeting } : { kind, ringMs: 1000 };
    await using place = await calling(callee, { '/out': '<Speak>hello</Speak>' });
    await place.rest('POST', 'Call/', order(place, { machine_detection: 'true' }));
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.answered;
    expect(place.told('/out')).toEqual([]);
    await until(() => place.clock.pending > 1);
    place.clock.advance(2000);
    await call.ended;
    expect(place.told('/out')[0]?.form['Machine']).toBe(machine);
    expect(place.told('/machine')).toEqual([]);
  });

  it('are led at once, and a machine is told to an address of its own', async () => {
    await using place = await calling({ kind: 'machine', ringMs: 1000, greeting: tone(3000) });
    place.answers['/out'] = place.stream();
    const detection = { machine_detection: true, machine_detection_url: `${place.bridge.url}/machine` };
    await place.rest('POST', 'Call/', order(place, detection));
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.streaming;
    expect(place.told('/machine')).toEqual([]);
    // The greeting is heard, then the beep, and then it is quiet.
    place.clock.advance(2000);
    await until(() => place.told('/machine').length === 1);
    expect(place.told('/machine')[0]?.form).toMatchObject({
      Event: 'MachineDetection',
      Machine: 'true',
      IfMachine: 'continue',
      CallStatus: 'in-progress',
      CallUUID: call.callId,
    });
    place.clock.advance(2000);
    expect(call.eventsOf('caller-quiet')).toMatchObject([{ atMs: 1000 + 3520 }]);
    await call.hangUp();
    expect(place.told('/machine')).toHaveLength(1);
  });

  it('say nothing of humans', async () => {
    await using place = await calling({ kind: 'human', ringMs: 1000 });
    place.answers['/out'] = place.stream();
    const detection = { machine_detection: 'hangup', machine_detection_url: `${place.bridge.url}/machine` };
    await place.rest('POST', 'Call/', order(place, detection));
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.streaming;
    place.clock.advance(5000);
    await until(() => call.handle.machine === 'human');
    expect(call.isOver).toBe(false);
    await call.hangUp();
    expect(place.told('/machine')).toEqual([]);
    expect(place.told('/hangup')[0]?.form).not.toHaveProperty('Machine');
  });

  it('are hung up when a machine answers, if the order says so', async () => {
    await using place = await calling({ kind: 'machine', ringMs: 1000, greeting: tone(3000) });
    await place.rest('POST', 'Call/', order(place, { machine_detection: 'hangup' }));
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.answered;
    await until(() => place.clock.pending > 1);
    place.clock.advance(2000);
    expect(await call.ended).toMatchObject({ outcome: 'completed', endedBy: 'carrier' });
    expect(place.told('/hangup')).toMatchObject([{ form: { HangupCauseCode: '9100', Machine: 'true' } }]);
    expect(place.told('/out')).toEqual([]);
  });

  it('end at their time limit, or when a document said so', async () => {
    await using place = await calling({ kind: 'human', ringMs: 1000 });
    place.answers['/out'] = place.stream();
    await place.rest('POST', 'Call/', order(place, { time_limit: 20 }));
    const limited = await place.exchange.nextDialled();
    await pass(place, 1000);
    await limited.streaming;
    place.clock.advance(20_000);
    expect(await limited.ended).toMatchObject({ endedBy: 'carrier', durationMs: 20_000 });
    place.answers['/voice'] = `<Hangup schedule="7"/>${place.stream()}`;
    const scheduled = place.place({ statusCallbackUrl: `${place.bridge.url}/hangup` });
    await scheduled.streaming;
    place.clock.advance(7000);
    expect(await scheduled.ended).toMatchObject({ durationMs: 7000 });
    expect(place.told('/hangup').map(({ form }) => form['HangupCauseCode'])).toEqual(['6000', '6000']);
    expect(place.told('/hangup')[0]?.form['HangupCause']).toBe('ALLOTTED_TIMEOUT');
  });

  it('go to the fallback URL of their order, and tell their end to the answer URL for want of another', async () => {
    await using place = await calling({ kind: 'human' }, { '/spare': '<Speak>sorry</Speak>' });
    place.bridge.answer = ({ target }) => ({
      status: target.startsWith('/out') ? 503 : 200,
      body: `<Response>${place.answers[target] ?? ''}</Response>`,
    });
    const { hangup_url: _, ...rest } = order(place, { fallback_url: `${place.bridge.url}/spare` });
    await place.rest('POST', 'Call/', rest);
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.ended;
    expect(call.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    expect(events(place.told('/out'))).toEqual(['StartApp', 'Hangup']);
  });

  it('can have their news told in reverse, at the end', async () => {
    const defaults = { faults: { reverseProgress: true } };
    await using place = await atPlivo('', quiet, { defaults, callee: () => ({ kind: 'busy' }) });
    await place.rest('POST', 'Call/', order(place, { ring_url: `${place.bridge.url}/hangup` }));
    const call = await place.exchange.nextDialled();
    await pass(place, 1000);
    await call.ended;
    expect(events(place.told('/hangup'))).toEqual(['Hangup', 'Ring']);
  });

  it('leave nothing behind when the exchange is closed in the middle', async () => {
    await using line = await onTheLine();
    await line.rest('POST', `Call/${line.call.callId}/Record/`);
    expect(line.clock.pending).toBeGreaterThan(2);
    await line.exchange[Symbol.asyncDispose]();
    await line.call.ended;
    await until(() => line.clock.pending === 0);
  });
});
