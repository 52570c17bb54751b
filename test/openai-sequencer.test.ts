import { describe, expect, it } from 'vitest';
import { ResponseSequencer } from '../src/providers/openai/sequencer.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const PLAIN = {};

function start() {
  const clock = new VirtualClock();
  const sent: { token: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const warnings: string[] = [];
  const sequencer = new ResponseSequencer({
    clock,
    send(fields) {
      const token = `pc_response_${sent.length + 1}`;
      sent.push({ token, fields });
      return token;
    },
    warn: (code) => warnings.push(code),
    spokeTooLong: () => warnings.push('spoke too long'),
    lost: (ms) => warnings.push(`lost ${ms}`),
  });
  const plain = (...items: string[]): void => sequencer.request({ fields: PLAIN, items });
  const say = (text: string): void => sequencer.request({ fields: { instructions: text }, items: undefined });
  return { clock, sent, warnings, sequencer, plain, say };
}

describe('the response sequencer', () => {
  it('sends a request at once when nothing is going on', () => {
    const { sent, say } = start();
    say('hello');
    expect(sent).toEqual([{ token: 'pc_response_1', fields: { instructions: 'hello' } }]);
  });

  it('never has two requests under way, and sends the next one when the response is done', () => {
    const { sent, say, sequencer } = start();
    say('one');
    say('two');
    expect(sent).toHaveLength(1);
    sequencer.created('resp_1', 'pc_response_1');
    expect(sent).toHaveLength(1);
    sequencer.done('resp_1', 'pc_response_1');
    expect(sent.map(({ fields }) => fields['instructions'])).toEqual(['one', 'two']);
  });

  it('counts a response that the server made by itself as active', () => {
    const { sent, say, sequencer } = start();
    sequencer.created('resp_vad', undefined);
    say('later');
    expect(sent).toHaveLength(0);
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(1);
  });

  it('waits for all of several responses that are active at once', () => {
    const { sent, say, sequencer } = start();
    sequencer.created('resp_a', undefined);
    sequencer.created('resp_b', undefined);
    say('later');
    sequencer.done('resp_a', undefined);
    expect(sent).toHaveLength(0);
    sequencer.done('resp_b', undefined);
    expect(sent).toHaveLength(1);
  });

  it('is released by a response that ends without ever having been created', () => {
    const { sent, say, sequencer } = start();
    say('one');
    say('two');
    sequencer.done('resp_1', undefined);
    expect(sent).toHaveLength(2);
  });

  it('puts a request back in front when the server says that a response is active already', () => {
    const { sent, say, sequencer } = start();
    say('one');
    say('two');
    sequencer.refused('pc_response_1', 'busy');
    expect(sent).toHaveLength(1);
    sequencer.done('resp_unknown', undefined);
    expect(sent.map(({ fields }) => fields['instructions'])).toEqual(['one', 'one']);
  });

  it('takes back its guess when a response of the server looked like the answer to its request', () => {
    const { sent, say, sequencer } = start();
    say('one');
    sequencer.created('resp_vad', undefined);
    sequencer.refused('pc_response_1', 'busy');
    expect(sent).toHaveLength(1);
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(2);
    expect(sequencer.created('resp_1', 'pc_response_2')).toBe(false);
  });

  it('gives a request up after it was refused again and again', () => {
    const { sent, say, sequencer, warnings } = start();
    say('one');
    for (let i = 0; i < 10; i += 1) {
      sequencer.refused(sent.at(-1)?.token, 'busy');
      sequencer.done('resp_other', undefined);
    }
    expect(sent).toHaveLength(6);
    expect(warnings).toEqual(['response_given_up']);
  });

  it('goes on after a refusal that concerns the request itself', () => {
    const { sent, say, sequencer } = start();
    say('bad');
    say('good');
    sequencer.refused('pc_response_1', 'rejected');
    expect(sent.map(({ fields }) => fields['instructions'])).toEqual(['bad', 'good']);
  });

  it('ignores a refusal of a request that is over', () => {
    const { sent, say, sequencer } = start();
    say('one');
    sequencer.created('resp_1', 'pc_response_1');
    sequencer.done('resp_1', 'pc_response_1');
    sequencer.refused('pc_response_1', 'rejected');
    expect(sent).toHaveLength(1);
    expect(sequencer.busy).toBe(false);
  });

  it('asks once more for a response that gives no sign for ten seconds, then goes on without it', () => {
    const { sent, say, sequencer, clock, warnings } = start();
    say('one');
    say('two');
    clock.advance(9_999);
    expect(sent).toHaveLength(1);
    clock.advance(1);
    clock.advance(10_000);
    expect(sent.map(({ fields }) => fields['instructions'])).toEqual(['one', 'one', 'two']);
    expect(warnings).toEqual(['lost 10000', 'lost 10000']);
    expect(sequencer.waiting).toBe(0);
  });

  it('takes the answer to the first asking after it has asked a second time', () => {
    const { sent, say, sequencer, clock } = start();
    say('one');
    clock.advance(10_000);
    sequencer.created('resp_1', 'pc_response_1');
    sequencer.refused('pc_response_2', 'busy');
    sequencer.done('resp_1', 'pc_response_1');
    expect(sent).toHaveLength(2);
    expect(sequencer.busy).toBe(false);
  });

  it('does not ask again for a response that was lost while it was spoken, or that nobody wants', () => {
    const { sent, say, sequencer, clock } = start();
    say('one');
    sequencer.created('resp_1', 'pc_response_1');
    clock.advance(30_000);
    say('two');
    sequencer.doom();
    clock.advance(10_000);
    expect(sent.map(({ fields }) => fields['instructions'])).toEqual(['one', 'two']);
  });

  it('waits longer for a response that has begun, and every sign of it starts the wait anew', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.created('resp_1', undefined);
    say('later');
    for (let i = 0; i < 5; i += 1) {
      clock.advance(29_000);
      sequencer.alive('resp_1');
    }
    clock.advance(29_999);
    expect(sent).toHaveLength(0);
    clock.advance(1);
    expect(sent).toHaveLength(1);
  });

  it('waits ten seconds for a request although a response before it was waited for longer', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.created('resp_1', undefined);
    say('later');
    clock.advance(11_000);
    sequencer.done('resp_1', undefined);
    expect(sent).toHaveLength(1);
    clock.advance(9_999);
    expect(sent).toHaveLength(1);
    clock.advance(1);
    expect(sent).toHaveLength(2);
  });

  it('does not take the late end of a response that was given up for the answer to a new request', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.created('resp_1', undefined);
    clock.advance(30_000);
    say('one');
    sequencer.done('resp_1', undefined);
    say('two');
    expect(sent).toHaveLength(1);
    expect(sequencer.busy).toBe(true);
  });

  it('counts a response that was given up as lost again once it gives a sign', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.created('resp_1', undefined);
    clock.advance(30_000);
    sequencer.alive('resp_1');
    say('later');
    expect(sent).toHaveLength(0);
    sequencer.done('resp_1', undefined);
    expect(sent).toHaveLength(1);
  });

  it('melts plain requests that wait into one', () => {
    const { sent, plain, sequencer } = start();
    sequencer.created('resp_1', undefined);
    plain('item_a');
    plain('item_b');
    sequencer.done('resp_1', undefined);
    sequencer.created('resp_2', 'pc_response_1');
    sequencer.done('resp_2', 'pc_response_1');
    expect(sent).toHaveLength(1);
  });

  it('drops a plain request when a response of the server has seen all of its items', () => {
    const { sent, plain, sequencer } = start();
    sequencer.speechStarted();
    plain('item_a', 'item_b');
    sequencer.confirmed('item_a');
    sequencer.confirmed('item_b');
    sequencer.speechStopped(true);
    sequencer.created('resp_vad', undefined);
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(0);
  });

  it('keeps a plain request whose item the server confirmed only after it made its response', () => {
    const { sent, plain, sequencer } = start();
    sequencer.speechStarted();
    plain('item_a');
    sequencer.speechStopped(true);
    sequencer.created('resp_vad', undefined);
    sequencer.confirmed('item_a');
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(1);
  });

  it('never drops words that have to be said', () => {
    const { sent, say, sequencer } = start();
    sequencer.speechStarted();
    say('goodbye');
    sequencer.speechStopped(true);
    sequencer.created('resp_vad', undefined);
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(1);
  });

  it('waits while the caller speaks and for the answer that the server makes after it', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.speechStarted();
    say('hello');
    clock.advance(5_000);
    sequencer.speechStopped(true);
    expect(sent).toHaveLength(0);
    clock.advance(2_999);
    expect(sent).toHaveLength(0);
    clock.advance(1);
    expect(sent).toHaveLength(1);
  });

  it('does not wait for an answer that the server was told not to make', () => {
    const { sent, say, sequencer } = start();
    sequencer.speechStarted();
    say('hello');
    sequencer.speechStopped(false);
    expect(sent).toHaveLength(1);
  });

  it('does not wait for ever when the end of the speech never comes', () => {
    const { sent, say, sequencer, clock } = start();
    sequencer.speechStarted();
    say('hello');
    clock.advance(29_999);
    expect(sent).toHaveLength(0);
    clock.advance(1);
    expect(sent).toHaveLength(1);
  });

  it('refuses the response to a request that became unwanted before it was created', () => {
    const { say, sequencer } = start();
    expect(sequencer.doom()).toBe(false);
    say('one');
    expect(sequencer.doom()).toBe(true);
    expect(sequencer.created('resp_1', 'pc_response_1')).toBe(true);
  });

  it('asks once more for what has to be said, after the caller’s turn, when it was cut off before it came', () => {
    const { sent, sequencer } = start();
    sequencer.request({ fields: { instructions: 'Goodbye.' }, items: undefined, insist: true });
    sequencer.speechStarted();
    sequencer.doom();
    sequencer.doom();
    sequencer.speechStopped(true);
    expect(sequencer.created('resp_vad', undefined)).toBe(false);
    expect(sequencer.created('resp_1', 'pc_response_1')).toBe(true);
    sequencer.done('resp_1', 'pc_response_1');
    expect(sent).toHaveLength(1);
    sequencer.done('resp_vad', undefined);
    expect(sent).toHaveLength(2);
    expect(sequencer.created('resp_2', 'pc_response_2')).toBe(false);
    sequencer.unheard('resp_2');
    sequencer.done('resp_2', 'pc_response_2');
    expect(sent).toHaveLength(3);
    expect(sequencer.created('resp_3', 'pc_response_3')).toBe(false);
    sequencer.done('resp_3', 'pc_response_3');
    expect(sent).toHaveLength(3);
  });

  it('does not mistake the answer to the caller for the unwanted response', () => {
    const { say, sequencer } = start();
    say('one');
    sequencer.doom();
    sequencer.speechStarted();
    sequencer.speechStopped(true);
    expect(sequencer.created('resp_vad', undefined)).toBe(false);
    expect(sequencer.created('resp_1', 'pc_response_1')).toBe(true);
  });

  it('recognises the unwanted response also when the server does not echo metadata', () => {
    const { say, sequencer } = start();
    say('one');
    sequencer.speechStarted();
    sequencer.doom();
    expect(sequencer.created('resp_1', undefined)).toBe(true);
  });

  it('does not repeat an unwanted request that was refused', () => {
    const { sent, say, sequencer } = start();
    say('one');
    sequencer.doom();
    sequencer.refused('pc_response_1', 'busy');
    sequencer.done('resp_other', undefined);
    expect(sent).toHaveLength(1);
  });

  it('asks for a failed response once more and not twice', () => {
    const { sent, say, sequencer } = start();
    say('one');
    sequencer.created('resp_1', 'pc_response_1');
    expect(sequencer.retry('resp_1')).toBe(true);
    sequencer.done('resp_1', 'pc_response_1');
    expect(sent).toHaveLength(2);
    sequencer.created('resp_2', 'pc_response_2');
    expect(sequencer.retry('resp_2')).toBe(false);
    sequencer.done('resp_2', 'pc_response_2');
    expect(sent).toHaveLength(2);
  });

  it('asks in the place of the server for a response of its own that failed', () => {
    const { sent, sequencer } = start();
    sequencer.created('resp_vad', undefined);
    expect(sequencer.retry('resp_vad')).toBe(true);
    sequencer.done('resp_vad', undefined);
    expect(sent).toEqual([{ token: 'pc_response_1', fields: {} }]);
  });

  it('leaves no timer and sends nothing once it is closed', () => {
    const { sent, say, sequencer, clock } = start();
    say('one');
    sequencer.speechStarted();
    say('two');
    sequencer.close();
    expect(clock.pending).toBe(0);
    sequencer.done('resp_1', undefined);
    say('three');
    expect(sent).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });
});
