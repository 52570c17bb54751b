import { describe, expect, it } from 'vitest';
import { readClientState, writeClientState } from '../carriers/telnyx/client-state.ts';
import type { CarrierEvent } from '../src/carrier.ts';
import {
  COMMAND_CALL,
  CONNECTION,
  event,
  LEG,
  parseEvent,
  state,
  telnyx,
  webhook,
} from './support/telnyx-carrier.ts';

const REF = state({ ref: 'r1' });

describe('an event of Call Control about the caller', () => {
  it('says that somebody calls', () => {
    const payload = {
      direction: 'incoming',
      state: 'parked',
      from: '+14155550100',
      to: '+14155550101',
      caller_id_name: 'ANN',
    };
    expect(parseEvent('call.initiated', payload)).toEqual({
      type: 'incoming',
      call: { ...COMMAND_CALL, callerName: 'ANN' },
      machine: undefined,
      idempotencyKey: 'id of call.initiated',
    });
  });

  it('says that a call that was placed rings, and what it was placed for', () => {
    expect(parseEvent('call.initiated', { direction: 'outgoing', client_state: REF })).toEqual({
      type: 'progress',
      callId: LEG,
      requestId: undefined,
      ref: 'r1',
      status: 'ringing',
      outcome: undefined,
      sequence: undefined,
      durationS: undefined,
    });
  });

  it('says that a call is answered, with what commands need', () => {
    const parties = { from: '+14155550100', to: '+14155550101' };
    expect(parseEvent('call.answered', parties)).toEqual({
      type: 'answered',
      call: { callId: LEG, control: 'command', data: { connectionId: CONNECTION, number: '+14155550101' } },
      ref: undefined,
      idempotencyKey: 'id of call.answered',
    });
    expect(parseEvent('call.answered', { ...parties, client_state: REF })).toMatchObject({
      call: { data: { connectionId: CONNECTION, number: '+14155550100', ref: 'r1' } },
      ref: 'r1',
    });
    expect(parseEvent('call.answered', { from: 'sip:a@b', to: null }, '/events/telnyx?ref=r2')).toMatchObject(
      {
        call: { data: { ref: 'r2' } },
        ref: 'r2',
      },
    );
  });

  it.each([
    ['normal_clearing', 'completed'],
    ['user_busy', 'busy'],
    ['no_answer', 'no-answer'],
    ['timeout', 'no-answer'],
    ['call_rejected', 'rejected'],
    ['originator_cancel', 'canceled'],
    ['time_limit', 'time-limit'],
    ['not_found', 'failed'],
    ['unspecified', 'failed'],
    ['a_new_one', 'failed'],
    [undefined, 'failed'],
  ])('says that the call is over: %s is %s', (hangup_cause, outcome) => {
    expect(parseEvent('call.hangup', { hangup_cause, client_state: REF })).toMatchObject({
      type: 'progress',
      callId: LEG,
      ref: 'r1',
      status: 'ended',
      outcome,
    });
  });

  it('says what the stream does', () => {
    expect(parseEvent('streaming.started')).toEqual({
      type: 'stream',
      callId: LEG,
      kind: 'started',
      error: undefined,
    });
    const next = { type: 'after-stream', callId: LEG, ended: false, transfer: undefined };
    const mediaUrl = 'wss://bridge.example.com/media/telnyx/tok';
    expect(parseEvent('streaming.stopped', { stream_url: mediaUrl })).toMatchObject({ ...next, mediaUrl });
    expect(parseEvent('streaming.failed', { failure_reason: 'connection_failed' })).toMatchObject({
      ...next,
      error: 'connection_failed',
      call: { callId: LEG, control: 'command' },
    });
  });

  it.each([
    ['completed', false],
    ['cancelled_amd', false],
    ['call_hangup', true],
    [undefined, false],
  ])('says that what was said is over (%s)', (status, ended) => {
    expect(parseEvent('call.speak.ended', { status })).toMatchObject({
      type: 'after-stream',
      callId: LEG,
      ended,
      spoken: true,
      transfer: undefined,
    });
  });

  it('says which key was pressed', () => {
    expect(parseEvent('call.dtmf.received', { digit: '#' })).toEqual({
      type: 'digit',
      callId: LEG,
      digit: '#',
    });
    expect(parseEvent('call.dtmf.received', { digit: 'a' })).toMatchObject({ digit: 'A' });
    for (const digit of ['', '12', 'x', 5, undefined]) {
      expect(parseEvent('call.dtmf.received', { digit }).type).toBe('ignored');
    }
  });

  it.each([
    ['call.machine.detection.ended', 'human', 'human', false],
    ['call.machine.detection.ended', 'machine', 'machine', false],
    ['call.machine.detection.ended', 'not_sure', 'unknown', false],
    ['call.machine.greeting.ended', 'beep_detected', 'machine-beep', true],
    ['call.machine.greeting.ended', 'ended', 'machine', true],
    ['call.machine.greeting.ended', 'not_sure', 'machine', true],
    ['call.machine.premium.detection.ended', 'human_residence', 'human', false],
    ['call.machine.premium.detection.ended', 'human_business', 'human', false],
    ['call.machine.premium.detection.ended', 'silence', 'silence', false],
    ['call.machine.premium.detection.ended', 'fax_detected', 'fax', false],
    ['call.machine.premium.detection.ended', undefined, 'unknown', false],
    ['call.machine.premium.greeting.ended', 'beep_detected', 'machine-beep', true],
    ['call.machine.premium.greeting.ended', 'no_beep_detected', 'machine', true],
  ])('%s with %s says that it is %s', (type, found, result, greetingOver) => {
    expect(parseEvent(type, { result: found, client_state: REF })).toEqual({
      type: 'machine',
      callId: LEG,
      ref: 'r1',
      result,
      greetingOver,
    });
  });

  it('says where a recording is, by the id that went along, since its own are others', () => {
    const payload = {
      call_control_id: undefined,
      call_leg_id: 'x',
      client_state: state({ of: 'v3:recorded' }),
      recording_started_at: '2026-01-02T03:04:05.5Z',
      recording_ended_at: '2026-01-02T03:04:17.9Z',
      recording_urls: { mp3: 'https://x/a.mp3', wav: 'https://x/a.wav' },
      public_recording_urls: { wav: 'https://x/public.wav' },
    };
    const found = { type: 'recording', callId: 'v3:recorded', url: 'https://x/a.wav', durationS: 12 };
    expect(parseEvent('call.recording.saved', payload)).toEqual(found);
    expect(
      parseEvent('call.recording.saved', {
        ...payload,
        recording_urls: { wav: null, mp3: 'https://x/a.mp3' },
      }),
    ).toEqual({
      ...found,
      url: 'https://x/a.mp3',
    });
    expect(
      parseEvent('call.recording.saved', { ...payload, recording_urls: null, recording_ended_at: 'soon' }),
    ).toEqual({ ...found, url: 'https://x/public.wav', durationS: undefined });
    expect(parseEvent('call.recording.saved', { client_state: 'rubbish' })).toEqual({
      type: 'recording',
      callId: LEG,
      url: undefined,
      durationS: undefined,
    });
    expect(parseEvent('call.recording.error', payload)).toMatchObject({
      type: 'recording',
      callId: 'v3:recorded',
    });
    expect(parseEvent('call.recording.saved', { call_control_id: undefined }).type).toBe('ignored');
    expect(parseEvent('call.recording.transcription.saved', payload).type).toBe('ignored');
  });

  it.each([
    'call.playback.ended',
    'call.speak.started',
    'call.refer.completed',
    'call.bridged',
    'call.new_thing',
    '',
  ])('%j is ignored', (type) => {
    expect(parseEvent(type).type).toBe('ignored');
  });

  it.each([
    ['nothing but braces', '{}'],
    ['data that is text', '{"data":"x"}'],
    ['no payload', '{"data":{"event_type":"call.answered","id":"1"}}'],
    ['a payload that is a list', '{"data":{"event_type":"call.answered","payload":[]}}'],
    ['no call', '{"data":{"event_type":"call.answered","payload":{}}}'],
    ['a call that is a number', '{"data":{"event_type":"call.hangup","payload":{"call_control_id":7}}}'],
    ['an end that is missing', '{"data":{'],
  ])('with %s is nonsense', (_name, body) => {
    expect(() => telnyx().parse(webhook('/events/telnyx', body), 'events')).toThrow('BAD_FRAME');
  });
});

describe('an event that comes twice', () => {
  const parse = (times: number, type: string, payload: Record<string, unknown>): CarrierEvent[] => {
    const carrier = telnyx();
    return Array.from({ length: times }, () =>
      carrier.parse(webhook('/events/telnyx', event(type, payload)), 'events'),
    );
  };

  it.each([
    'call.dtmf.received',
    'streaming.stopped',
    'call.speak.ended',
    'call.hangup',
    'call.recording.saved',
  ])('%s counts once', (type) => {
    const [first, ...others] = parse(3, type, { digit: '5' });
    expect(first?.type).not.toBe('ignored');
    expect(others.map(({ type: kind }) => kind)).toEqual(['ignored', 'ignored']);
  });

  it.each(['call.initiated', 'call.answered'])('%s is left to those who know the call', (type) => {
    const [first, second] = parse(2, type, { direction: 'incoming' });
    expect(second).toEqual(first);
  });

  it('counts again under another id', () => {
    const carrier = telnyx();
    const press = (id: string) =>
      carrier.parse(webhook('/e', event('call.dtmf.received', { digit: '5' }, id)), 'events').type;
    expect([press('1'), press('2'), press('1')]).toEqual(['digit', 'digit', 'ignored']);
  });

  it('is not taken for one because the first could not be read', () => {
    const carrier = telnyx();
    const bad = event('call.hangup', { call_control_id: 5 }, 'same');
    expect(() => carrier.parse(webhook('/e', bad), 'events')).toThrow('BAD_FRAME');
    expect(carrier.parse(webhook('/e', event('call.hangup', {}, 'same')), 'events').type).toBe('progress');
  });

  it('is forgotten after ten minutes', () => {
    let now = 0;
    const carrier = telnyx({ epochMs: () => now, insecure: true });
    const press = () =>
      carrier.parse(webhook('/e', event('call.dtmf.received', { digit: '5' })), 'events').type;
    expect([press(), press()]).toEqual(['digit', 'ignored']);
    now = 600_001;
    expect(press()).toBe('digit');
  });
});

describe('a message that a caller leaves', () => {
  const asked = state({ stage: 'message', maxS: '90' });
  const recording = state({ of: LEG, stage: 'recording' });

  it('is recorded when the words are said, by whichever process hears of that', () => {
    const said = parseEvent('call.speak.ended', { client_state: asked, status: 'completed' });
    expect(said).toMatchObject({ type: 'step', callId: LEG });
    const gone = parseEvent('call.speak.ended', { client_state: asked, status: 'call_hangup' });
    expect(gone).toMatchObject({ type: 'after-stream', ended: true });
  });

  it('is over with its key, and with the recording, which is told all the same', () => {
    expect(parseEvent('call.dtmf.received', { client_state: recording, digit: '#' }).type).toBe('step');
    expect(parseEvent('call.dtmf.received', { client_state: recording, digit: '1' }).type).toBe('digit');
    expect(parseEvent('call.dtmf.received', { client_state: asked, digit: '#' }).type).toBe('digit');
    const saved = { recording_urls: { wav: 'https://files/1.wav' } };
    const told = parseEvent('call.recording.saved', { ...saved, client_state: recording });
    expect(told).toMatchObject({ type: 'recording', callId: LEG, url: 'https://files/1.wav' });
    expect(told).toHaveProperty('perform', expect.any(Function));
    const whole = parseEvent('call.recording.saved', { ...saved, client_state: state({ of: LEG }) });
    expect(whole).toHaveProperty('perform', undefined);
  });
});

describe('an event of the other end of a transfer', () => {
  const A = 'v3:caller';
  const other = (type: string, more: Record<string, string>, payload: Record<string, unknown> = {}) =>
    parseEvent(type, { ...payload, client_state: state({ transferOf: A, ...more }) });

  it('says that they are connected', () => {
    expect(other('call.bridged', {})).toEqual({
      type: 'transfer',
      callId: A,
      status: 'answered',
      outcome: undefined,
    });
  });

  it.each([
    'call.initiated',
    'call.answered',
    'call.speak.started',
    'call.dtmf.received',
    'streaming.stopped',
  ])('%s of one that is only rung asks for nothing', (type) => {
    expect(other(type, {}, { direction: 'incoming', digit: '1' }).type).toBe('ignored');
  });

  it.each([
    ['user_busy', {}, 'busy'],
    ['timeout', {}, 'no-answer'],
    ['call_rejected', {}, 'rejected'],
    ['originator_cancel', {}, 'canceled'],
    ['not_found', {}, 'failed'],
    ['normal_clearing', {}, undefined],
    ['time_limit', {}, undefined],
    ['no_answer', { announce: 'A caller' }, 'no-answer'],
    ['normal_clearing', { announce: 'A caller' }, 'rejected'],
    ['normal_clearing', { stage: 'told' }, 'rejected'],
    ['normal_clearing', { stage: 'bridged' }, undefined],
    ['unspecified', { stage: 'bridged' }, undefined],
  ])('that has gone with %s and state %j gives %s', (hangup_cause, more, outcome) => {
    const found = other('call.hangup', more as Record<string, string>, { hangup_cause });
    if (outcome === undefined) expect(found.type).toBe('ignored');
    else {
      const call = { callId: A, control: 'command' };
      expect(found).toEqual({ type: 'transfer', callId: A, status: 'failed', outcome, call });
    }
  });

  it('that picks up or was told is the next step, of the caller', () => {
    expect(other('call.answered', { announce: 'A caller' })).toMatchObject({ type: 'step', callId: A });
    expect(other('call.speak.ended', { stage: 'told' }, { status: 'completed' })).toMatchObject({
      type: 'step',
      callId: A,
    });
    expect(other('call.speak.ended', { stage: 'told' }, { status: 'call_hangup' }).type).toBe('ignored');
    expect(other('call.speak.ended', { stage: 'bridged' }).type).toBe('ignored');
  });
});

describe('what is kept with a leg', () => {
  it('comes back', () => {
    const kept = { ref: 'r', announce: 'Grüße & 你好', language: 'de' };
    expect(readClientState(writeClientState(kept))).toEqual(kept);
    expect(writeClientState({ ref: undefined })).toBeUndefined();
    expect(writeClientState({ ref: 'r', of: undefined })).toBe(state({ ref: 'r' }));
  });

  it.each([
    '',
    'aGF2ZSBhIG5pY2UgZGF5ID1d',
    '!!!',
    btoa('[1,2]'),
    btoa('null'),
    btoa('{"ref":5,"of":""}'),
    7,
    null,
    undefined,
    {},
  ])('is nothing when somebody else has written it: %j', (value) => {
    expect(readClientState(value)).toEqual({});
  });

  it('cannot reach the prototype of anything', () => {
    const found = readClientState(btoa('{"__proto__":"x","ref":"r"}'));
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
    expect(found['ref']).toBe('r');
  });
});
